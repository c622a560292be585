"""What every codec promises, checked on all of them, with the texts that break tokenisers."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.config import parse
from regard.errors import ConfigError, ModelError, TextError
from regard.text import (
    CharacterCodec,
    CharacterSettings,
    SubwordCodec,
    SubwordSettings,
    TextCodec,
    Vocabulary,
    WordCodec,
    WordSettings,
    load_codec,
    train_codec,
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


def subwords(model: str) -> SubwordCodec:
    return SubwordCodec.train(SENTENCES, model="bpe" if model == "bpe" else "unigram", size=330)


CODECS: dict[str, TextCodec] = {
    "caption": WordCodec.train([*SENTENCES, *HOSTILE, SPELLED_SPECIALS]),
    "plain": WordCodec.train([*SENTENCES, *HOSTILE, SPELLED_SPECIALS], rule="plain"),
    "characters": CharacterCodec.train([*SENTENCES, *HOSTILE, SPELLED_SPECIALS]),
    "bpe": subwords("bpe"),
    "unigram": subwords("unigram"),
}
every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
subword_codecs = pytest.mark.parametrize("codec", [CODECS["bpe"], CODECS["unigram"]], ids=["bpe", "unigram"])


@every_codec
@pytest.mark.parametrize("text", SENTENCES[:4] + HOSTILE)
def test_known_text_comes_back(codec: TextCodec, text: str) -> None:
    encoded = codec.encode(text)
    assert codec.decode(encoded.ids) == codec.normalise(text)
    assert UNK not in encoded.ids


@every_codec
def test_specials_that_a_user_spells_are_text(codec: TextCodec) -> None:
    ids = codec.encode(SPELLED_SPECIALS).ids
    assert not {PAD, BOS, EOS} & set(ids)
    # the caption rule takes each for one word, which no vocabulary lists
    caption = codec is CODECS["caption"]
    assert codec.decode(ids) == ("<unk> <unk> <unk> <unk>" if caption else SPELLED_SPECIALS)


@subword_codecs
@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_subwords_speak_everything(codec: TextCodec, text: str) -> None:
    encoded = codec.encode(text)
    assert codec.decode(encoded.ids) == codec.normalise(text)
    assert all(4 <= token < codec.size for token in encoded.ids)


@every_codec
@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30) | st.sampled_from(HOSTILE))
def test_spans_lie_in_the_text_in_order(codec: TextCodec, text: str) -> None:
    encoded = codec.encode(text, eos=True)
    assert len(encoded.ids) == len(encoded.spans) == len(encoded)
    assert encoded.spans[-1] == (len(text), len(text))
    starts = [start for start, _ in encoded.spans]
    assert starts == sorted(starts)
    assert all(0 <= start <= end <= len(text) for start, end in encoded.spans)


@every_codec
@pytest.mark.parametrize("text", SENTENCES[:4] + HOSTILE)
def test_source_words_are_words_of_the_text_as_typed(codec: TextCodec, text: str) -> None:
    encoded = codec.encode(text, eos=True)
    words = encoded.words
    assert [word.text for word in words] == [text[word.span[0] : word.span[1]] for word in words]
    pieces = [position for word in words for position in word.pieces]
    assert pieces == list(range(len(pieces)))
    if codec is not CODECS["caption"]:
        assert "".join("".join(word.text for word in words).split()) == "".join(text.split())


@every_codec
@pytest.mark.parametrize("text", SENTENCES[:4] + HOSTILE)
def test_target_words_are_words_of_the_decoded_text(codec: TextCodec, text: str) -> None:
    ids = [BOS, *codec.encode(text).ids, EOS, PAD]
    decoded = codec.decode(ids)
    assert decoded == codec.normalise(text)
    words = codec.words(ids)
    assert [word.text for word in words] == [decoded[word.span[0] : word.span[1]] for word in words]
    assert "".join("".join(word.text for word in words).split()) == "".join(decoded.split())
    pieces = [position for word in words for position in word.pieces]
    assert pieces == sorted(set(pieces))
    assert not {0, len(ids) - 2, len(ids) - 1} & set(pieces)


@subword_codecs
def test_span_of_a_piece_covers_its_characters_as_typed(codec: TextCodec) -> None:
    text = "\tThe  dog\u00a0la\u0308uft"
    words = codec.encode(text, eos=True).words
    assert [word.text for word in words] == ["The", "dog", "la\u0308uft"]
    assert [word.span for word in words] == [(1, 4), (6, 9), (10, 16)]


@subword_codecs
def test_half_a_character_is_shown_not_lost(codec: TextCodec) -> None:
    ids = codec.encode("犬").ids
    assert len(ids) >= 3
    assert codec.decode(ids[:-1]) == "\ufffd"
    assert codec.decode([*ids[:-1], *codec.encode("dog").ids]) == "\ufffd dog"
    assert [word.text for word in codec.words(ids)] == ["犬"]


@every_codec
def test_empty_text_has_one_position_to_look_at(codec: TextCodec) -> None:
    encoded = codec.encode(" ", eos=True)
    assert (encoded.ids, encoded.spans, encoded.words) == ((EOS,), ((1, 1),), [])
    assert codec.encode("").ids == ()
    assert codec.decode([]) == ""
    assert codec.words([]) == []


@every_codec
def test_ten_thousand_words(codec: TextCodec) -> None:
    encoded = codec.encode("dog " * 10_000)
    assert len(encoded.words) == 10_000
    assert len(codec.words(encoded.ids)) == 10_000


@every_codec
def test_half_a_surrogate_pair_is_one_clear_line(codec: TextCodec) -> None:
    with pytest.raises(TextError, match="surrogate"):
        codec.encode("\udc80")


@every_codec
def test_saved_codec_is_the_same_codec(codec: TextCodec, tmp_path: Path) -> None:
    codec.save(tmp_path)
    loaded = load_codec(tmp_path)
    assert type(loaded) is type(codec)
    assert loaded.size == codec.size
    assert loaded.forbidden == (PAD, BOS, UNK)
    for text in SENTENCES[:4] + HOSTILE:
        assert loaded.encode(text) == codec.encode(text)
    first = (tmp_path / codec.file_name).read_bytes()
    loaded.save(tmp_path)
    assert (tmp_path / codec.file_name).read_bytes() == first


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
        codec = train_codec(options, iter(SENTENCES))
        (tmp_path / name).mkdir()
        codec.save(tmp_path / name)
        files.append((tmp_path / name / codec.file_name).read_bytes())
    assert files[0] == files[1]


def test_words_remember_their_spacing_and_case() -> None:
    codec = WordCodec.train(['"Go," he said (twice).'], rule="plain")
    encoded = codec.encode('"Go," he said (twice).')
    assert codec.decode(encoded.ids) == '"Go," he said (twice).'
    assert codec.decode(codec.encode("he said stop").ids) == "he said <unk>"
    assert [word.text for word in codec.words(codec.encode("he stop").ids)] == ["he", "<unk>"]


def test_caption_spans_pass_over_rewritten_tokens() -> None:
    text = "A Man (wearing ½ hat) isn't İ x"
    encoded = CODECS["caption"].encode(text)
    assert [text[start:end] for start, end in encoded.spans] == (
        ["A", "Man", "", "wearing", "", "hat", "", "is", "n't", "", "x"]
    )
    assert [word.text for word in encoded.words] == ["A", "Man", "(", "wearing", "½", "hat", ")", "isn't", "İ", "x"]
    assert len(CODECS["caption"].encode("( " * 20_000)) == 20_000


def test_captions_join_what_belongs_together() -> None:
    codec = WordCodec(Vocabulary(["the", "dog", "'s", "ball", "is", "n't", "-lrb-", "red", "-rrb-"]))
    ids = range(4, 13)
    assert codec.decode(ids) == "the dog's ball isn't ( red )"
    assert [word.text for word in codec.words(ids)] == ["the", "dog", "'s", "ball", "is", "n't", "(", "red", ")"]
    assert codec.encode(codec.decode(ids)).ids == tuple(ids)


def test_subword_size_is_kept_and_bounded() -> None:
    assert CODECS["bpe"].size == 330
    assert CODECS["unigram"].size <= 330
    with pytest.raises(ConfigError, match="at least 260"):
        SubwordCodec.train(SENTENCES, size=259)
    with pytest.raises(ConfigError, match="size"):
        parse(SubwordSettings, {"size": 100}, origin="recipe")
    assert SubwordCodec.train([], size=260).size == 260


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("bpe", {"kind": "words"}, "holds no codec"),
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
def test_damaged_codecs_are_one_line(name: str, change: dict[str, object], message: str, tmp_path: Path) -> None:
    codec = CODECS[name]
    codec.save(tmp_path)
    path = tmp_path / codec.file_name
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        load_codec(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_without_a_codec(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no codec"):
        load_codec(tmp_path)
    with pytest.raises(ModelError, match="no such file"):
        SubwordCodec.load(tmp_path)
