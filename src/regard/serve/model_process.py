"""A process that holds models and answers batches of requests, until nobody asks any more.

It reads frames from standard input and writes frames to standard output (:mod:`regard.serve.frames`): first a frame
that says what to load, answered by what was loaded; then batches, each answered by one frame a request, as they are
ready, or by several where words are streamed. What goes wrong inside is written to standard error; the request learns
only that something did.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from typing import IO

from regard.errors import RegardError
from regard.serve.frames import Header, pack_frame, read_frame
from regard.serve.problems import Problem
from regard.serve.tasks import Item, Reply, Tasks


def main() -> None:
    """Load, and answer."""
    # standard output is for answers alone, whatever a package may print
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        warnings.simplefilter("ignore")
        loading = read_frame(sys.stdin.buffer)
        if loading is None:
            return
        tasks = _load(loading[0], answers)
        while tasks is not None and (batch := read_frame(sys.stdin.buffer)) is not None:
            _answer(tasks, *batch, answers)


def _load(header: Header, answers: IO[bytes]) -> Tasks | None:
    try:
        tasks = Tasks(header["models"], precision=header["precision"], image_pixels=header["image_pixels"])
    except RegardError as error:
        _send(answers, {"failed": True, "message": str(error)})
        return None
    _send(answers, {"failed": False, "models": tasks.describe()})
    return tasks


def _answer(tasks: Tasks, header: Header, payload: bytes, answers: IO[bytes]) -> None:
    items, start = [], 0
    for each in header["items"]:
        items.append(Item(each["name"], payload[start : start + each["size"]]))
        start += each["size"]
    waiting = set(range(len(items)))

    def send(reply: Reply) -> None:
        if not reply.more:
            waiting.discard(reply.item)
        described = {name: value for name, value in vars(reply).items() if name != "body"}
        _send(answers, described, reply.body)

    try:
        tasks.run(header["task"], items, header["options"], send)
    except Exception:  # a defect of ours ends no other request
        traceback.print_exc()
        for item in sorted(waiting):
            send(Reply(item, json.dumps(Problem("internal").to_dict()).encode(), failed=True))


def _send(answers: IO[bytes], header: Header, payload: bytes = b"") -> None:
    answers.write(pack_frame(header, payload))
    answers.flush()
