"""What every tokenizer promises, checked on all of them, with the texts that break tokenisers."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.config import parse
from regard.errors import ConfigError, ModelError, TextError
from regard.text import (
    CharacterSettings,
    CharacterTokenizer,
    SubwordSettings,
    SubwordTokenizer,
    Tokenizer,
    Vocabulary,
    WordSettings,
    WordTokenizer,
    load_tokenizer,
    train_tokenizer,
)
from regard.text.vocabulary import BOS, EOS, PAD, UNK

SPELLED_SPECIALS = "<pad> <bos> <eos> <unk>"
SENTENCES = [
    "A dog runs on the beach.",
    "Zwei Männer laufen am Strand, isn't it?",
    "The dog's ball is red; the men's balls aren't!",
    "Ein Hund läuft über die Straße.",
] * 3

HOSTILE = [
    "",
    "   ",
    "\x00\x01\x1b[31m\x7f",
    "\t tabs\nand\r\nlines\u2028\u00a0everywhere ",
    "👨‍👩‍👧 👍🏽 🇩🇪",
    "שלום עולם، مرحبا",
    "犬がビーチを走る。",
    "नमस्ते दुनिया สวัสดี",
    "e\u0301te\u0301 A\u030angstro\u0308m 각",
    "zero\u200bwidth\ufeff\u200d",
    "▁ Ġ Ċ ￭ @@",
    "\ufffd \U0010ffff",
]


def subwords(model: str) -> SubwordTokenizer:
    return SubwordTokenizer.train(SENTENCES, model="bpe" if model == "bpe" else "unigram", size=330)


TOKENIZERS: dict[str, Tokenizer] = {
    "caption": WordTokenizer.train([*SENTENCES, *HOSTILE, SPELLED_SPECIALS]),
    "plain": WordTokenizer.train([*SENTENCES, *HOSTILE, SPELLED_SPECIALS], rule="plain"),
    "characters": CharacterTokenizer.train([*SENTENCES, *HOSTILE, SPELLED_SPECIALS]),
    "bpe": subwords("bpe"),
    "unigram": subwords("unigram"),
}
every_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS.keys())
subword_tokenizers = pytest.mark.parametrize(
    "tokenizer", [TOKENIZERS["bpe"], TOKENIZERS["unigram"]], ids=["bpe", "unigram"]
)


@every_tokenizer
@pytest.mark.parametrize("text", SENTENCES[:4] + HOSTILE)
def test_known_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    encoded = tokenizer.encode(text)
    assert tokenizer.decode(encoded.ids) == tokenizer.normalise(text)
    assert UNK not in encoded.ids


@every_tokenizer
def test_specials_that_a_user_spells_are_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(SPELLED_SPECIALS).ids
    assert not {PAD, BOS, EOS} & set(ids)
    # the caption rule takes each for one word, which no vocabulary lists
    caption = tokenizer is TOKENIZERS["caption"]
    assert tokenizer.decode(ids) == ("<unk> <unk> <unk> <unk>" if caption else SPELLED_SPECIALS)


@subword_tokenizers
@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_subwords_speak_everything(tokenizer: Tokenizer, text: str) -> None:
    encoded = tokenizer.encode(text)
    assert tokenizer.decode(encoded.ids) == tokenizer.normalise(text)
    assert all(4 <= token < tokenizer.size for token in encoded.ids)


@every_tokenizer
@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30) | st.sampled_from(HOSTILE))
def test_spans_lie_in_the_text_in_order(tokenizer: Tokenizer, text: str) -> None:
    encoded = tokenizer.encode(text, eos=True)
    assert len(encoded.ids) == len(encoded.spans) == len(encoded)
    assert encoded.spans[-1] == (len(text), len(text))
    starts = [start for start, _ in encoded.spans]
    assert starts == sorted(starts)
    assert all(0 <= start <= end <= len(text) for start, end in encoded.spans)


@every_tokenizer
@pytest.mark.parametrize("text", SENTENCES[:4] + HOSTILE)
def test_source_words_are_words_of_the_text_as_typed(tokenizer: Tokenizer, text: str) -> None:
    encoded = tokenizer.encode(text, eos=True)
    words = encoded.words
    assert [word.text for word in words] == [text[word.span[0] : word.span[1]] for word in words]
    pieces = [position for word in words for position in word.pieces]
    assert pieces == list(range(len(pieces)))
    if tokenizer is not TOKENIZERS["caption"]:
        assert "".join("".join(word.text for word in words).split()) == "".join(text.split())


@every_tokenizer
@pytest.mark.parametrize("text", SENTENCES[:4] + HOSTILE)
def test_target_words_are_words_of_the_decoded_text(tokenizer: Tokenizer, text: str) -> None:
    ids = [BOS, *tokenizer.encode(text).ids, EOS, PAD]
    decoded = tokenizer.decode(ids)
    assert decoded == tokenizer.normalise(text)
    words = tokenizer.words(ids)
    assert [word.text for word in words] == [decoded[word.span[0] : word.span[1]] for word in words]
    assert "".join("".join(word.text for word in words).split()) == "".join(decoded.split())
    pieces = [position for word in words for position in word.pieces]
    assert pieces == sorted(set(pieces))
    assert not {0, len(ids) - 2, len(ids) - 1} & set(pieces)


@subword_tokenizers
def test_span_of_a_piece_covers_its_characters_as_typed(tokenizer: Tokenizer) -> None:
    text = "\tThe  dog\u00a0la\u0308uft"
    words = tokenizer.encode(text, eos=True).words
    assert [word.text for word in words] == ["The", "dog", "la\u0308uft"]
    assert [word.span for word in words] == [(1, 4), (6, 9), (10, 16)]


@subword_tokenizers
def test_half_a_character_is_shown_not_lost(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("犬").ids
    assert len(ids) >= 3
    assert tokenizer.decode(ids[:-1]) == "\ufffd"
    assert tokenizer.decode([*ids[:-1], *tokenizer.encode("dog").ids]) == "\ufffd dog"
    assert [word.text for word in tokenizer.words(ids)] == ["犬"]


@every_tokenizer
def test_empty_text_has_one_position_to_look_at(tokenizer: Tokenizer) -> None:
    encoded = tokenizer.encode(" ", eos=True)
    assert (encoded.ids, encoded.spans, encoded.words) == ((EOS,), ((1, 1),), [])
    assert tokenizer.encode("").ids == ()
    assert tokenizer.decode([]) == ""
    assert tokenizer.words([]) == []


@every_tokenizer
def test_ten_thousand_words(tokenizer: Tokenizer) -> None:
    encoded = tokenizer.encode("dog " * 10_000)
    assert len(encoded.words) == 10_000
    assert len(tokenizer.words(encoded.ids)) == 10_000


@every_tokenizer
def test_half_a_surrogate_pair_is_one_clear_line(tokenizer: Tokenizer) -> None:
    with pytest.raises(TextError, match="surrogate"):
        tokenizer.encode("\udc80")


@every_tokenizer
def test_saved_tokenizer_is_the_same_tokenizer(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert type(loaded) is type(tokenizer)
    assert loaded.size == tokenizer.size
    assert loaded.forbidden == (PAD, BOS, UNK)
    for text in SENTENCES[:4] + HOSTILE:
        assert loaded.encode(text) == tokenizer.encode(text)
    first = (tmp_path / tokenizer.file_name).read_bytes()
    loaded.save(tmp_path)
    assert (tmp_path / tokenizer.file_name).read_bytes() == first


@pytest.mark.parametrize(
    "options",
    [
        WordSettings(minimum_count=2),
        WordSettings(rule="plain", maximum_size=20),
        CharacterSettings(),
        SubwordSettings(model="bpe", size=330),
        SubwordSettings(model="unigram", size=330),
    ],
    ids=str,
)
def test_training_twice_writes_the_same_file(
    options: WordSettings | CharacterSettings | SubwordSettings, tmp_path: Path
) -> None:
    files = []
    for name in ("first", "second"):
        tokenizer = train_tokenizer(options, iter(SENTENCES))
        (tmp_path / name).mkdir()
        tokenizer.save(tmp_path / name)
        files.append((tmp_path / name / tokenizer.file_name).read_bytes())
    assert files[0] == files[1]


def test_words_remember_their_spacing_and_case() -> None:
    tokenizer = WordTokenizer.train(['"Go," he said (twice).'], rule="plain")
    encoded = tokenizer.encode('"Go," he said (twice).')
    assert tokenizer.decode(encoded.ids) == '"Go," he said (twice).'
    assert tokenizer.decode(tokenizer.encode("he said stop").ids) == "he said <unk>"
    assert [word.text for word in tokenizer.words(tokenizer.encode("he stop").ids)] == ["he", "<unk>"]


def test_caption_spans_pass_over_rewritten_tokens() -> None:
    text = "A Man (wearing ½ hat) isn't İ x"
    encoded = TOKENIZERS["caption"].encode(text)
    assert [text[start:end] for start, end in encoded.spans] == (
        ["A", "Man", "", "wearing", "", "hat", "", "is", "n't", "", "x"]
    )
    assert [word.text for word in encoded.words] == ["A", "Man", "(", "wearing", "½", "hat", ")", "isn't", "İ", "x"]
    assert len(TOKENIZERS["caption"].encode("( " * 20_000)) == 20_000


def test_captions_join_what_belongs_together() -> None:
    tokenizer = WordTokenizer(Vocabulary(["the", "dog", "'s", "ball", "is", "n't", "-lrb-", "red", "-rrb-"]))
    ids = range(4, 13)
    assert tokenizer.decode(ids) == "the dog's ball isn't ( red )"
    assert [word.text for word in tokenizer.words(ids)] == ["the", "dog", "'s", "ball", "is", "n't", "(", "red", ")"]
    assert tokenizer.encode(tokenizer.decode(ids)).ids == tuple(ids)


def test_subword_size_is_kept_and_bounded() -> None:
    assert TOKENIZERS["bpe"].size == 330
    assert TOKENIZERS["unigram"].size <= 330
    with pytest.raises(ConfigError, match="at least 260"):
        SubwordTokenizer.train(SENTENCES, size=259)
    with pytest.raises(ConfigError, match="size"):
        parse(SubwordSettings, {"size": 100}, origin="recipe")
    assert SubwordTokenizer.train([], size=260).size == 260


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("bpe", {"kind": "words"}, "holds no tokenizer"),
        ("bpe", {"model": "wordpiece"}, "wordpiece"),
        ("bpe", {"model": []}, "with model"),
        ("bpe", {"merges": None}, "no list of merges"),
        ("bpe", {"merges": ["a"]}, "merge 1"),
        ("bpe", {"merges": ["a b", "abc d"]}, "merge 2"),
        ("bpe", {"merges": ["a b", 7]}, "merge 2"),
        ("unigram", {"scores": []}, "byte is missing"),
        ("unigram", {"scores": [["a", "b"]]}, "no list of pieces"),
        ("unigram", {"scores": [["犬", 0.5]]}, "no list of pieces"),
        ("unigram", {"scores": [["a", float("nan")]]}, "no list of pieces"),
        ("plain", {"rule": "loud"}, "rule 'loud'"),
        ("plain", {"words": [1]}, "no list of words"),
        ("characters", {"version": 9}, "version 9"),
    ],
)
def test_damaged_tokenizers_are_one_line(name: str, change: dict[str, object], message: str, tmp_path: Path) -> None:
    tokenizer = TOKENIZERS[name]
    tokenizer.save(tmp_path)
    path = tmp_path / tokenizer.file_name
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        load_tokenizer(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no tokenizer"):
        load_tokenizer(tmp_path)
    with pytest.raises(ModelError, match="no such file"):
        SubwordTokenizer.load(tmp_path)
