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

from regard.views.colour import ramp
from regard.views.heat_map import FULL_HEAT, SIGMA, VEIL, Floats, edges
from regard.views.html import article_html, clean, text_html
from regard.views.view_model import Article, Lane

_LEAST_LINK = 0.005


def page(articles: Sequence[Article], *, title: str = "") -> str:
    """One HTML document with one article per result.

    Args:
        articles: at least one.
        title: what the page calls itself; the photo's name, or the number of results, if empty.
    """
    title = title or _title(articles)
    script, style = _asset("page.js"), _asset("page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    count = len(articles)
    body = "\n".join(
        article_html(article, number=number, count=count, data=_data(_article_data(article)))
        for number, article in enumerate(articles, 1)
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
{_contents(articles)}<main>
{body}
</main>
{_data(_drawing(), name="drawing")}
<script>{script}</script>
</body>
</html>
"""


def _title(articles: Sequence[Article]) -> str:
    photos = all(article.photo is not None for article in articles)
    if len(articles) > 1:
        return f"{len(articles)} {'photos' if photos else 'results'}"
    return articles[0].name if photos else "Translation"


def _contents(articles: Sequence[Article]) -> str:
    if len(articles) < 2:
        return ""
    names = [article.lanes[-1].text or article.name or "(no words)" for article in articles]
    items = "".join(
        f'<li><a href="#result-{number}"><bdi>{text_html(name)}</bdi></a></li>' for number, name in enumerate(names, 1)
    )
    return f'<nav class="contents" aria-label="Contents"><ol>{items}</ol></nav>\n'


def _article_data(article: Article) -> dict[str, Any]:
    """What the script needs: edges of the grid, weights in ten-thousandths, links as [word, weight] pairs, sayings."""
    data: dict[str, Any] = {"lanes": [_lane_data(lane) for lane in article.lanes]}
    if article.regions is not None:
        rows, columns = edges(article.regions)
        data["rows"], data["columns"] = rows.round(5).tolist(), columns.round(5).tolist()
    if article.links is not None and article.links.size:
        data["links"] = [_partners(article.links.T), _partners(article.links)]
    return data


def _lane_data(lane: Lane) -> dict[str, Any]:
    return {
        "words": [clean(word.text) for word in lane.words],
        "sayings": [[clean(saying) for saying in word.sayings] for word in lane.words],
        "looks": [np.rint(np.asarray(look) * 10_000).astype(int).tolist() for look in lane.looks],
    }


def _partners(links: Floats) -> list[list[tuple[int, float]]]:
    return [[(int(i), round(float(row[i]), 3)) for i in np.flatnonzero(row >= _LEAST_LINK)] for row in links]


def _drawing() -> dict[str, Any]:
    """The constants of :mod:`regard.views.heat_map`, so that the page draws what the sheet draws."""
    return {"ramp": ramp("ember", 65).tolist(), "sigma": SIGMA, "full": FULL_HEAT, "veil": VEIL}


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
