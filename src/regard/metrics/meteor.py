"""METEOR, computed by its authors' own program: the reference is Java, and no rewriting of it gives the same numbers.

Source: Denkowski and Lavie 2014, "Meteor Universal"; version 1.5 as the COCO caption evaluation runs it (English,
``-norm``). The program comes with the optional package ``pycocoevalcap`` and needs a Java runtime.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from regard.errors import DependencyError, RegardError
from regard.metrics.checks import check_reference_groups, check_same_length
from regard.metrics.metric import CaptionMetric

_SEPARATOR = " ||| "


def meteor_command() -> tuple[list[str], Path]:
    """The command that starts METEOR, and the folder to start it in.

    Raises:
        DependencyError: ``pycocoevalcap`` or Java is not installed.
    """
    package = importlib.util.find_spec("pycocoevalcap")
    if package is None or not package.submodule_search_locations:
        raise DependencyError("pycocoevalcap", extra="metrics", purpose="METEOR")
    java = shutil.which("java")
    if java is None:
        raise DependencyError(
            "java",
            extra="metrics",
            purpose="METEOR",
            remedy="install a Java runtime, version 8 or newer, or leave METEOR out",
        )
    folder = Path(next(iter(package.submodule_search_locations))) / "meteor"
    return [java, "-Xmx2G", "-jar", "meteor-1.5.jar", "-", "-", "-stdio", "-l", "en", "-norm"], folder


def corpus_meteor(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> float:
    """METEOR of a corpus, between 0 and 1. The program reads a large table at its start, which takes seconds.

    Args:
        hypotheses: the words of each hypothesis.
        references: for each item, the words of its references.

    Raises:
        DependencyError: ``pycocoevalcap`` or Java is not installed.
        DataError: the lengths differ, the corpus is empty, or an item has no reference.
        RegardError: the Java program stopped or answered something that is no number.
    """
    check_same_length(hypotheses=hypotheses, references=references)
    check_reference_groups(references)
    command, folder = meteor_command()
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    try:
        with subprocess.Popen(
            command, cwd=folder, stdin=pipe, stdout=pipe, stderr=nothing, text=True, encoding="utf-8"
        ) as process:
            assert process.stdin is not None, "a pipe was asked for"
            assert process.stdout is not None, "a pipe was asked for"
            try:
                return _talk(process.stdin, process.stdout, hypotheses, references)
            finally:
                process.kill()
    except (BrokenPipeError, ValueError):
        raise RegardError("METEOR's Java program stopped early", remedy="check that 'java -version' works") from None


def _talk(
    questions: IO[str],
    answers: IO[str],
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
) -> float:
    """First the statistics of each item, then one score from all of them: the program's own protocol."""
    statistics = []
    for hypothesis, group in zip(hypotheses, references, strict=True):
        sentences = [*(_line(reference) for reference in group), _line(hypothesis)]
        statistics.append(_ask(questions, answers, _SEPARATOR.join(["SCORE", *sentences])))
    answer = _ask(questions, answers, _SEPARATOR.join(["EVAL", *statistics]))
    # one score an item comes first, the score of the corpus last
    for _ in hypotheses:
        answer = answers.readline()
    return float(answer)


def _ask(questions: IO[str], answers: IO[str], question: str) -> str:
    questions.write(question + "\n")
    questions.flush()
    return answers.readline().strip()


def _line(words: Sequence[str]) -> str:
    return " ".join(" ".join(words).replace("|||", "").split())


METEOR = CaptionMetric(
    ("meteor",),
    "meteor:1.5-en-norm",
    lambda texts, references: [corpus_meteor(texts, references)],
    on_request=True,
)
