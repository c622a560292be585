"""The tokens in which captions are learned and scored: Penn Treebank words, lower-cased, without punctuation.

The COCO caption evaluation (Chen et al. 2015, §3) runs the Stanford PTBTokenizer 3.4.1, a Java program, and drops a
list of punctuation tokens. :func:`caption_tokens` gives the same tokens for English captions without Java. It was
written from the observed behaviour of that program; what it keeps, including its oddities, such as ``!!`` staying while
``!`` goes and ``(`` becoming the word ``-lrb-``, is kept here, because scores are only comparable on equal tokens.
"""

from __future__ import annotations

import re
import unicodedata

from regard.text.words import normalise, split_words

# Typographic signs that the Treebank writes with ASCII; quotation marks disappear with the punctuation.
_SIGNS = str.maketrans(
    {
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT SINGLE QUOTATION MARK}": " ` ",
        "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}": " ` ",
        "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}": " ` ",
        "\N{LEFT DOUBLE QUOTATION MARK}": ' " ',
        "\N{RIGHT DOUBLE QUOTATION MARK}": ' " ',
        "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}": ' " ',
        "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}": ' " ',
        "\N{EN DASH}": " -- ",
        "\N{EM DASH}": " -- ",
        "\N{HORIZONTAL BAR}": " -- ",
        "\N{HORIZONTAL ELLIPSIS}": " ... ",
        "\N{SOFT HYPHEN}": None,
        "\N{ZERO WIDTH SPACE}": " ",
        "\N{ZERO WIDTH JOINER}": " ",
        "\N{ZERO WIDTH NO-BREAK SPACE}": " ",
        "\N{VULGAR FRACTION ONE HALF}": " 1/2 ",
        "\N{VULGAR FRACTION ONE QUARTER}": " 1/4 ",
        "\N{VULGAR FRACTION THREE QUARTERS}": " 3/4 ",
        "\N{POUND SIGN}": " # ",
        "\N{EURO SIGN}": " $ ",
        "\N{CENT SIGN}": " cents ",
    }
)
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&nbsp;": " "}
_ENTITY = re.compile("|".join(_ENTITIES), re.IGNORECASE)
# The Java program drops what lies outside the Basic Multilingual Plane, such as emoji.
_OUTSIDE_PLANE = re.compile(r"[\U00010000-\U0010ffff]")

# Words that keep a following full stop. The first list holds in any case, the second only with a capital, the third
# only before a number.
_ABBREVIATIONS = """
    adj adm al ala alex apr ariz assn asst atty aug ave bldg blvd brig bros calif capt cf cmdr co col colo comdr conn
    corp cos cpl ct dak dec dept det dr drs elec ens esq est etc ext feb fla fri ft ga gen gov govs hon inc ind insp
    intl invt jan jos jr jul jun kan ky lieut lt ltd maj mar md messrs mfg mich minn mlle mme mo mon mont mr mrs ms
    msgr mt natl neb nev nov oct okla penn pfc ph plc pres prof pty pvt rd rep reps rev rt sen sens sep sept sgt sq sr
    st ste supt tel tenn thu thurs treas tue tues univ va vs vt wed wis wm wyo
"""
_CAPITAL_ABBREVIATIONS = "Ark Del Ill LA La Mass Miss Ore Pa Tex Wash"
_NUMBER_ABBREVIATIONS = "art ca fig figs no nos op pp prop"

_TOKEN = re.compile(
    rf"""
      [A-Za-z]+ (?=\ |$)                                       # a plain word, the common case
    | https?://[^\s<>"]+ | www\.[^\s<>"]+ [A-Za-z0-9]          # addresses on the web
    | [\w.+-]{{1,64}}+ @ [\w-]+ (?:\.[\w-]+)+                   # mail addresses
    | [@#] [A-Za-z_] \w*                                       # @names and #topics
    | </?[A-Za-z][^\s<>]*>                                     # tags
    | >?[:;=]-?[()DP] (?![A-Za-z])                             # emoticons
    | [A-Za-z]+ (?=n't(?![A-Za-z])) | n't (?![A-Za-z])         # do|n't
    | [yj]' (?=[A-Za-z]) | 't (?=(?:is|was)\b)                 # y'|all, 't|is
    | (?:[cdlno]|qu|ma) ' [A-Za-z\xc0-\u024f]{{2,}}              # o'clock, d'or, ma'am
    | 'n' | '(?:em|til|cause|n|s|m|d|ll|re|ve) (?![A-Za-z])    # rock |'n'| roll, |'s, |'ll
    | '\d\d s? (?!\w)                                          # '70s, '05
    | (?:[A-Za-z]\.){{2,}} (?:-[^\W_]+)+                        # U.S.-based
    | (?:[A-Za-z]\.)+[A-Za-z] (?!\w) \.? | [A-Za-z]\. (?!\w) | ph\.d\.    # U.S. and initials
    | (?:{"|".join(_ABBREVIATIONS.split())}) \. (?!\w)
    | (?-i:{"|".join(_CAPITAL_ABBREVIATIONS.split())}) \. (?!\w)
    | (?:{"|".join(_NUMBER_ABBREVIATIONS.split())}) \. (?=\ ?\d)
    | [-+]?\d*(?:[.,:]\d+)+ | [.,:]\d+                         # 1,000.50 and 10:30
    | (?-i:[A-Z]+&[A-Z]+ | (?:A|C|HK|NZ|US)\$)                 # AT&T, US$
    | [A-Za-z]+ (?:[.!?][A-Za-z]+)+                            # restaurant.com
    | [^\W_]+ (?:[-_/\u2010\u2011][^\W_]+)*                    # words, numbers, T-shirt, and/or
    | [-+]\d+
    | [!?]+ | \.{{3,}} | -{{2,}} | _{{2,}} | \*+ | <<|>> | ``|'' | \S
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SPLIT_WORDS = {
    "cannot": ("can", "not"),
    "gimme": ("gim", "me"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "lemme": ("lem", "me"),
    "wanna": ("wan", "na"),
}
BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
"""What the Treebank calls each bracket."""
_NAME_BRACKETS = str.maketrans(BRACKETS)
_LAST_LATIN, _MORE_LATIN = "\u024f", ("\u1e00", "\u1eff")
_SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))
"""They choose between forms of an emoji, and are no marks of letters."""
_DROPPED = frozenset(
    ["'", "''", "`", "``", '"', ".", "?", "!", ",", ":", ";", "-", "--", "---", "----", "¡", "¿", "„", "‚"]
)


def caption_tokens(text: str) -> list[str]:
    """Split a caption into the lower-case words that are scored.

    ``"The dog's ball isn't red."`` gives ``the dog 's ball is n't red``. A caption that is not in Latin letters is
    split as :func:`regard.text.words.split_words` says, punctuation dropped: Chinese, Japanese and Thai letter by
    letter, other scripts word by word.
    """
    if not text.isascii():
        text = normalise(text).text
        if _is_beyond_latin(text):
            return _plain_tokens(text)
        text = _OUTSIDE_PLANE.sub(" ", text.translate(_SIGNS))
    if "&" in text:
        text = _ENTITY.sub(lambda found: _ENTITIES[found[0].lower()], text)
    tokens: list[str] = []
    for token in _TOKEN.findall(" ".join(text.split())):
        word = token.lower()
        if word in _SPLIT_WORDS:
            tokens.extend(_SPLIT_WORDS[word])
        elif word not in _DROPPED and not word.startswith("..."):
            tokens.append(word.translate(_NAME_BRACKETS))
    return tokens


def _is_beyond_latin(text: str) -> bool:
    """Whether a text in NFC holds letters that are not Latin, or marks that no letter takes in."""
    return any(
        letter.isalpha() or unicodedata.category(letter) in ("Mn", "Mc")
        for letter in text
        if letter > _LAST_LATIN and not _MORE_LATIN[0] <= letter <= _MORE_LATIN[1] and letter not in _SELECTORS
    )


def _plain_tokens(text: str) -> list[str]:
    words = (text[start:end].lower() for start, end in split_words(text))
    return [word for word in words if any(letter.isalnum() for letter in word)]
