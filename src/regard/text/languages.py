"""Languages as people name them, and what a text in one looks like: its script and its most frequent words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

_NAMES = """
    ar arabic العربية; be belarusian беларуская; bg bulgarian български; bn bengali বাংলা; ca catalan català;
    cs czech čeština česky; cy welsh cymraeg; da danish dansk; de german deutsch; el greek ελληνικά; en english;
    es spanish español castellano; et estonian eesti; eu basque euskara; fa persian farsi فارسی; fi finnish suomi;
    fr french français; ga irish gaeilge; gl galician galego; gu gujarati ગુજરાતી; he hebrew עברית; hi hindi हिन्दी हिंदी;
    hr croatian hrvatski; hu hungarian magyar; hy armenian հայերեն; id indonesian; is icelandic íslenska;
    it italian italiano; ja japanese 日本語; ka georgian ქართული; kk kazakh қазақ; km khmer ខ្មែរ; kn kannada ಕನ್ನಡ;
    ko korean 한국어; lo lao ລາວ; lt lithuanian lietuvių; lv latvian latviešu; mk macedonian македонски;
    ml malayalam മലയാളം; mn mongolian монгол; mr marathi मराठी; ms malay melayu; my burmese မြန်မာ; ne nepali नेपाली;
    nl dutch nederlands; no norwegian norsk; pa punjabi ਪੰਜਾਬੀ; pl polish polski; pt portuguese português;
    ro romanian română; ru russian русский; si sinhala සිංහල; sk slovak slovenčina; sl slovene slovenian slovenščina;
    sq albanian shqip; sr serbian српски; sv swedish svenska; sw swahili kiswahili; ta tamil தமிழ்; te telugu తెలుగు;
    th thai ไทย; tl tagalog filipino; tr turkish türkçe; uk ukrainian українська; ur urdu اردو; uz uzbek oʻzbek;
    vi vietnamese; yo yoruba; zh chinese mandarin 中文 汉语 漢語; zu zulu
"""
_SCRIPTS = {
    "ARABIC": "ar fa ur",
    "CYRILLIC": "be bg kk mk mn ru uk",
    "BENGALI": "bn",
    "GREEK": "el",
    "GUJARATI": "gu",
    "HEBREW": "he",
    "DEVANAGARI": "hi mr ne",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
    "KHMER": "km",
    "KANNADA": "kn",
    "HANGUL": "ko",
    "LAO": "lo",
    "MALAYALAM": "ml",
    "MYANMAR": "my",
    "GURMUKHI": "pa",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
    "CJK": "zh ja",
}
"""The first word of the Unicode names of the letters of languages that are not written in Latin letters."""
_FREQUENT = {
    "ca": "el la els les un una és són amb per que en del i no hi",
    "cs": "je se na v a z do s že to jsou ve po muž žena si u jak k",
    "da": "og er en et på den det til med af i der som ikke han hun for de",
    "de": "der die das und ist ein eine einen mit auf nicht zu den von im sich einem dem ich für",
    "en": "the a an is are and of to in on with that it for at he she his her this was",
    "es": "el la los las un una y de que en con es por para se no está su al del",
    "fi": "ja on ei se että hän ovat kun joka oli mutta kanssa mies nainen",
    "fr": "le la les un une et est des du dans sur avec qui ne pas pour en se au il",
    "hu": "a az egy és van nem hogy is meg egyik nő férfi akik aki",
    "id": "yang dan di dengan seorang sebuah itu ini tidak untuk pada dari ada sedang",
    "it": "il la lo gli le un una e di che è in con per non si del della sono al",
    "nl": "de het een en van is in op met dat niet te zijn voor die aan er zij hij ik",
    "no": "og er en et på den det til med av i som ikke han hun for de",
    "pl": "i w na z się nie jest do to że po przy dla mężczyzna kobieta są jak",
    "pt": "o a os as um uma e de que em com é não para por se do da no na está",
    "ro": "și de la un o cu este pe în care nu sunt din se să bărbat",
    "sv": "och är en ett på den det till med av i som inte han hon för de att",
    "tr": "bir ve bu da de ile için çok adam kadın var olan",
    "vi": "một và của là có không người đang trên trong với cho",
}
"""Words that stand in every second sentence of everyday texts."""
_CODE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?")
_SAMPLE = 400
"""How many texts are looked at."""
_FEW = 12
"""With fewer letters or words than this on a side nothing is said."""


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    entries = (entry.split() for entry in _NAMES.split(";"))
    return {name: code for code, *names in entries for name in (code, *names)}


def language_named(text: str) -> str | None:
    """The code of a language by its code or its name, such as ``ko`` of ``Korean``; None where it is none."""
    name = unicodedata.normalize("NFC", text).strip().strip("[]()").lower()
    base = re.split(r"[-_]", name)[0]
    if name in _codes() or (_CODE.fullmatch(name) and len(name) > len(base) and base in _codes()):
        return name if _CODE.fullmatch(name) and name not in _codes() else _codes()[name]
    return None


def script_of(language: str) -> str:
    """The script of a language, as the first word of the Unicode names of its letters."""
    base = re.split(r"[-_]", language.lower())[0]
    return next((script for script, codes in _SCRIPTS.items() if base in codes.split()), "LATIN")


def look_swapped(sources: Sequence[str], targets: Sequence[str], *, source: str, target: str) -> bool:
    """Whether sentences look as if those in one language stood where those in the other should.

    By the script where that tells the two apart, else by their most frequent words, where these are known.

    Args:
        sources, targets: texts, of which the first few hundred are looked at.
        source, target: the codes of the languages that they should be in.
    """
    if script_of(source) != script_of(target):
        shares = [
            _script_shares(texts[:_SAMPLE], (script_of(source), script_of(target))) for texts in (sources, targets)
        ]
    else:
        frequent = [
            frozenset(_FREQUENT.get(re.split(r"[-_]", each.lower())[0], "").split()) for each in (source, target)
        ]
        if not all(frequent):
            return False
        apart = frequent[0] - frequent[1], frequent[1] - frequent[0]
        shares = [_word_shares(texts[:_SAMPLE], apart) for texts in (sources, targets)]
    if any(share is None for share in shares):
        return False
    (as_source, as_target), (target_as_source, target_as_target) = (share or (0.0, 0.0) for share in shares)
    # on both sides the other language must be the likelier one by far
    return as_target > 2 * as_source and target_as_source > 2 * target_as_target


def _script_shares(texts: Iterable[str], scripts: tuple[str, str]) -> tuple[float, float] | None:
    letters = [letter for text in texts for letter in text if letter.isalpha()]
    if len(letters) < _FEW:
        return None
    found = [_script(letter) for letter in letters]
    return (found.count(scripts[0]) / len(found), found.count(scripts[1]) / len(found))


@lru_cache(maxsize=1 << 14)
def _script(letter: str) -> str:
    first = unicodedata.name(letter, "").split(" ", 1)[0].split("-")[0]
    return "CJK" if first in ("HIRAGANA", "KATAKANA") else first


def _word_shares(texts: Iterable[str], frequent: Sequence[frozenset[str]]) -> tuple[float, float] | None:
    words = [word for text in texts for word in re.findall(r"\w+", text.lower())]
    if len(words) < _FEW:
        return None
    return (
        sum(word in frequent[0] for word in words) / len(words),
        sum(word in frequent[1] for word in words) / len(words),
    )
