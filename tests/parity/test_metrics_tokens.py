"""Our tokenisers against the programs that the field runs, on real text."""

import os
import shutil
import subprocess
from itertools import islice
from pathlib import Path

import pytest

from regard.metrics import caption_tokens, shared_task_tokens

DATA = Path(os.environ.get("REGARD_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
CAPTIONS = DATA / "flickr8k" / "Flickr8k.token.txt"
MULTI30K = DATA / "multi30k"


def java_tokens(texts: list[str], folder: Path) -> list[list[str]]:
    """What pycocoevalcap's PTBTokenizer does, with its file in ``folder`` and not inside the installed package."""
    module = pytest.importorskip(
        "pycocoevalcap.tokenizer.ptbtokenizer", reason="the optional package pycocoevalcap is not installed"
    )
    jar = Path(module.__file__).parent / module.STANFORD_CORENLP_3_4_1_JAR
    source = folder / "texts"
    source.write_text("\n".join(texts), encoding="utf-8")
    command = ["java", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    done = subprocess.run([*command, str(source)], capture_output=True, check=True, encoding="utf-8")
    lines = done.stdout.split("\n")[: len(texts)]
    return [[word for word in line.split() if word not in module.PUNCTUATIONS] for line in lines]


def first_lines(path: Path, count: int) -> list[str]:
    with path.open(encoding="utf-8", newline="\n") as lines:
        return [line.rstrip("\n") for line in islice(lines, count)]


@pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed")
@pytest.mark.skipif(not CAPTIONS.exists(), reason="Flickr8k is not at REGARD_DATA")
def test_flickr8k_captions_have_the_java_tokens(tmp_path: Path) -> None:
    captions = [line.split("\t")[1] for line in first_lines(CAPTIONS, 40_000)]
    expected = java_tokens(captions, tmp_path)
    assert [caption_tokens(caption) for caption in captions[::10]] == expected[::10]


@pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed")
@pytest.mark.skipif(not MULTI30K.exists(), reason="Multi30k is not at REGARD_DATA")
def test_sentences_that_are_not_tokenised_yet_have_the_java_tokens(tmp_path: Path) -> None:
    sentences = first_lines(MULTI30K / "train.en", 4000)
    assert [caption_tokens(sentence) for sentence in sentences] == java_tokens(sentences, tmp_path)


@pytest.mark.skipif(not MULTI30K.exists(), reason="Multi30k is not at REGARD_DATA")
@pytest.mark.parametrize("language", ["cs", "de", "en", "fr"])
def test_multi30k_has_the_tokens_of_sacremoses(language: str) -> None:
    sacremoses = pytest.importorskip("sacremoses", reason="the optional package sacremoses is not installed")
    normalizer = sacremoses.MosesPunctNormalizer(lang=language, perl_parity=True)
    tokenizer = sacremoses.MosesTokenizer(lang=language)
    for sentence in first_lines(MULTI30K / f"val.{language}", 2000):
        # Moses' script sees the line end, and one of its rules asks what follows a closing quote
        plain = normalizer.normalize(sentence.lower() + "\n")
        assert shared_task_tokens(sentence, language) == tokenizer.tokenize(plain, escape=False)
