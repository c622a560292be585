"""The page as people use it: with a mouse, a finger, the keyboard, and a screen reader."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from .conftest import AXE, Open, photo_of_skimage

Described = Callable[..., Any]
CAPTION = "#photo-result .lane >> nth=0 >> .word"
SCREENSHOTS = os.environ.get("REGARD_SCREENSHOTS")
VIEWS = ("#photos", "#sentences", "#how", "#history")


def caption_of(page: Any) -> str:
    return str(page.locator("#photo-result .sentence").first.inner_text())


def becomes(page: Any, expression: str, given: object = None) -> None:
    """Wait for an expression of the page to be true; the page's own policy forbids that it waits itself."""
    for _ in range(600):
        if page.evaluate(expression, given):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


def paints(page: Any) -> bool:
    """Whether attention lies on the photo."""
    return bool(
        page.evaluate(
            """() => {
              const stage = document.querySelector(".stage"), canvas = stage.querySelector(".heat");
              if (!stage.classList.contains("showing")) return false;
              const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
              return new Set(pixels).size > 50;
            }"""
        )
    )


def give_files(page: Any, kind: str, name: str, content: bytes) -> None:
    """Drop or paste a file."""
    page.evaluate(
        """([kind, name, bytes]) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
          const event = kind === "drop"
            ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
          document.body.dispatchEvent(event);
        }""",
        [kind, name, list(content)],
    )


def small_png(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (48, 32), (number * 8 % 256, 90, 200 - number * 5)).save(file, format="PNG")
    return file.getvalue()


def test_a_word_under_the_mouse_lays_its_attention_on_the_photo(described: Described) -> None:
    page = described()
    assert not paints(page)
    page.locator(CAPTION).nth(1).hover()
    assert paints(page)
    said = page.locator("#photo-result .reading").inner_text()
    assert "% of attention" in said or "all over the photo" in said
    assert "sure (" in said
    page.mouse.move(5, 5)
    assert not paints(page)
    assert page.locator("#photo-result img").first.get_attribute("alt") == caption_of(page)


def test_the_keyboard_walks_through_the_words(described: Described) -> None:
    page = described()
    page.keyboard.press("ArrowRight")
    focused = "document.activeElement.textContent"
    words = page.locator(CAPTION).all_inner_texts()
    assert page.evaluate(focused) == words[0]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == words[1]
    assert paints(page)
    page.keyboard.press("End")
    assert page.evaluate(focused) == words[-1]
    assert page.locator(".card.chosen").count() == 1
    page.keyboard.press("Escape")
    assert not paints(page)
    page.keyboard.press("Home")
    page.keyboard.press("p")
    becomes(page, "document.querySelectorAll('.word')[1].classList.contains('chosen')")


def test_a_finger_pins_a_word_and_lets_go_of_it(described: Described) -> None:
    page = described(has_touch=True, is_mobile=True, width=390, height=800)
    page.locator(CAPTION).nth(2).tap()
    assert paints(page)
    page.locator(CAPTION).nth(2).tap()
    assert not paints(page)


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_photos_are_dropped_and_pasted(open_page: Open, kind: str) -> None:
    page = open_page()
    give_files(page, kind, "one.png", small_png(1))
    page.wait_for_selector(CAPTION)
    assert page.locator("#photo-result article").get_attribute("aria-label") == "one.png"


def test_a_word_is_replaced_and_the_rest_is_written_anew(described: Described) -> None:
    page = described()
    own = caption_of(page)
    page.locator(CAPTION).nth(1).click()
    page.locator(".steering button").first.click()
    chip = page.locator(".steering li button.chip").first
    chosen = chip.locator("bdi").inner_text()
    chip.click()
    becomes(page, "own => document.querySelector('#photo-result .sentence').innerText !== own", own)
    assert caption_of(page).split()[:2] == [own.split()[0], chosen]
    page.locator(CAPTION).nth(0).click()
    page.locator(".steering button").first.click()
    page.locator(".own-word input").fill("two")
    page.keyboard.press("Enter")
    becomes(page, "document.querySelector('#photo-result .sentence').innerText.startsWith('two ')")
    page.get_by_label("Back to the model's own").click()
    becomes(page, "own => document.querySelector('#photo-result .sentence').innerText === own", own)


def test_an_alternative_is_one_click_away(described: Described) -> None:
    page = described()
    other = page.locator(".other bdi").first.inner_text()
    page.locator(".other").first.click()
    becomes(page, "t => document.querySelector('#photo-result .sentence').innerText === t", other)
    page.locator(CAPTION).nth(1).hover()
    assert paints(page)


def test_a_region_tells_who_looked_there_and_is_described_alone(described: Described) -> None:
    page = described()
    box = page.locator(".photo").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.3)
    assert "ooked here" in page.locator(".region-panel").inner_text()
    page.mouse.move(box["x"] + 5, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] - 5, steps=4)
    page.mouse.up()
    page.get_by_text("Describe this part").click()
    page.wait_for_selector("text=Caption of this part")
    weights = page.evaluate("async () => (await (await import('/page/history.js')).list())[0].result.words[0].weights")
    assert sum(sum(row) for row in weights[:3]) == 0
    page.get_by_text("Describe the whole photo again").click()
    page.wait_for_selector("text=Caption of this part", state="detached")
    page.locator(".photo").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    assert page.locator(".region").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator(".region").is_visible()


def test_a_german_word_leads_back_to_its_region(described: Described) -> None:
    page = described()
    page.get_by_role("button", name="German", exact=True).click()
    page.wait_for_selector("section[lang=de] .word")
    page.locator("section[lang=de] .word").nth(1).hover()
    assert paints(page)
    assert page.locator("#photo-result .lane >> nth=0 >> .word.linked").count() >= 1
    assert "from:" in page.locator("#photo-result .reading").inner_text()
    page.locator("section[lang=de] .word").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.closest('section').lang") == ""


def test_a_translation_shows_partners_its_matrix_and_other_words(open_page: Open) -> None:
    page = open_page("#sentences")
    page.locator("#text").fill("A dog runs on the beach.")
    page.keyboard.press("Enter")
    page.wait_for_selector("#sentence-result .word")
    target = page.locator("#sentence-result .lane").nth(1)
    target.locator(".word", has_text="Hund").hover()
    assert page.locator("#sentence-result .lane").nth(0).locator(".word.linked").all_inner_texts()
    assert "dog" in page.locator("#sentence-result .reading").inner_text()
    page.locator(".matrix summary").click()
    assert page.locator(".matrix tbody td").count() == target.locator(".word").count() * 7
    target.locator(".word").nth(0).click()
    page.locator(".steering button").first.click()
    word = page.locator(".steering li button.chip bdi").first.inner_text()
    page.locator(".steering li button.chip").first.click()
    becomes(
        page, "w => document.querySelectorAll('#sentence-result .lane')[1].querySelector('.word').innerText === w", word
    )
    page.locator("#swap").click()
    becomes(page, "document.querySelector('#sentence-result .lane').lang === 'de'")


def test_thirty_photos_are_described_and_downloaded(open_page: Open) -> None:
    page = open_page()
    files = [{"name": f"p{n}.png", "mimeType": "image/png", "buffer": small_png(n)} for n in range(28)]
    files += [{"name": "=1+1.png", "mimeType": "image/png", "buffer": small_png(28)}]
    files += [{"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture"}]
    page.set_input_files("#files", files)
    page.wait_for_selector("text=30 of 30")
    assert page.locator(".thumb.done").count() == 29
    page.locator(".thumb.failed").click()
    assert "cannot be read" in page.get_by_role("alert").inner_text()
    page.locator(".thumb").nth(3).click()

    def downloaded(label: str) -> bytes:
        page.get_by_label("Download", exact=True).click()
        with page.expect_download() as download:
            page.get_by_text(label).click()
        return Path(download.value.path()).read_bytes()

    rows = list(csv.reader(io.StringIO(downloaded("All as CSV").decode("utf-8-sig"))))
    assert [len(rows), rows[0][0], rows[1][0], rows[29][0]] == [30, "photo", "p0.png", "'=1+1.png"]
    with zipfile.ZipFile(io.BytesIO(downloaded("All as text files"))) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[:2] == ["p0.txt", "p1.txt"]
        assert archive.read("p0.txt").decode() == rows[1][1] + "\n"
    data = json.loads(downloaded("As JSON"))
    assert [data[0]["path"], data[0]["text"]] == ["p0.png", rows[1][1]]
    assert downloaded("This as a page").startswith(b"<!doctype html>")
    assert downloaded("This as a picture").startswith(b"\x89PNG")
    assert b'alt="' in downloaded("alt texts")


def test_a_caption_edited_by_hand_is_kept(described: Described) -> None:
    page = described()
    own = caption_of(page)
    page.get_by_label("Edit by hand").click()
    page.locator(".lane textarea").fill("My <b>own</b> " + own.split()[-1])
    page.keyboard.press("Enter")
    assert caption_of(page) == "My <b>own</b> " + own.split()[-1]
    assert own in page.locator(".note").first.inner_text()
    page.locator(CAPTION).last.hover()
    assert paints(page)
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    page.goto(page.url.split("#")[0] + "#history")
    page.locator(".memory").first.click()
    page.wait_for_selector(CAPTION)
    assert caption_of(page).startswith("My <b>own</b>")
    page.goto(page.url.split("#")[0] + "#history")
    page.get_by_text("Empty the history").click()
    page.wait_for_selector("text=Nothing yet.")


def test_markup_in_a_name_or_a_sentence_stays_text(open_page: Open) -> None:
    page = open_page()
    name = "<img src=x onerror=alert(1)>.png"
    page.set_input_files("#files", [{"name": name, "mimeType": "image/png", "buffer": small_png(3)}] * 2)
    page.wait_for_selector("text=2 of 2")
    assert page.locator("#photo-result article").get_attribute("aria-label") == name
    page.goto(page.url.split("#")[0] + "#sentences")
    page.locator("#text").fill("<script>alert(1)</script> A dog.")
    page.keyboard.press("Enter")
    page.wait_for_selector("#sentence-result .word")
    assert "<script>" in page.locator("#sentence-result .sentence").first.inner_text()
    assert page.locator("img[src=x], #sentence-result script").count() == 0


def test_how_it_works_plays_with_the_readers_own_photo(described: Described) -> None:
    page = described()
    page.goto(page.url.split("#")[0] + "#how")
    page.wait_for_selector(".query")
    assert page.locator(".layer canvas").count() == 30
    assert page.locator(".bars").first.locator(".bar").count() == 5
    weights = page.locator(".cells").nth(1).locator("span").all_inner_texts()
    assert 60 <= sum(map(int, weights)) <= 115  # many small ones are rounded to 0
    page.locator("#how .chips button").nth(3).click()
    assert page.locator(".cells").nth(1).locator("span").all_inner_texts() != weights


def test_the_same_photo_is_described_by_every_decoder_side_by_side(open_page: Open, side_by_side: str) -> None:
    page = open_page(at=side_by_side)
    give_files(page, "drop", "one.png", small_png(1))
    page.wait_for_selector(CAPTION)
    page.goto(page.url.split("#")[0] + "#how")
    page.wait_for_selector(".side h3")
    assert page.locator(".side h3").all_inner_texts() == ["attend", "repeat", "feedback"]
    assert all(page.locator(".side p").all_inner_texts())


def test_a_photo_is_taken_with_the_camera(open_page: Open) -> None:
    page = open_page()
    page.locator("#camera").click()
    page.wait_for_selector("#camera-dialog[open]")
    becomes(page, "document.getElementById('video').videoWidth > 0")
    page.locator("#shutter").click()
    page.wait_for_selector(CAPTION)
    assert page.locator("#photo-result article").get_attribute("aria-label") == "camera.jpg"
    assert not page.locator("#camera-dialog").is_visible()
    becomes(page, "document.getElementById('video').srcObject.getTracks().every((each) => each.readyState === 'ended')")


def test_without_a_camera_the_system_is_asked_for_a_photo(open_page: Open) -> None:
    page = open_page(script="navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('none'))")
    with page.expect_file_chooser() as chooser:
        page.locator("#camera").click()
    assert chooser.value.element.get_attribute("capture") == "environment"


def test_what_is_not_sure_and_what_is_unfamiliar_is_said(open_page: Open) -> None:
    page = open_page()
    give_files(page, "drop", "plain.png", small_png(1))
    page.wait_for_selector("#photo-result >> text=Not sure of it")
    page.goto(page.url.split("#")[0] + "#sentences")
    page.locator("#text").fill("Quantitative easing undermines sovereign creditworthiness, economists caution.")
    page.keyboard.press("Enter")
    page.wait_for_selector("#sentence-result >> text=do not rely on the translation")


@pytest.mark.parametrize("width", [320, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen(described: Described, width: int, scheme: str) -> None:
    page = described(width=width, color_scheme=scheme)
    page.locator(CAPTION).nth(1).click()
    page.get_by_role("button", name="German", exact=True).click()
    page.wait_for_selector("section[lang=de] .word")
    for view in VIEWS:
        page.goto(page.url.split("#")[0] + view)
        if view == "#how":
            page.wait_for_selector(".query")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(19, 17, 16)") == (scheme == "dark")


def test_twice_the_size_fits(described: Described) -> None:
    page = described(width=640, height=430, device_scale_factor=2)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(CAPTION).first.is_visible()


def test_korean_where_the_browser_speaks_it_and_back(described: Described) -> None:
    page = described(locale="ko-KR")
    assert page.evaluate("document.documentElement.lang") == "ko"
    assert page.locator(".views a").all_inner_texts() == ["사진", "문장", "작동 원리", "기록"]
    page.locator(CAPTION).nth(1).hover()
    assert "확신" in page.locator("#photo-result .reading").inner_text()
    page.locator("#language").select_option("en")
    page.wait_for_selector("text=How it works")
    page.locator(CAPTION).nth(1).hover()
    assert "sure (" in page.locator("#photo-result .reading").inner_text()


def test_light_and_dark_are_a_choice_that_lasts(open_page: Open) -> None:
    page = open_page(color_scheme="light")
    page.locator("#theme").click()
    page.reload()
    page.wait_for_selector("html[data-theme=dark]")


def test_motion_is_left_out_where_it_is_not_wanted(described: Described) -> None:
    page = described(reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.querySelector('.heat')).transitionDuration") == "0s"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(described: Described, scheme: str) -> None:
    if not AXE.is_file():
        pytest.skip(f"axe-core is not at {AXE}: make test-browser installs it where it can")
    page = described(color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    page.locator(CAPTION).nth(1).click()
    page.get_by_role("button", name="German", exact=True).click()
    page.wait_for_selector("section[lang=de] .word")
    page.locator(CAPTION).nth(1).click()
    page.locator(".steering button").first.click()
    page.wait_for_selector(".steering li button.chip")
    for view in VIEWS:
        page.goto(page.url.split("#")[0] + view)
        if view == "#how":
            page.wait_for_selector(".query")
        if view == "#sentences":
            page.locator("#examples button").first.click()
            page.wait_for_selector("#sentence-result .word")
            page.locator(".matrix summary").click()
        page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)")
        assert not [(each["id"], [node["target"] for node in each["nodes"]][:3]) for each in found], view


def test_the_pictures_of_the_readme(open_page: Open, tmp_path: Path) -> None:
    folder, cat = Path(SCREENSHOTS) if SCREENSHOTS else tmp_path, photo_of_skimage("chelsea.png")
    page = open_page(width=1200, height=760)
    page.set_input_files("#files", cat)
    page.wait_for_selector(CAPTION)
    page.locator(CAPTION, has_text="cat").first.click()
    page.wait_for_timeout(400)
    page.screenshot(path=folder / "page.png")
    dark = open_page(width=1200, height=760, color_scheme="dark")
    dark.set_input_files("#files", cat)
    dark.wait_for_selector(CAPTION)
    dark.get_by_role("button", name="German", exact=True).click()
    dark.wait_for_selector("section[lang=de] .word")
    dark.locator("section[lang=de] .word", has_text="Katze").first.hover()
    dark.wait_for_timeout(400)
    dark.screenshot(path=folder / "page-german.png")
    for name in ("page.png", "page-german.png"):
        with Image.open(folder / name) as image:
            assert image.size == (1200, 760)
