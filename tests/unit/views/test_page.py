"""A page stands alone, holds what the result holds, and cannot be acted on by what it shows."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from regard.result_views import save_together
from regard.results import Alternative, Caption, SourceWord, TargetWord, Translation, Word
from regard.views.region_names import describe_region

HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "' onfocus='alert(3)",
    "<!--<script>",
    "]]>",
    "&lt;b&gt;",
    "\x00\x1b[31m\u2028\u2029",
    "\udc80",
    "</title></style></iframe>",
]
URLS = {"href", "src", "srcset", "action", "data", "poster", "formaction", "ping", "background", "xlink:href"}
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "script", "header", "main", "nav", "article", "section"),
    *("h1", "h2", "h3", "p", "div", "span", "bdi", "i", "kbd", "ol", "li", "a", "button", "figure", "figcaption"),
    *("img", "canvas", "details", "summary", "table", "thead", "tbody", "tr", "th", "td"),
}


class Document(HTMLParser):
    """The elements of a page, with the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[tuple[dict[str, str], str]] = []
        self.text = ""
        self._open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        self._open = tag
        if tag == "script":
            self.scripts.append((attributes, ""))

    def handle_endtag(self, tag) -> None:
        self._open = ""

    def handle_data(self, data) -> None:
        if self._open == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif self._open != "style":
            self.text += data

    def all(self, tag: str, kind: str = "") -> list[dict[str, str]]:
        return [each for name, each in self.elements if name == tag and kind in each.get("class", "")]


def _page(result, tmp_path) -> str:
    return result.save(tmp_path / "page.html").read_text(encoding="utf-8")


def _hostile_caption(caption: Caption) -> Caption:
    look = caption.words[0].weights
    words = tuple(Word(text, 0.5, look) for text in HOSTILE)
    alternatives = tuple(Alternative(text, -1.0) for text in HOSTILE)
    return Caption(HOSTILE[1], " ".join(HOSTILE), -1.0, words, alternatives, False, caption.photo, caption.regions)


def _hostile_translation() -> Translation:
    sources = tuple(SourceWord(text, (0, 1)) for text in HOSTILE)
    targets = tuple(TargetWord(text, 0.5) for text in HOSTILE)
    alternatives = tuple(Alternative(text, -1.0) for text in HOSTILE)
    size = len(HOSTILE)
    return Translation(HOSTILE[0], " ".join(HOSTILE), -1.0, sources, targets, np.eye(size), alternatives, True)


@pytest.mark.parametrize("kind", ["caption", "translation", "translated"])
def test_nothing_leaves_the_page(request, kind, tmp_path) -> None:
    text = _page(request.getfixturevalue(kind), tmp_path)
    assert not re.search(r"(?i)(https?|wss?|ftp|file):", text)
    assert "@import" not in text
    assert "url(" not in text
    for tag, attributes in Document(text).elements:
        for name in URLS & set(attributes):
            assert attributes[name].startswith(("data:image/jpeg;base64,", "#")), (tag, name)


@pytest.mark.parametrize("hostile", ["caption", "translation"])
def test_hostile_text_is_inert(caption, hostile, tmp_path) -> None:
    result = _hostile_caption(caption) if hostile == "caption" else _hostile_translation()
    path = save_together([result, result], tmp_path / "page.html", title=HOSTILE[0] + HOSTILE[-1])
    document = Document(path.read_text(encoding="utf-8"))
    assert {tag for tag, _ in document.elements} <= ALLOWED
    assert not [name for _, attributes in document.elements for name in attributes if name.startswith("on")]
    running = [script for attributes, script in document.scripts if attributes.get("type") != "application/json"]
    assert len(running) == 1
    assert "alert" not in running[0]
    assert len(document.all("img")) == (2 if hostile == "caption" else 0)
    assert HOSTILE[0] in document.text


def test_the_page_allows_itself_its_own_script_only(caption, tmp_path) -> None:
    document = Document(_page(caption, tmp_path))
    (policy,) = [each["content"] for each in document.all("meta") if "http-equiv" in each]
    (script,) = [text for attributes, text in document.scripts if not attributes]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_every_word_is_a_button_within_the_sentence_as_written(caption, tmp_path) -> None:
    text = _page(caption, tmp_path)
    buttons = Document(text).all("button", "word")
    assert [each["aria-label"].split(",")[0] for each in buttons] == ["a", "dog", "runs", "on", "the", "beach", "."]
    assert [each["tabindex"] for each in buttons] == ["0"] + ["-1"] * 6
    sentence = re.search(r'<div class="sentence"[^>]*>(.*?)</div>', text)
    assert sentence
    assert re.sub(r"<[^>]*>", "", sentence.group(1)) == caption.text


def test_the_script_is_given_the_weights_and_the_grid(caption, tmp_path) -> None:
    document = Document(_page(caption, tmp_path))
    data, drawing = (json.loads(text) for attributes, text in document.scripts if attributes)
    weights = np.array(data["tracks"][0]["weights"]) / 10_000
    assert np.allclose(weights, [word.weights for word in caption.words], atol=1e-4)
    assert data["rows"][0] == [0, pytest.approx(1 / 7, abs=1e-4)]
    assert len(drawing["ramp"]) == 65


def test_the_script_is_told_where_words_point(caption, tmp_path) -> None:
    first, *others = (replace(word, point=None) for word in caption.words)
    pointed = replace(caption, words=(replace(first, point=(0.25, 0.9)), *others))
    pages = [Document(_page(each, tmp_path)) for each in (replace(caption, words=(first, *others)), pointed)]
    data = [json.loads(next(text for attributes, text in page.scripts if attributes)) for page in pages]
    assert [each["tracks"][0]["points"][0] for each in data] == [None, [0.25, 0.9]]
    assert ["A ring marks" in page.text for page in pages] == [False, True]
    assert "points at the bottom left" in pages[1].text


def test_without_a_script_a_table_says_everything(caption, translation, tmp_path) -> None:
    text = Document(_page(caption, tmp_path)).text
    assert f"90\u00a0% sure; looked at: {describe_region(caption.words[0].weights, caption.regions)}" in text
    assert "−1.25" in text
    alignment = Document(_page(translation, tmp_path))
    assert len(alignment.all("td")) >= translation.alignment.size
    assert "came from:" in alignment.text


def test_links_pair_the_words_of_both_sentences(translation, tmp_path) -> None:
    data = json.loads(Document(_page(translation, tmp_path)).scripts[0][1])
    source_to_target, target_to_source = data["links"]
    assert len(source_to_target) == len(translation.source_words)
    for row, partners in enumerate(target_to_source):
        for column, weight in partners:
            assert weight == pytest.approx(translation.alignment[row, column], abs=1e-3)
            assert [row, weight] in source_to_target[column]


def test_several_photos_have_contents_and_steps(make_caption, tmp_path) -> None:
    captions = [make_caption(path=f"{i}.jpg") for i in range(3)]
    document = Document(save_together(captions, tmp_path / "page.html").read_text(encoding="utf-8"))
    targets = {f"#{each['id']}" for each in document.all("article")}
    links = [each["href"] for each in document.all("a")]
    assert targets == {"#result-1", "#result-2", "#result-3"}
    assert set(links) == targets
    assert len(links) == 3 + 4
    assert "3 photos" in document.text


def test_a_partly_seen_photo_says_so(make_caption, tmp_path) -> None:
    cropped = Document(_page(make_caption(size=(90, 60), mode="crop"), tmp_path))
    (frame,) = cropped.all("div", "seen")
    assert frame["style"] == "inset:0.00% 16.67% 0.00% 16.67%"
    assert not Document(_page(make_caption(size=(90, 60), mode="letterbox"), tmp_path)).all("div", "seen")


def test_a_model_that_does_not_look_says_so(caption, tmp_path) -> None:
    words = tuple(Word(word.text, 0.5, np.full((7, 7), 1 / 49)) for word in caption.words)
    blind = Caption("a", caption.text, 0.0, words, (), True, caption.photo, caption.regions)
    note = "no word looks anywhere in particular"
    assert note in _page(blind, tmp_path)
    assert note not in _page(caption, tmp_path)


def test_a_translator_that_does_not_look_says_so(translation, translated, tmp_path) -> None:
    note = "This model takes the whole sentence at once"
    assert note not in _page(translation, tmp_path) + _page(translated, tmp_path)
    blind = replace(translation, attends=False)
    through = replace(translated, translation=replace(translated.translation, attends=False))
    assert _page(blind, tmp_path).count(note) == _page(through, tmp_path).count(note) == 1
    for seeing, other in ((translation, blind), (translated, through)):
        assert other.to_image().height > seeing.to_image().height, "the picture has a line more"
    empty = replace(blind, text="", words=(), alignment=np.zeros((0, len(blind.source_words))))
    assert note not in _page(empty, tmp_path)


def test_a_page_of_a_large_noisy_photo_stays_under_300_kilobytes(make_caption, tmp_path) -> None:
    caption = make_caption("a dog and a man run and jump and play with a red ball on the long sandy beach by the sea .")
    noise = np.random.default_rng(0).integers(0, 256, (900, 1600, 3), dtype=np.uint8)
    noisy = Caption("noise.jpg", caption.text, 0.0, caption.words, (), True, noise, caption.regions)
    assert noisy.save(tmp_path / "page.html").stat().st_size < 300_000


def test_a_notebook_gets_the_page_in_a_frame_of_its_own(caption) -> None:
    (frame,) = Document(caption._repr_html_()).all("iframe")
    assert frame["srcdoc"].startswith("<!doctype html>")
    assert frame["sandbox"] == "allow-scripts"


def test_a_long_alignment_is_not_drawn_but_still_linked(make_translation, tmp_path) -> None:
    source = " ".join(f"w{i}" for i in range(90))
    document = Document(_page(make_translation(source, source), tmp_path))
    assert len(document.all("td")) == 180
    assert "still show their partners" in document.text
