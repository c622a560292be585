"""HTML of one result: the photo, the sentences, the small photos, the alignment and a table of all words."""

from __future__ import annotations

import base64
import io
import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from PIL import Image

from regard.results import Photo
from regard.views.heat_map import edges, shrink
from regard.views.region_names import percent
from regard.views.view_model import SentenceTrack, ViewModel

_PHOTO_BYTES = 180_000
_PHOTO_STEPS = ((1200, 84), (1200, 74), (1000, 72), (840, 68), (640, 64))
"""Longest side in pixels and JPEG quality, tried in turn until the photo is small enough."""

_MOST_CELLS = 4_000
"""A larger alignment is not drawn as a table; the words of both sentences still show their partners."""

_HINT = (
    '<p class="reading" aria-live="polite"><span class="hint">Point at a word, or walk through the words with '
    '<span class="keys"><kbd>←</kbd> <kbd>→</kbd></span>. The longer the line under a word, the surer the model was.'
    "{ring}</span></p>"
)
_CUT = '<p class="note">The sentence was cut off before it ended.</p>'
_BLIND = '<p class="note">This model takes the whole photo at once: no word looks anywhere in particular.</p>'
_TOO_LONG = (
    '<p class="note">The alignment of sentences this long is not drawn; their words still show their partners.</p>\n'
)


def article_html(view: ViewModel, *, number: int, count: int, data: str) -> str:
    """One result as an ``article`` of a page.

    Args:
        view: the result.
        number, count: which result it is, from 1, of how many.
        data: the element with what the script needs.
    """
    stage = _stage(view)
    tracks = "\n".join(_track(track, index) for index, track in enumerate(view.tracks))
    others = "".join(_alternatives(track, index) for index, track in enumerate(view.tracks))
    return f"""<article class="result{" with-photo" if stage else ""}" id="result-{number}">
{_head(view, number, count)}<div class="columns">
{stage}<div class="texts">
{tracks}
{_hint(view)}
{others}</div>
</div>
{_cards(view)}{_alignment(view)}{_table(view)}{data}
</article>"""


def text_html(text: str) -> str:
    """Text for an element or a quoted attribute."""
    return escape(clean(text), quote=True)


def clean(text: str) -> str:
    """Without what HTML cannot hold: control characters and lone surrogates."""
    clean_signs = (
        sign if sign in "\t\n" or unicodedata.category(sign) not in {"Cc", "Cs"} else "\ufffd" for sign in text
    )
    return "".join(clean_signs)


def photo_uri(photo: Photo) -> str:
    """The photo as an embedded JPEG of at most 1200 pixels a side."""
    buffer = io.BytesIO()
    for longest, quality in _PHOTO_STEPS:
        buffer = io.BytesIO()
        Image.fromarray(shrink(photo, longest)).save(buffer, format="JPEG", quality=quality, optimize=True)
        if buffer.tell() <= _PHOTO_BYTES:
            break
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _head(view: ViewModel, number: int, count: int) -> str:
    """Where the reader is among several results; a single one is named by the page."""
    if count < 2:
        return ""
    name = f"<h2><bdi>{text_html(view.name)}</bdi></h2>" if view.photo is not None else "<span></span>"
    steps = "".join(
        f'<a href="#result-{target}" aria-label="{label}">{sign}</a>' if 0 < target <= count else f"<span>{sign}</span>"
        for sign, label, target in (("‹", "previous", number - 1), ("›", "next", number + 1))
    )
    return (
        f'<header class="head">{name}<nav class="steps" aria-label="Results">{number} of {count} {steps}</nav></header>'
        "\n"
    )


def _stage(view: ViewModel) -> str:
    """The photo, its heat map, and a frame around what the model saw where that is not all of it."""
    if view.photo is None or view.regions is None:
        return ""
    height, width = view.photo.shape[:2]
    rows, columns = edges(view.regions)
    top, bottom = max(0.0, rows.min()), min(1.0, rows.max())
    left, right = max(0.0, columns.min()), min(1.0, columns.max())
    frame = note = ""
    if (right - left) * (bottom - top) < 0.985:
        inset = " ".join(f"{share * 100:.2f}%" for share in (top, 1 - right, 1 - bottom, left))
        frame = f'<div class="seen" style="inset:{inset}" aria-hidden="true"></div>'
        note = '<span class="frame-note">The model saw what is inside the frame.</span>'
    return f"""<figure class="stage" style="--ratio:{width / height:.4f}">
<div class="photo"><img src="{photo_uri(view.photo)}" width="{width}" height="{height}"
alt="{text_html(view.tracks[0].text or view.name)}"><canvas aria-hidden="true"></canvas>{frame}</div>
<figcaption class="legend">{note}<span>looked away</span><i aria-hidden="true"></i><span>looked here</span></figcaption>
</figure>
"""


def _hint(view: ViewModel) -> str:
    """How to go through the words; nothing where there are none."""
    if not any(track.words for track in view.tracks):
        return ""
    rings = any(point is not None for track in view.tracks for point in track.points)
    return _HINT.format(ring=" A ring marks what the word points at." if rings else "")


def _track(track: SentenceTrack, index: int) -> str:
    score = "" if track.score is None else f'<span class="score">score {_number(track.score)}</span>'
    play = '<button type="button" class="play" aria-pressed="false">Play</button>' if len(track.words) > 1 else ""
    blind = bool(track.weights) and all(float(np.ptp(each)) < 1e-6 for each in track.weights)
    note = f'<p class="note">{text_html(track.note)}</p>' if track.note else ""
    name = f"{text_html(track.title)}, {len(track.words)} words"
    return f"""<section class="track" data-track="{index}">
<div class="track-head"><h3>{text_html(track.title)}</h3>{score}{play}</div>
<div class="sentence" role="group" dir="auto" aria-label="{name}">{_sentence(track)}</div>
{"" if track.finished else _CUT}{_BLIND if blind else ""}{note}</section>"""


def _sentence(track: SentenceTrack) -> str:
    """The sentence as it was written, each word a button; words joined by spaces where they are not found in it."""
    buttons = [_word(track, index) for index in range(len(track.words))]
    if not buttons:
        return f'<span class="plain">{text_html(track.text) or "(no words)"}</span>'
    parts, end = [], 0
    for button, word in zip(buttons, track.words, strict=True):
        if word.span is None or word.span[0] < end:
            return " ".join(buttons)
        parts += [text_html(track.text[end : word.span[0]]), button]
        end = word.span[1]
    return "".join([*parts, text_html(track.text[end:])])


def _word(track: SentenceTrack, index: int) -> str:
    word = track.words[index]
    shown = word.text if word.span is None else track.text[slice(*word.span)]
    sure = "" if word.probability is None else f' style="--p:{word.probability:.3f}"'
    doubt = "" if word.supported else ", without evidence"
    label = text_html(f"{word.text}, word {index + 1} of {len(track.words)}{doubt}")
    kind = "word" if word.supported else "word doubtful"
    return (
        f'<button type="button" class="{kind}" tabindex="{-1 if index else 0}" aria-pressed="false" '
        f'aria-label="{label}"{sure}>{text_html(shown)}</button>'
    )


def _alternatives(track: SentenceTrack, index: int) -> str:
    if not track.alternatives:
        return ""
    items = "".join(
        f'<li><bdi>{text_html(other.text)}</bdi><span class="score">{_number(other.score)}</span></li>'
        for other in track.alternatives
    )
    title = "Other translations" if index else "Other captions"
    return f'<section class="alternatives"><h3>{title}</h3><ol>{items}</ol></section>\n'


def _cards(view: ViewModel) -> str:
    """One small photo a word; the buttons of the sentence say the same to those who cannot see them."""
    if view.photo is None:
        return ""
    height, width = view.photo.shape[:2]
    strips = "".join(
        f'<section class="strip"><h3>{text_html(track.title)}, word by word</h3>'
        f"<ol>{''.join(_card(track, index, word) for word in range(len(track.weights)))}</ol></section>\n"
        for index, track in enumerate(view.tracks)
        if track.weights
    )
    return f'<div class="strips" aria-hidden="true" style="--ratio:{width / height:.4f}">{strips}</div>\n'


def _card(track: SentenceTrack, index: int, word: int) -> str:
    probability = track.words[word].probability
    doubtful = "" if track.words[word].supported else " doubtful"
    return (
        f'<li class="card{doubtful}" data-track="{index}" data-word="{word}"><canvas></canvas>'
        f'<span class="card-word"><bdi>{text_html(track.words[word].text)}</bdi></span>'
        f'<span class="score">{"" if probability is None else percent(probability)}</span>'
        f"{_curve(track.words[word].curve)}</li>"
    )


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """The probability of a word as what it looked at is taken away, from nothing on the left to all on the right."""
    if not points:
        return ""
    line = " ".join(f"{share * 100:.1f},{32 - probability * 30:.1f}" for share, probability in points)
    return (
        '<svg class="curve" viewBox="0 0 100 33" preserveAspectRatio="none"><title>Probability as what the word looked '
        f'at is taken away</title><polyline points="{line}"/></svg>'
    )


def _alignment(view: ViewModel) -> str:
    """The alignment as a table: translated words down, source words across."""
    if view.links is None or not view.links.size:
        return ""
    if view.links.size > _MOST_CELLS:
        return _TOO_LONG
    source, target = view.tracks
    head = "".join(
        f'<th scope="col" data-track="0" data-word="{index}"><span><bdi>{text_html(word.text)}</bdi></span></th>'
        for index, word in enumerate(source.words)
    )
    rows = "".join(
        f'<tr><th scope="row" data-track="1" data-word="{index}"><bdi>{text_html(word.text)}</bdi></th>'
        f"{_cells(weights)}</tr>"
        for index, (word, weights) in enumerate(zip(target.words, view.links, strict=True))
    )
    return f"""<section class="alignment"><h3>Alignment, percent of attention</h3>
<div class="scroll" tabindex="0" role="region" aria-label="Alignment"><table>
<thead><tr><td></td>{head}</tr></thead>
<tbody>{rows}</tbody>
</table></div></section>
"""


def _cells(weights: Iterable[float]) -> str:
    return "".join(
        f'<td style="--w:{weight:.3f}"{" class=strong" if weight > 0.55 else ""}>'
        f"{f'{weight * 100:.0f}' if weight >= 0.05 else ''}</td>"
        for weight in weights
    )


def _table(view: ViewModel) -> str:
    """Every word and what there is to say of it; closed by the script, open without one."""
    rows = "".join(
        f"<tr><th scope=row><bdi>{text_html(word.text)}</bdi></th><td>{text_html('; '.join(word.details))}</td></tr>"
        for track in view.tracks
        for word in track.words
    )
    if not rows:
        return ""
    summary = "<summary>Every word in a table</summary>"
    return f'<details class="table" open>{summary}<table><tbody>{rows}</tbody></table></details>\n'


def _number(score: float) -> str:
    return f"{score:.2f}".replace("-", "−")
