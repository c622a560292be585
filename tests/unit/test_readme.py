"""README.ko.md is kept in step with README.md: the same headings, commands, code and places to go."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGLISH, KOREAN = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md"))


def blocks(text: str) -> list[list[str]]:
    """The code blocks, each line without its comment."""
    found = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [[re.sub(r"\s+# .*$", "", line) for line in block.splitlines()] for block in found]


def headings(text: str) -> list[str]:
    """The level of each heading."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^(#+) ", outside, re.MULTILINE)


def test_the_korean_readme_shows_the_same_commands_and_code() -> None:
    assert blocks(KOREAN) == blocks(ENGLISH), "change the code of README.ko.md as that of README.md was changed"


def test_the_korean_readme_has_the_same_sections() -> None:
    assert headings(KOREAN) == headings(ENGLISH)


def test_the_korean_readme_leads_to_the_same_places() -> None:
    links = [set(re.findall(r"\]\(([^)#]+)\)", text)) - {"README.md", "README.ko.md"} for text in (ENGLISH, KOREAN)]
    assert links[1] == links[0]
    assert all((ROOT / link).exists() for link in links[0] if "://" not in link)


def test_most_of_the_korean_readme_is_korean() -> None:
    prose = re.sub(r"^```.*?^```|\]\([^)]*\)|`[^`]*`", "", KOREAN, flags=re.MULTILINE | re.DOTALL)
    letters = re.findall(r"[A-Za-z가-힣]", prose)
    assert sum("가" <= letter <= "힣" for letter in letters) > 0.7 * len(letters)
