"""Peers in processes of their own: what they answer, and what is said when they do not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from peer import HERE, Guest, Peer, PeerError, peer_python

PROGRAM = f"""
import json, sys
from pathlib import Path
sys.path.insert(0, {str(HERE)!r})
from answering import serve
job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
print("a package that greets")
calls = []
def count():
    calls.append(1)
    print("a package that chatters")
    return {{"calls": len(calls), "words": job["words"], "threads": job["threads"]}}
def fail():
    raise ValueError("no such  layer")
serve({{"count": count, "fail": fail}}, versions={{"fake": "1.2"}})
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "fake_peer.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return str(path)


def start(program: str) -> Peer:
    return Peer(program, {"words": ["für"]}, threads=3, python=Path(sys.executable))


def test_a_peer_answers_with_what_it_found_and_its_seconds(program: str) -> None:
    with start(program) as peer:
        assert peer.versions == {"fake": "1.2"}
        peer.ask("count")
        answer = peer.ask("count")
    assert answer.pop("seconds") >= 0
    assert answer == {"calls": 2, "words": ["für"], "threads": 3}


def test_what_went_wrong_is_told_in_one_line(program: str) -> None:
    with start(program) as peer:
        with pytest.raises(PeerError, match=r"^ValueError: no such layer$"):
            peer.ask("fail")
        with pytest.raises(PeerError, match="no such layer"):
            peer.ask("count")


def test_a_peer_that_cannot_begin_says_why(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import a_package_that_is_not_there\n", encoding="utf-8")
    with pytest.raises(PeerError, match="a_package_that_is_not_there"):
        start(str(path))


@pytest.mark.usefixtures("no_peers")
def test_without_their_environment_there_are_no_peers() -> None:
    with pytest.raises(PeerError, match="make bench"):
        peer_python()
    with Guest(lambda: Peer("any.py", {}, threads=1, python=peer_python())) as guest:
        guest.work("count")()
        assert "make bench" in guest.reason
        assert guest.value(3.0) is None


def test_a_guest_that_fails_takes_no_more_part(program: str) -> None:
    with Guest(lambda: start(program)) as guest:
        guest.work("count")()
        assert guest.value(3.0) == 3.0
        assert guest.answers["count"]["calls"] == 1
        guest.work("fail")()
        guest.work("count")()
        assert guest.answers["count"]["calls"] == 1
        assert guest.reason == "ValueError: no such layer"
        assert guest.value(3.0) is None
