"""The tokens in which the Multi30k shared task reports BLEU: lower case, plain punctuation, Moses tokens.

The organisers pipe every sentence through Moses' lowercase, normalize-punctuation and tokenizer scripts (Multi30k's
``task1-tokenize.sh``, suffix ``lc.norm.tok``, Moses at commit 3a0631a). :func:`shared_task_tokens` gives the same
tokens without Perl. It was written as one pass over the characters: the Moses rules ask of a sign only what stands
before and after it, so each sign is decided once. Tokens are not escaped for XML, which changes no score.

Known to differ from Moses: one-letter words between two apostrophes (``a'b'c``) and quotation marks between runs of
full stops, where the outcome there depends on which of two overlapping substitutions comes first.
"""

from __future__ import annotations

import itertools
import re

# Full stops stay with these words even when what follows is no lower-case word. Only forms that survive lower-casing
# are listed; forms with a full stop inside ("z.b.") stay whole by rule. After Moses' nonbreaking_prefix files.
_CZECH = """
    abl absol abt ad adj adv aj ak akt alch amer anat angl anglosas anon ap apod arab arch archit arg astr astrol atd
    atp att aut bás bd belg bibl biogr biol boh bot br bulh cca chcsl chem círk cit cizojaz čas čes čín čj čp col csl č
    dat děj dep dět dial dl doc dol dop dopr dór dosl ed ekon epic etnonym eufem ev event f facs fam fasc fem fil film
    fol form fot fr franc fut fyz gen geogr geol geom germ gram hebr herald hist hl hod hor horn hovor hrsg hud hut ibid
    ie il imp impf ind indoevr inf instr interj ión iron it jap jhdt jv kanad katalán klas kniž koed kol komp konj konkr
    korej kr krit kř kl kuch lat lék les lid lit liturg lok log m maď mat meteor metr mj ml mld mod mp ms mysl n náb
    námoř např násl neklas něm nepubl nesklon než no nom nr nprap ob obch obr obyč odd odp ojed okr opr opt orig p part
    pas pejor pers pf phil pl plpf pokrač pol pomn popř port pozn práv předl přel přeprac příl přivl prep prof
    pseud pt r rcsl red refl reg repr resp revid rkp roč roz rozš rum rus ř řec s samohl samost sect seš sest sg sign sl
    slang slov souhl spec sport srov srv st stfr stol střv stsl subj subst superl sv sz šk špan švýc tab táz tech telev
    teol tis tj trans tř typogr tzn tzv univ uspoř var vč vedl verb voj vok vol vs vůb vulg vyd vyobr výtv vztaž
    zahr zájm zal zast zejm zeměd zkr zprac zř zvl
"""
_FRENCH = """
    al ann apr art auj av b boul c ca cf chap contr d dir e éd env etc ex f fasc fém fig fr g h hab i ibid id inf j k l
    lib m masc ms n n/réf o p pl pp q r s sec sect sing sq sqq suiv sup suppl t tél u v vb vol vs w x y z
"""
_GERMAN = """
    a b bzgl bzw c ca d dergl dgl e etc evtl f ff g ggf h i ii iii iv ix j jun k l m n o p pp q r s sen sog sogen spp t
    u usf usw v vgl vi vii viii vs w x xi xii xiii xiv xix xv xvi xvii xviii xx y z zzt
"""
_PREFIXES: dict[str, frozenset[str]] = {
    "cs": frozenset(_CZECH.split()),
    "de": frozenset(_GERMAN.split()) | {str(number) for number in range(1, 100)},
    "en": frozenset(["rev", "v", "vs"]),
    "fr": frozenset(_FRENCH.split()),
}
_NUMBER_PREFIXES = {"en": frozenset(["pp"])}

LANGUAGES = tuple(sorted(_PREFIXES))

_NO_BREAK = "\N{NO-BREAK SPACE}"
_QUOTES = re.compile(f"«{_NO_BREAK}?|{_NO_BREAK}?»|[„“”‘‚’]|''")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")
# Signs that may stand apart: runs of full stops, commas, apostrophes, and whatever is neither a letter nor a digit.
# Python counts ½ and ² among the characters of a word, Moses does not.
_SIGN = re.compile(r"\.{2,}|[^\w\s.`-]|[_²³¹¼-¾⁰-₉⅐-⅟①-⓿]")


def shared_task_tokens(text: str, language: str) -> list[str]:
    """Split one sentence as the Multi30k shared task does.

    Args:
        text: one sentence as it was written; line ends count as spaces.
        language: ISO 639-1 code. ``cs``, ``de``, ``en`` and ``fr`` have their own rules; any other language gets the
            rules that all languages share.
    """
    plain = _normalize(text.lower(), language)
    clean = " ".join(_CONTROLS.sub("", plain).split())
    words = _SIGN.sub(lambda found: _spaced(found, language), clean).split()
    return _separate_full_stops(words, language)


def _normalize(text: str, language: str) -> str:
    """Give typographic quotes, dashes and dots their ASCII forms, and put quotes and commas in the language's order."""
    text = text.replace("`", "'").replace("''", ' " ').replace("–", "-").replace("—", " - ").replace("´", "'")
    text = re.sub("(?<=[a-z])[‘’](?=[a-z])", "'", re.sub(" +", " ", text))
    text = _QUOTES.sub('"', text).replace("…", "...")
    if language == "en":
        text = re.sub(r'"([,.]+)', r'\1"', text)
    elif language != "cs":
        text = re.sub(r'(?<!\.)(\.++)"(?!<)', r'"\1', text.replace(',"', '",'))
    separator = "," if language in ("cs", "de", "es", "fr") else "."
    return re.sub(f"(?<=[0-9]){_NO_BREAK}(?=[0-9])", separator, text)


def _spaced(found: re.Match[str], language: str) -> str:
    """The sign that was found, with a space on each side on which it stands apart."""
    sign, start, end = found[0], found.start(), found.end()
    before, after = found.string[max(0, start - 1) : start], found.string[end : end + 1]
    if sign == "'":
        return _spaced_apostrophe(before, after, language)
    if sign == "," and after.isdecimal() and (not before or before.isdecimal()):
        return sign  # 1,000
    return f" {sign} "


def _spaced_apostrophe(before: str, after: str, language: str) -> str:
    if language not in ("en", "fr"):
        return " ' "
    if not before or not after:
        return "'"
    if before.isalpha() and after.isalpha():
        return " '" if language == "en" else "' "  # it|'s, l'|eau
    if language == "en" and before.isdecimal() and after.isalpha():
        return " '" if after == "s" else "'"  # the 1990|'s
    return " ' "


def _separate_full_stops(words: list[str], language: str) -> list[str]:
    """Cut the full stop from the words that do not own it."""
    tokens: list[str] = []
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        stem = word[:-1]
        if word.endswith(".") and stem.strip(".") and not _owns_full_stop(stem, following, language):
            tokens += [stem, "."]
        else:
            tokens.append(word)
    if tokens and tokens[-1].endswith(".'"):
        tokens[-1:] = [part for part in (tokens[-1][:-2], ".", "'") if part]
    return tokens


def _owns_full_stop(stem: str, following: str, language: str) -> bool:
    return (
        following[:1].islower()
        or stem in _PREFIXES.get(language, ())
        or (stem in _NUMBER_PREFIXES.get(language, ()) and re.match("[0-9]", following) is not None)
        or ("." in stem and any(character.isalpha() for character in stem))
    )
