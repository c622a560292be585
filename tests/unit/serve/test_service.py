"""What the service answers, to those who ask well and to those who do not."""

from __future__ import annotations

import json
import socket
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from regard.pipeline import Captioner, Translator, load_captioner, load_translator
from regard.serve.problems import CODES

from .conftest import Running, Start, png


@pytest.fixture(scope="module")
def captioner(tiny_models: tuple[Path, Path]) -> Captioner:
    return load_captioner(tiny_models[0])


@pytest.fixture(scope="module")
def translator(tiny_models: tuple[Path, Path]) -> Translator:
    return load_translator(tiny_models[1])


def caption_of(captioner: Captioner, image: bytes, **options: object) -> dict[str, object]:
    import io

    file = io.BytesIO(image)
    file.name = "image"
    return captioner.caption(file, **options).to_dict()  # type: ignore[arg-type]


def same(one: Any, other: Any) -> bool:
    """Whether two results are equal but for the rounding of numbers."""
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case list(), list():
            return len(one) == len(other) and all(map(same, one, other))
        case float(), float():
            return bool(one == pytest.approx(other, abs=1e-5))
        case _:
            return bool(one == other)


def test_a_caption_is_that_of_the_library(service: Running, captioner: Captioner) -> None:
    answer = service.caption(png(1))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert same(answer.json(), caption_of(captioner, png(1)))
    named = service.caption(png(1), name="Möwe <b>.png").json()
    assert named["path"] == "Möwe <b>.png"


def test_options_of_the_search_and_a_region_are_those_of_the_library(service: Running, captioner: Captioner) -> None:
    options = {"beam": 4, "alternatives": 3, "prefix": "two dogs", "max_length": 5}
    asked = service.caption(png(2), region="0.2,0,1,0.75", **options)
    assert same(asked.json(), caption_of(captioner, png(2), region=(0.2, 0, 1, 0.75), **options))
    samples = service.caption(png(2), samples=2, temperature=2.5, seed=3).json()
    assert same(samples, caption_of(captioner, png(2), samples=2, temperature=2.5, seed=3))


def test_next_words_and_how_captions_go_on(service: Running) -> None:
    captions = service.caption(png(2), prefix="two dogs", next=3).json()["captions"]
    assert len({each["words"][2]["word"] for each in captions}) == 3
    assert all(each["text"].startswith("two dogs ") for each in captions)


def test_a_caption_in_another_language_leads_back_to_the_photo(service: Running) -> None:
    caption = service.caption(png(3), to="de").json()
    assert caption["translation"]["source"] == caption["text"]
    assert len(caption["translation"]["words"][0]["weights"]) == 3


def test_a_translation_is_that_of_the_library(service: Running, translator: Translator) -> None:
    text = "A dog runs. Two dogs sit near a car."
    assert same(service.translate(text=text).json(), translator.translate(text).to_dict())
    held = service.translate(text="A dog", source="en", to="de", prefix="Two", beam=2, max_length=9)
    assert same(held.json(), translator.translate("A dog", prefix="Two", beam=2, max_length=9).to_dict())
    others = service.translate(text="A dog", prefix="Two", next=2, max_length=12).json()["translations"]
    assert len({each["words"][1]["word"] for each in others}) == len(others) >= 1
    assert service.translate(text="").json()["words"] == []


@pytest.mark.parametrize(("accept", "begins"), [("text/html,*/*;q=0.8", b"<!doctype html>"), ("image/png", b"\x89PNG")])
def test_a_result_as_a_page_or_a_picture(service: Running, accept: str, begins: bytes) -> None:
    for answer in (service.caption(png(1), {"accept": accept}), service.translate({"accept": accept}, text="A dog")):
        assert answer.status == 200
        assert answer.body.startswith(begins)
        assert answer.headers["content-type"].split(";")[0] == accept.split(",")[0]
        assert answer.headers["content-security-policy"].startswith("sandbox")


def events_of(body: bytes) -> list[tuple[str, Any]]:
    """The names and data of server-sent events."""
    pairs = [each.split("\n") for each in body.decode().strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in pairs]


@pytest.mark.parametrize("beam", [1, 3])
def test_words_are_sent_as_events(service: Running, beam: int) -> None:
    accept = {"accept": "text/event-stream"}
    answer = service.caption(png(1), accept, beam=beam)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *words, (name, whole) = events_of(answer.body)
    assert name == "result"
    assert same(whole, service.caption(png(1), beam=beam).json())
    assert [(name, data["index"]) for name, data in words] == [("word", i) for i in range(len(whole["words"]))]
    assert [data["weights"] for _, data in words] == [each["weights"] for each in whole["words"]]
    *words, (name, whole) = events_of(service.translate(accept, text="A dog. Two girls sing.", beam=beam).body)
    assert name == "result"
    assert same([data["alignment"] for _, data in words], whole["alignment"])
    *_, (name, whole) = events_of(service.caption(png(1), accept, to="de", region="0,0,0.5,1").body)
    assert whole["translation"]["source"] == whole["text"]


def test_words_are_sent_before_the_search_ends(service: Running) -> None:
    query = "beam=1&min_length=100&max_length=100"
    connection = service.connect()
    connection.request("POST", f"/v1/caption?{query}", png(1), {"accept": "text/event-stream"})
    response = connection.getresponse()
    parts = []
    while part := response.read1():
        parts.append(part)
    connection.close()
    assert len(parts) > 10
    assert [name for name, _ in events_of(b"".join(parts))] == ["word"] * 100 + ["result"]


def test_a_stream_that_cannot_begin_is_refused_as_usual(service: Running) -> None:
    accept = {"accept": "text/event-stream"}
    refused = service.caption(b"no image", accept)
    assert (refused.status, refused.code) == (422, "image_unreadable")
    refused = service.caption(png(1), accept, min_evidence=0.5)
    assert (refused.status, refused.code) == (422, "invalid_request")


def test_models_and_state(service: Running, tiny_models: tuple[Path, Path]) -> None:
    models = service.get("/v1/models").json()["models"]
    assert [(each["name"], each["kind"]) for each in models] == [
        (str(tiny_models[0]), "captioner"),
        (str(tiny_models[1]), "translator"),
    ]
    assert models[1]["languages"] == ["en", "de"]
    assert service.get("/healthz").json() == {"status": "ok"}
    assert service.get("/readyz").json() == {"status": "ready"}
    metrics = service.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'regard_requests_total{route="/v1/models",status="200"}' in metrics.body.decode()
    assert "regard_processes_ready 1" in metrics.body.decode().splitlines()


def header_of_a_png(width: int, height: int) -> bytes:
    """A file that says that it is huge, and ends."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


@pytest.mark.parametrize(
    ("image", "query", "code"),
    [
        (b"", {}, "image_unreadable"),
        (b"no picture", {}, "image_unreadable"),
        (png()[:200], {}, "image_unreadable"),
        (header_of_a_png(100_000, 100_000), {}, "image_unreadable"),
        (header_of_a_png(600, 500), {}, "image_unreadable"),
        (png(), {"beam": 21}, "invalid_request"),
        (png(), {"beam": "many"}, "invalid_request"),
        (png(), {"beam": 0}, "invalid_request"),
        (png(), {"max_length": 101}, "invalid_request"),
        (png(), {"colour": "red"}, "invalid_request"),
        (png(), {"next": 3, "to": "de"}, "invalid_request"),
        (png(), {"min_evidence": 2}, "invalid_request"),
        (png(), {"region": "0,0,2,1"}, "invalid_request"),
        (png(), {"region": "0.5,0,0.5,1"}, "invalid_option"),
        (png(), {"alternatives": 3, "beam": 2}, "invalid_option"),
        (png(), {"temperature": 2}, "invalid_option"),
        (png(), {"prefix": "two zebras"}, "text_unusable"),
        (png(), {"prefix": "x" * 500}, "invalid_request"),
        (png(), {"model": "none"}, "model_unknown"),
        (png(), {"to": "xx"}, "model_unknown"),
    ],
)
def test_what_cannot_be_captioned_is_refused_in_one_shape(
    service: Running, image: bytes, query: dict[str, object], code: str
) -> None:
    answer = service.caption(image, **query)
    assert answer.status == CODES[code][0]
    assert set(answer.json()["error"]) == {"code", "message", "allowed", "remedy"}
    assert answer.code == code
    assert answer.json()["error"]["message"]


def test_other_refusals(service: Running) -> None:
    assert service.caption(png(), {"content-type": "text/plain"}).code == "unsupported_type"
    assert service.caption(bytes(300_001)).code == "too_large"
    assert service.translate(text="x" * 401).code == "invalid_request"
    assert service.translate(text=["a"]).code == "invalid_request"
    assert service.translate(text="a", source="de").code == "model_unknown"
    assert service.translate(text="a", prefix="A dog runs. " * 20).code == "invalid_option"
    for body in (b"", b"{", b"[]", b"\xff\xfe", b'{"text": "\\ud800"}', b"[" * 100_000, b'{"text": NaN}'):
        answer = service.ask("POST", "/v1/translate", body, {"content-type": "application/json"})
        assert (answer.status, answer.code) == (422, "invalid_request"), body[:20]
    assert service.get("/v1/nothing").code == "not_found"
    assert service.get("/v1/caption").code == "method_not_allowed"
    for path in ("/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page//etc/passwd", "/page/"):
        assert service.get(path).status == 404


def test_only_known_hosts_and_origins_are_served(service: Running) -> None:
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::1].evil", ""):
        answer = service.get("/v1/models", Host=host)
        assert (answer.status, answer.code) == (421, "unknown_host"), host
    assert service.get("/v1/models", Host="LOCALHOST:99").status == 200
    assert service.get("/v1/models", Origin="http://evil.example").code == "foreign_origin"
    assert service.get("/v1/models", Origin="null").code == "foreign_origin"
    assert service.get("/v1/models", Origin=f"http://127.0.0.1:{service.port}").status == 200


@pytest.mark.parametrize("path", ["/", "/v1/models", "/none", "/openapi.json", "/page/style.css"])
def test_every_response_has_the_headers_that_protect_a_page(service: Running, path: str) -> None:
    headers = service.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_keys_and_other_origins_are_as_the_service_was_told(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("first-key\nsecond-key\n")
    service = start("--api-keys", str(keys), "--allow-origin", "https://page.example", "--allow-host", "regard.example")
    for path in ("/v1/models", "/metrics"):
        assert service.get(path).code == "key_missing"
        assert service.get(path, Authorization="Basic Zmlyc3Qta2V5").code == "key_missing"
        assert service.get(path, Authorization="Bearer first-ke").code == "key_unknown"
        assert service.get(path, Authorization="Bearer second-key").status == 200
    assert service.get("/v1/models").headers["www-authenticate"] == "Bearer"
    for path in ("/", "/healthz", "/readyz"):
        assert service.get(path).status == 200
    assert b"first-key" not in service.get("/openapi.json").body
    assert service.get("/healthz", Host="regard.example").status == 200
    allowed = service.get("/healthz", Origin="https://page.example")
    assert allowed.headers["access-control-allow-origin"] == "https://page.example"


def test_the_description_names_every_route_and_the_shape_of_errors(service: Running) -> None:
    description = service.get("/openapi.json").json()
    assert set(description["paths"]) >= {
        "/v1/caption",
        "/v1/translate",
        "/v1/models",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    caption = description["paths"]["/v1/caption"]["post"]
    assert "image/jpeg" in caption["requestBody"]["content"]
    for status in ("401", "404", "413", "415", "422", "429", "503"):
        schema = caption["responses"][status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErrorBody"}, status


def test_many_clients_each_get_their_own_answer(service: Running) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def ask(number: int) -> bool:
        text = f"A dog runs near {number} dogs"
        answer = service.translate(text=text, max_length=2, beam=1, alternatives=0)
        return answer.status == 429 or bool(answer.json()["source"] == text)

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(ask, range(240)))


def test_a_client_that_goes_away_leaves_the_others_alone(service: Running) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            head = "POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            body = json.dumps({"text": "A dog runs on the beach."}).encode()
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    assert service.translate(text="A dog").status == 200


def test_a_model_is_looked_into_and_its_words_are_explained(service: Running) -> None:
    seen = service.ask("POST", "/v1/inspect", png(1), {"content-type": "image/png"}).json()
    assert [step["text"] for step in seen["inspection"]["steps"]] == [each["word"] for each in seen["caption"]["words"]]
    explained = service.ask("POST", "/v1/explain", png(1), {"content-type": "image/png"}).json()
    assert explained["text"] == seen["caption"]["text"]
    assert "faithfulness" in explained["words"][0]
    asked = json.dumps({"text": "A dog"}).encode()
    answer = service.ask("POST", "/v1/explain/translation", asked, {"content-type": "application/json"})
    assert "faithfulness" in answer.json()["words"][0]
