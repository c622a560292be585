"""Every benchmark on the smallest work: it runs, its rows are whole, and a peer that is absent stops nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import caption_photos
import gpu
import scaling
import search_features
import train_attend
import train_rnnsearch
import translate
from inputs import Captions, Sentences, caption_batches, photos, sentence_batches
from measure import why_not_compiled
from rows import Conditions, Row
from training import WAYS, Setup, contestant, memory, one_each, training_round
from translation import encode, steps_of

pytestmark = pytest.mark.usefixtures("no_data", "no_peers")

TINY = Setup(regions=5, dim=6, hidden=8, images=3, captions=2, threads=1)
ONCE = Conditions(threads=1, repetitions=1)


@pytest.fixture
def captions() -> Captions:
    return caption_batches(images=3, captions=2, batches=2)


@pytest.fixture
def sentences() -> Sentences:
    return sentence_batches("val", sentences=3, batches=2)


def whole(rows: list[Row]) -> bool:
    return all(row.ours and row.theirs and row.share and row.ratio and not row.missing for row in rows)


def test_every_way_to_train_learns_the_same_number_of_tokens(captions: Captions) -> None:
    counts = {}
    for way in WAYS:
        if way == "compiled" and why_not_compiled():
            continue
        entered = contestant(way, replace(TINY, bridge=4, dropout=0.0), captions)
        before = sum(float(loss().detach()) for loss in entered.losses)
        steps = training_round(entered)
        for _ in range(3):
            steps()
        assert sum(float(loss().detach()) for loss in entered.losses) < before
        counts[way] = entered.num_tokens
    assert counts.pop("textbook") < captions.num_tokens
    assert set(counts.values()) == {captions.num_tokens}


def test_the_textbook_takes_one_caption_of_each_image(captions: Captions) -> None:
    for batch in captions.batches:
        chosen = one_each(batch)
        assert tuple(chosen.lengths.shape) == (3, 1)
        assert chosen.lengths[:, 0].tolist() == [int(batch.lengths[image, image % 2]) for image in range(3)]


def test_training_gives_a_row_for_each_peer(captions: Captions) -> None:
    outcome = train_attend.speed_on(TINY, captions, "5 × 6", repetitions=1)
    rows: dict[str, list[str]] = {}
    for row in outcome.rows:
        rows.setdefault(row.work, []).append(row.peer)
    assert rows == train_attend.works("5 × 6")
    assert whole([row for row in outcome.rows if not row.missing])
    assert outcome.rate


def test_without_a_compiler_rows_say_so(
    captions: Captions, sentences: Sentences, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (train_attend, train_rnnsearch):
        monkeypatch.setattr(module, "why_not_compiled", lambda: "no C++ compiler is found")
    looked = train_attend.speed_on(TINY, captions, "5 × 6", repetitions=1).rows
    translated = train_rnnsearch.measure_on(sentences, ONCE, hidden=8, embedding=6).rows
    missing = [row for row in (*looked, *translated) if row.missing == "no C++ compiler is found"]
    assert {row.work for row in missing} == {
        *(work for work in train_attend.works("5 × 6") if "compiled" in work),
        *(work for work in train_rnnsearch.WORKS if "compiled" in work),
    }
    assert whole([row for row in looked if not row.missing])


def test_a_step_of_ours_keeps_less_than_plain_pytorch(captions: Captions) -> None:
    setup = replace(TINY, regions=40, hidden=32)
    (kept, _), (kept_plainly, _) = (memory(way, setup, captions) for way in ("fused", "plain"))
    assert kept < kept_plainly / 2


def test_translation_is_measured_without_the_peer(sentences: Sentences) -> None:
    trained = train_rnnsearch.measure_on(sentences, ONCE, hidden=8, embedding=6)
    translated = translate.measure_on(sentences, ONCE, lexicon=translate.learn(sentences), hidden=8, embedding=6)
    assert [row.work for row in translated.rows] == list(translate.WORKS)
    for row in (*trained.rows[:-1], *translated.rows):
        if row.missing and row.missing == why_not_compiled():
            continue
        assert row.ours
        assert (row.peer, row.theirs, row.ratio) == ("JoeyNMT", None, None)
        assert "make bench" in row.missing
    assert [row.work for row in trained.rows[:-1]] == list(train_rnnsearch.WORKS)
    assert whole(trained.rows[-1:])


def test_the_translator_that_ships_is_measured_where_the_sentences_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = translate.shipped_model(2, ONCE).rows
    assert [row.work for row in absent] == list(translate.SHIPPED_WORKS)
    assert all("not here" in row.missing and row.ours is None for row in absent)
    (tmp_path / "multi30k").mkdir()
    for language, text in (("en", "A dog runs.\nTwo girls.\n"), ("de", "Ein Hund rennt.\nZwei Mädchen.\n")):
        (tmp_path / "multi30k" / f"val.{language}").write_text(text, encoding="utf-8")
    monkeypatch.setenv("REGARD_DATA", str(tmp_path))
    rows = translate.shipped_model(2, ONCE).rows
    assert [row.work for row in rows] == [row.work for row in absent]
    assert all(row.ours and row.theirs and row.peer == translate.PLAIN for row in rows)


def test_shortlists_are_chosen_for_each_sentence(sentences: Sentences) -> None:
    lexicon = translate.learn(sentences)
    for batch in sentences.assembled():
        lists = translate.own_words(lexicon, batch)
        assert len(lists) == len(batch)
        assert all(0 < len(own) < sentences.vocabulary / 4 for own in lists)


def test_each_sentence_gets_as_many_words_as_was_said(sentences: Sentences) -> None:
    model = translate.build(sentences.vocabulary, hidden=8, embedding=6).eval()
    for batch, steps in zip(sentences.assembled(), steps_of(sentences), strict=True):
        found = translate.translate(model.decoder, encode(model, batch), steps=steps)
        assert {len(hypotheses[0].tokens) for hypotheses in found} == {steps}


def test_search_from_features_gives_a_row_for_each_peer_and_precision() -> None:
    outcome = search_features.random_weights(torch.randn(3, 5, 6), ONCE, hidden=8)
    assert [row.work for row in outcome.rows] == [search_features.WORK, *search_features.WORKS.values()]
    assert {row.peer for row in outcome.rows} == {search_features.PLAIN, search_features.TEXTBOOK}
    assert whole(outcome.rows)


def test_the_decoder_that_ships_finds_the_same_as_plain_pytorch() -> None:
    decoder, features = search_features.shipped_features(2)
    ours = search_features.captioning(decoder, features, least=0)()
    plainly = search_features.plainly(decoder, features, least=0)()
    assert [list(found[0].tokens) for found in ours] == plainly
    assert min(map(len, plainly)) < search_features.STEPS
    rows = search_features.trained_weights(decoder, features, ONCE).rows
    assert [row.work for row in rows] == list(search_features.SHIPPED_WORKS.values())
    assert whole(rows)


def test_photos_are_captioned_without_the_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caption_photos, "load_graphs", lambda threads: (None, "ONNX Runtime is not here"))
    paths, origin = photos(2, made_in=tmp_path)
    outcome = caption_photos.measure_on(paths, origin, ONCE)
    works = [work for work, _ in caption_photos.pairs()]
    assert [row.work for row in outcome.rows] == [*works, caption_photos.FOLDER]
    assert len(outcome.rows) == 12
    assert all(row.ours and row.share and row.theirs is None and row.missing for row in outcome.rows)


def test_plots_have_every_place_on_every_line() -> None:
    plots = [
        scaling.training_words(TINY, ONCE, words=(2, 3)),
        *scaling.searching(ONCE, images=2, dim=6, regions=5, hidden=8),
        scaling.batches(ONCE, dim=6, regions=5, hidden=8),
    ]
    for plot in plots:
        assert plot.lines.keys() == {scaling.OURS, scaling.PLAIN}
        first, second = ([x for x, _ in line] for line in plot.lines.values())
        assert first == second
        assert all(y > 0 for line in plot.lines.values() for _, y in line)
    assert len({plot.name for plot in plots}) == 4


def test_the_rows_of_a_gpu_run_the_same_code(captions: Captions, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = gpu.training_rows(replace(TINY, precision="bfloat16"), captions, ONCE)
    monkeypatch.setenv("REGARD_REFERENCE", "1")  # as on a GPU, where decoders step by themselves
    rows += gpu.search_rows(torch.randn(2, 5, 6), ONCE, hidden=8)
    assert [row.peer for row in rows] == [gpu.PLAIN, gpu.LIMIT, gpu.PLAIN]
    assert whole(rows)
