"""A vocabulary is an ordered list; its order is a function of the counts alone."""

import json
from pathlib import Path

import pytest

from regard.errors import ModelError
from regard.files import read_json_file, write_json_file
from regard.text.vocabulary import Vocabulary, count_words


def test_most_frequent_first_then_alphabetical() -> None:
    counts = {"dog": 2, "a": 5, "cat": 2, "rare": 1}
    vocabulary = Vocabulary.build(counts, minimum_count=2)
    assert vocabulary.entries == ("<pad>", "<bos>", "<eos>", "<unk>", "a", "cat", "dog")
    assert vocabulary == Vocabulary.build(dict(reversed(counts.items())), minimum_count=2)
    assert Vocabulary.build(counts, maximum_size=5).entries[4:] == ("a",)


def test_specials_have_fixed_ids_and_are_no_words() -> None:
    vocabulary = Vocabulary.build({"<eos>": 9, "dog": 1})
    assert (Vocabulary.PAD, Vocabulary.BOS, Vocabulary.EOS, Vocabulary.UNK) == (0, 1, 2, 3)
    assert [vocabulary.id(word) for word in ("<eos>", "<pad>", "dog", "cat")] == [3, 3, 4, 3]
    assert "<eos>" not in vocabulary
    assert len(vocabulary) == 5
    assert vocabulary.word(4) == "dog"
    assert vocabulary.forbidden == (0, 1, 3)


def test_json_round_trip_is_plain(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build(count_words([["über", "dog"], ["dog"]]))
    path = tmp_path / "vocabulary.json"
    write_json_file(path, {"version": 1, **vocabulary.to_json()})
    assert "über" in path.read_text(encoding="utf-8")
    assert Vocabulary.from_json(read_json_file(path, versions=[1]), origin="x") == vocabulary


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "cannot be read"),
        (b"{", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"[]", "holds no JSON object"),
        (b"{}", "has version None; allowed: 1"),
        (b'{"version": 2}', "has version 2; allowed: 1"),
    ],
)
def test_damaged_files_are_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_json_file(path, versions=[1])
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_json_file(tmp_path / "vocabulary.json", versions=[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"specials": ["<pad>"]}, "other special tokens"),
        ({"words": None}, "no list of words"),
        ({"words": ["a", 3]}, "no list of words"),
        ({"words": ["a", "a"]}, "stands twice"),
        ({"words": ["<eos>"]}, "stands twice"),
    ],
)
def test_hostile_lists_are_refused(change: dict[str, object], message: str) -> None:
    values = json.loads(json.dumps(Vocabulary(["a"]).to_json())) | change
    with pytest.raises(ModelError, match=message):
        Vocabulary.from_json(values, origin="file.json")
