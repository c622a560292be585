"""Frozen output of Moses' scripts at commit 3a0631a (lowercase, normalize-punctuation, tokenizer -no-escape)."""

import time

import pytest

from regard.metrics import shared_task_tokens

FROZEN = [
    (
        "en",
        "Two dogs' leashes, 1,000 flags and a 5-year-old's kite.",
        "two dogs ' leashes , 1,000 flags and a 5-year-old 's kite .",
    ),
    ("en", "\"It's mine,\" she said; they don't care.", "\" it 's mine , \" she said ; they don 't care ."),
    ("en", "He wears a T-shirt (size 10) by A.C.M.E. today.", "he wears a t-shirt ( size 10 ) by a.c.m.e. today ."),
    ("en", "The sign says “No Parking”… at 10:30 p.m.", 'the sign says " no parking ... " at 10 : 30 p.m.'),
    ("en", "Mr. Brown met Dr. Grey vs. the others, e.g. Tom.", "mr. brown met dr. grey vs. the others , e.g. tom ."),
    ("en", "See pp. 12 and pp. twelve.", "see pp. 12 and pp. twelve ."),
    (
        "en",
        "‘Hello’ — it’s the boys’ 1990's car – fast!",
        '" hello " - it \'s the boys " 1990 \'s car - fast !',
    ),
    ("en", "Fish & chips cost £5.50 / €6 or 100%.", "fish & chips cost £ 5.50 / € 6 or 100 % ."),
    ("en", "A man... a plan.. a canal. Panama.", "a man ... a plan .. a canal. panama ."),
    ("en", "rock 'n' roll `n` #1 @home ½ <b>", "rock ' n ' roll ' n ' # 1 @ home ½ < b >"),
    ("en", "He said 'go.'", "he said ' go . '"),
    ("en", "5\u00a0000 and ‚a‘ don’t", '5.000 and " a " don \'t'),
    ("en", "", ""),
    ("de", "Ein Mann in Größe 42, der „Hallo“ ruft.", 'ein mann in größe 42 , der " hallo " ruft .'),
    ("de", "Das ist z.B. der 3. Hund bzw. die 2. Katze.", "das ist z.b. der 3. hund bzw. die 2. katze ."),
    ("de", "„Komm her“, sagt sie… und geht's an?", '" komm her " , sagt sie ... und geht \' s an ?'),
    ("de", "Er läuft 5,5 km – ca. 30 Minuten lang.", "er läuft 5,5 km - ca. 30 minuten lang ."),
    ("de", "Sie trägt ein ‚Kleid’ mit Nr. 7.", 'sie trägt ein " kleid " mit nr . 7.'),
    ("de", "Am Ende steht die Zahl 12.", "am ende steht die zahl 12."),
    ("de", "Kinder's Spiele (draußen) kosten 1 000 €.", "kinder ' s spiele ( draußen ) kosten 1 000 € ."),
    ("de", "Der Chef sagt: „Stopp.“ Dann ist Ruhe.", 'der chef sagt : " stopp " . dann ist ruhe .'),
    ("de", "Rock-'n'-Roll & Co. GmbH!", "rock- ' n ' -roll & co. gmbh !"),
    ("de", "Was… ist.. das?", "was ... ist .. das ?"),
    ("fr", "L'homme et l'enfant s'assoient aujourd'hui.", "l' homme et l' enfant s' assoient aujourd' hui ."),
    ("fr", "« Bonjour », dit-elle ; qu'est-ce que c'est ?", "\" bonjour \" , dit-elle ; qu' est-ce que c' est ?"),
    ("fr", "«\u00a0Oui\u00a0», dit-il\u00a0: c'est 10\u00a0000\u00a0€\u00a0!", '" oui " , dit-il : c\' est 10,000 € !'),
    ("fr", "Il n'y a qu'un chien, n° 5, à 10 h 30.", "il n' y a qu' un chien , n ° 5 , à 10 h 30 ."),
    ("fr", "Une fille d’environ 10 000 € etc. Voilà.", "une fille d' environ 10 000 € etc. voilà ."),
    ("fr", "Trois chats (noirs) d'à côté : 50 % !", "trois chats ( noirs ) d' à côté : 50 % !"),
    ("fr", "Il court — vite – jusqu'à l'eau…", "il court - vite - jusqu' à l' eau ..."),
    ("fr", "Un panneau ‘STOP’ et M. Dupont.", 'un panneau " stop " et m. dupont .'),
    ("fr", "C'est l'art. 5 et l'art. cinq.", "c' est l' art. 5 et l' art. cinq ."),
    ("fr", "« Oui. » Puis il part.", '" oui . " puis il part .'),
    ("fr", "Les '60s", "les ' 60s"),
    ("cs", "Muž v červeném tričku, který běží.", "muž v červeném tričku , který běží ."),
    ("cs", "Pes č. 5 např. skáče přes plot.", "pes č. 5 např. skáče přes plot ."),
    ("cs", "„Ahoj“, řekl pan Novák…", '" ahoj " , řekl pan novák ...'),
    ("cs", "Dvě děti (chlapec a dívka) na 1 000 m.", "dvě děti ( chlapec a dívka ) na 1 000 m."),
    ("cs", "Dům stojí v ul. Dlouhá 12.", "dům stojí v ul. dlouhá 12 ."),
    ("cs", "Obr. 3 a str. 4.", "obr. 3 a str . 4 ."),
    ("cs", "Rock'n'roll – hudba.", "rock ' n ' roll - hudba ."),
    ("nl", "Een man's hond, 't is z.B. mooi.", "een man ' s hond , ' t is z.b. mooi ."),
    ("nl", 'Hij zegt "stop", en gaat.', 'hij zegt " stop " , en gaat .'),
]


@pytest.mark.parametrize(("language", "text", "expected"), FROZEN)
def test_equals_the_moses_tokens(language: str, text: str, expected: str) -> None:
    assert " ".join(shared_task_tokens(text, language)) == expected


@pytest.mark.parametrize("language", ["cs", "de", "en", "fr", "xx"])
def test_no_letter_and_no_digit_is_lost(language: str) -> None:
    text = "Ein Hund, 12 Äpfel; l'été d'Anne – (3.5 %) „ja“ … 10 000 ½"
    joined = "".join(shared_task_tokens(text, language))
    assert [c for c in joined if c.isalnum()] == [c for c in text.lower() if c.isalnum()]


def test_control_characters_and_line_ends_are_no_tokens() -> None:
    assert shared_task_tokens("a\x00b\r\nc\t \x07d\n", "en") == ["ab", "c", "d"]
    assert shared_task_tokens(" \x01 ", "de") == []


@pytest.mark.parametrize(
    "text", ["a" * 50_000, "." * 50_000, "'" * 50_000, '."' * 20_000, "a. " * 20_000, "\u00a0" * 50_000]
)
def test_hostile_text_takes_no_hostile_time(text: str) -> None:
    start = time.process_time()
    shared_task_tokens(text, "fr")
    assert time.process_time() - start < 2.0
