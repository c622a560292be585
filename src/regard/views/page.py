"""A page that needs nothing but itself: no request leaves it, and nothing in a result can act on it.

Texts and names are escaped wherever they stand, and the page forbids itself every script but its own (by hash) and
every source but embedded pictures. Python writes all text; the script only draws heat maps and reacts. Without scripts,
the sentences, a table of every word and the alignment remain.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from regard.composed_attention import Floats
from regard.result_views import Result, View
from regard.views.colour import ramp
from regard.views.heat_map import FULL_HEAT, RING, SIGMA, VEIL, edges
from regard.views.html import article_html, clean, text_html
from regard.views.view_model import SentenceTrack, ViewModel, view_model

_LEAST_LINK = 0.005


class Page(View):
    """HTML files, one article per result."""

    def render(self, result: Result) -> bytes:
        return self.render_together([result])

    def render_together(self, results: Sequence[Result], *, title: str = "") -> bytes:
        return page([view_model(result) for result in results], title=title).encode("utf-8", "replace")


PAGE = Page()


def page(views: Sequence[ViewModel], *, title: str = "") -> str:
    """One HTML document with one article per result.

    Args:
        views: at least one.
        title: what the page calls itself; the photo's name, or the number of results, if empty.
    """
    title = title or _title(views)
    script, style = _asset("page.js"), _asset("page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    count = len(views)
    body = "\n".join(
        article_html(view, number=number, count=count, data=_data(_view_data(view)))
        for number, view in enumerate(views, 1)
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="regard">
<title>{text_html(title)}</title>
<style>{style}:root {{ --ramp: {_css_ramp()}; }}</style>
</head>
<body>
<header class="top"><span class="brand">regard</span><h1><bdi>{text_html(title)}</bdi></h1></header>
{_contents(views)}<main>
{body}
</main>
{_data(_drawing(), name="drawing")}
<script>{script}</script>
</body>
</html>
"""


def _title(views: Sequence[ViewModel]) -> str:
    photos = all(view.photo is not None for view in views)
    if len(views) > 1:
        return f"{len(views)} {'photos' if photos else 'results'}"
    return views[0].name if photos else "Translation"


def _contents(views: Sequence[ViewModel]) -> str:
    if len(views) < 2:
        return ""
    names = [view.tracks[-1].text or view.name or "(no words)" for view in views]
    items = "".join(
        f'<li><a href="#result-{number}"><bdi>{text_html(name)}</bdi></a></li>' for number, name in enumerate(names, 1)
    )
    return f'<nav class="contents" aria-label="Contents"><ol>{items}</ol></nav>\n'


def _view_data(view: ViewModel) -> dict[str, Any]:
    """What the script needs: edges of the grid, weights in ten-thousandths, links as [word, weight] pairs, details."""
    data: dict[str, Any] = {"tracks": [_track_data(track) for track in view.tracks]}
    if view.regions is not None:
        rows, columns = edges(view.regions)
        data["rows"], data["columns"] = rows.round(5).tolist(), columns.round(5).tolist()
    if view.links is not None and view.links.size:
        data["links"] = [_partners(view.links.T), _partners(view.links)]
    return data


def _track_data(track: SentenceTrack) -> dict[str, Any]:
    return {
        "words": [clean(word.text) for word in track.words],
        "details": [[clean(detail) for detail in word.details] for word in track.words],
        "points": track.points,
        "weights": [np.rint(np.asarray(each) * 10_000).astype(int).tolist() for each in track.weights],
    }


def _partners(links: Floats) -> list[list[tuple[int, float]]]:
    return [[(int(i), round(float(row[i]), 3)) for i in np.flatnonzero(row >= _LEAST_LINK)] for row in links]


def _drawing() -> dict[str, Any]:
    """The constants of :mod:`regard.views.heat_map`, so that the page draws what the sheet draws."""
    return {"ramp": ramp("ember", 65).tolist(), "sigma": SIGMA, "full": FULL_HEAT, "veil": VEIL, "ring": RING}


def _css_ramp() -> str:
    stops = ",".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in ramp("ember", 9).tolist())
    return f"linear-gradient(90deg,{stops})"


def _data(value: dict[str, Any], *, name: str = "") -> str:
    """JSON inside a page: what could end the element or begin another is written as JSON escapes."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    identity = f' id="{name}"' if name else ""
    return f'<script type="application/json"{identity}>{text}</script>'


def _asset(name: str) -> str:
    return (files("regard.views") / "assets" / name).read_text(encoding="utf-8")
