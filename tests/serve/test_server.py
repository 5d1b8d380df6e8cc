"""The server over HTTP: its answers against `compound predict`, its refusals, and what it survives."""

import asyncio
import io
import json
import os
import re
import shutil
import socket
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from PIL import Image

from benchmarks.serving import phases
from compound import ZOO
from compound.deploy import predict
from compound.deploy.scorelog import read_log
from compound.errors import UsageError
from compound.execution import Execution
from compound.nn import Unknown, Weights, load_weights
from compound.serve import Address, Limits, check_address, protocol
from compound.serve.said import said_of
from compound.serve.server import name_places
from tests.serve.conftest import CLASSES, Running, Start, write_weights

TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def expected(weights: Path, images: list[Path]) -> list[list[dict]]:
    """What prediction from files says, all images in one batch."""
    predictions, damaged = predict(*load_weights(weights), images, Execution("cpu", workers=0))
    assert not damaged
    return [one.to_json()["classes"] for one in predictions]


@pytest.mark.long
def test_every_client_gets_the_offline_answer(server: Running, images, expected) -> None:
    data = [path.read_bytes() for path in images]
    found = asyncio.run(phases.load(server.port, data, expected, clients=16, requests=120, seed=0))
    assert found["statuses"] == {"200": 120}
    assert found["other_answers"] == 0
    assert len({json.dumps(one) for one in expected}) == len(images)  # answers that could be told apart


def test_several_images_and_a_damaged_one(server: Running, images, expected) -> None:
    reply = server.form("/predict?top=2", images[0].read_bytes(), b"nothing", images[1].read_bytes())
    told = reply.json()
    assert [one["image"] for one in told["predictions"]] == [0, 2]
    assert [one["classes"] for one in told["predictions"]] == [expected[0][:2], expected[1][:2]]
    assert "image 1 is damaged" in told["damaged"][0]["error"]


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("/predict", b"", 400, "the body is empty"),
        ("/predict", b"GIF89a", 422, "image 0 is damaged"),
        ("/predict", b"\x80\x04cposix\nsystem\n", 422, "not an image"),
        ("/predict?top=0", b"x", 422, "top is '0'"),
        ("/predict?model=other", b"x", 404, "there is no model 'other'"),
        ("/models/..%2f..%2fetc/predict", b"x", 404, "there is no"),
        ("/explain?class=4", b"x", 422, "has 0 to 3"),
        ("/models", b"x", 405, "does not take"),
    ],
)
def test_refusals_are_sentences(server: Running, path: str, body: bytes, status: int, sentence: str) -> None:
    reply = server.post(path, body)
    assert (reply.status, list(reply.json())) == (status, ["error"])
    assert sentence in reply.json()["error"]


def test_a_map_of_any_class(server: Running, images, expected) -> None:
    data = images[0].read_bytes()
    best, other = (server.post(path, data) for path in ("/explain", "/models/tiny/explain?class=0"))
    assert (best.headers["x-class"], other.headers["x-class"]) == (str(expected[0][0]["index"]), "0")
    pictures = [Image.open(io.BytesIO(reply.body)) for reply in (best, other)]
    assert {picture.format for picture in pictures} == {"PNG"}
    assert {picture.size for picture in pictures} == {(224, 224)}  # 32 px by whole pixels
    assert best.body != other.body or expected[0][0]["index"] == 0


def test_what_operators_ask(server: Running, images) -> None:
    server.post("/predict", images[0].read_bytes())
    assert server.get("/healthz").json() == {"alive": True}
    assert server.get("/readyz").json() == {"ready": True}
    (about,) = server.get("/models").json()
    assert (about["name"], about["classes"], about["maps"], about["problem"]) == ("tiny", len(CLASSES), "cam", None)
    figures = server.get("/metrics").body.decode()
    counted = re.search(r'compound_images_total\{model="tiny"\} ([\d.]+)', figures)
    assert counted
    assert float(counted[1]) >= 1
    assert 'compound_waiting{model="tiny"} 0.0' in figures
    described = server.get("/openapi.json").json()["paths"]
    assert {"/predict", "/explain", "/models/{model}/predict", "/healthz", "/metrics"} <= described.keys()
    assert "image/*" in described["/predict"]["post"]["requestBody"]["content"]


def test_too_large_too_many_pixels_and_strange_hosts(start: Start, weights: Path, images) -> None:
    server = start({"tiny": weights}, Limits(body=40_000, pixels=100_000))
    declared = server.post("/predict", bytes(50_000))
    assert (declared.status, "40,000" in declared.json()["error"]) == (413, True)
    chunk = b"c350\r\n" + bytes(50_000) + b"\r\n0\r\n\r\n"
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert server.send(head + chunk).status == 413
    file = io.BytesIO()
    Image.new("L", (400, 400)).save(file, "PNG")
    bomb = server.post("/predict", file.getvalue())
    assert (bomb.status, "100,000 pixels" in bomb.json()["error"]) == (422, True)
    for host in (b"example.org", b"localhost.example.org", b""):
        assert server.send(b"GET /models HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").status == 403


def test_a_token_opens_everything_but_says_nothing_before(start: Start, weights: Path) -> None:
    server = start({"tiny": weights}, token=TOKEN)

    def ask(path: str, header: str) -> int:
        return server.send(f"GET {path} HTTP/1.1\r\nHost: example.org\r\n{header}\r\n\r\n".encode()).status

    for path in ("/models", "/metrics", "/openapi.json", "/models/tiny/network"):
        assert ask(path, "Accept: */*") == ask(path, f"Authorization: Bearer {TOKEN}x") == 401
        assert ask(path, f"Authorization: Bearer {TOKEN}") == 200
    assert [ask(path, "Accept: */*") for path in ("/", "/docs", "/healthz", "/readyz")] == [200] * 4


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org"])
def test_other_addresses_need_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="needs a token"):
        check_address(Address(host))
    check_address(Address(host, token=TOKEN))


def test_weak_tokens_and_equal_names_are_refused(tmp_path: Path) -> None:
    check_address(Address("::1"))
    with pytest.raises(UsageError, match="shorter than 16"):
        check_address(Address(token="secret"))
    assert name_places(["a=/x/y", "/runs/b", "owner/net"]) == {"a": "/x/y", "b": "/runs/b", "net": "owner/net"}
    with pytest.raises(UsageError, match="both called b"):
        name_places(["/runs/b", "/other/b"])


def test_a_run_has_its_folders_whole_name_and_a_file_its_own_without_ending(tmp_path: Path) -> None:
    """Two seeds of one study differ after their last dot."""
    places = [tmp_path / "width-1.2.seed0", tmp_path / "width-1.2.seed1", tmp_path / "net.v2.safetensors"]
    for place in places[:2]:
        place.mkdir()
    places[2].touch()
    assert list(name_places(list(map(str, places)))) == ["width-1.2.seed0", "width-1.2.seed1", "net.v2"]


def test_overload_is_refused_at_once_and_passes(start: Start, weights: Path, images) -> None:
    """More is asked than the queue holds: the others hear when to return, and the server is as before."""
    server = start({"tiny": weights}, queue=4)
    data = [images[0].read_bytes()]

    async def burst() -> list[tuple[int, bool]]:
        clients = [phases.Client(server.port) for _ in range(60)]
        replies = await asyncio.gather(*(client.post("/predict", data[0]) for client in clients))
        for client in clients:
            await client.close()
        return [(one.status, "retry-after" in one.headers) for one in replies]

    seen = asyncio.run(burst())
    assert set(seen) == {(200, False), (429, True)}
    assert server.post("/predict", data[0]).status == 200


@pytest.mark.long
def test_slow_connections_are_closed(start: Start, weights: Path, images) -> None:
    server = start({"tiny": weights}, Limits(receive=0.6))
    begun = time.monotonic()
    whole = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"
    places = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(12)]
    for place, part in zip(places, [b"", b"GET / HT", whole, whole + b"abc"] * 3, strict=True):
        place.sendall(part)
        place.settimeout(100)
    for place in places:
        with place, suppress(ConnectionResetError):
            assert place.recv(1) == b""
    assert time.monotonic() - begun >= 0.5
    assert server.post("/predict", images[0].read_bytes()).status == 200


def test_a_server_that_is_late_itself_closes_nobody() -> None:
    ours, theirs = socket.socketpair()
    again, ended = Mock(), Mock()
    one = protocol.Impatient.__new__(protocol.Impatient)
    one.limits, one.loop = Limits(), SimpleNamespace(call_later=again)
    with ours, theirs:
        one.transport = SimpleNamespace(get_extra_info=lambda _: ours, abort=ended)
        theirs.send(b"x")
        one._late(1)
        assert again.call_args.args == (8.0, one._late, 0)
        assert not ended.called
        one._late(0)  # not for ever
        assert ended.call_count == 1
        ours.recv(1)
        one._late(1)  # a client that is late itself
        assert (again.call_count, ended.call_count) == (1, 2)


@pytest.mark.long
def test_nonsense_never_becomes_a_server_error(start: Start, weights: Path, images, caplog) -> None:
    server = start({"model": weights})
    small = [path.read_bytes() for path in sorted(images, key=os.path.getsize)[:4]]
    found = asyncio.run(phases.fuzz(server.port, small, 400, seed=11, together=64))
    counted = asyncio.run(phases.own_count(server.port))  # with those that a slow machine answered too late
    assert {"200", "400", "422"} <= found["statuses"].keys() | counted.keys()  # some of it was not so bad
    assert found["answers_afterwards"]
    assert not [status for status in asyncio.run(phases.own_count(server.port)) if status[0] == "5"]
    assert not [status for status in found["statuses"] if status[0] == "5"]
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.long
def test_a_changed_file_is_taken_up_and_a_broken_one_is_not(start: Start, images, tmp_path: Path) -> None:
    place = write_weights(tmp_path / "live.safetensors", seed=1)
    server = start({"live": place})
    model, data = server.models["live"], images[0].read_bytes()
    first = server.post("/predict", data).json()["predictions"]

    shutil.copy(write_weights(tmp_path / "next" / "other.safetensors", seed=2, resolution=48), place)
    assert model.refresh() is None  # it may still be under way
    assert model.refresh() is True
    second = server.post("/predict", data).json()["predictions"]
    assert second != first
    predictions, _ = predict(*load_weights(place), [images[0]], Execution("cpu", workers=0))
    assert second[0]["classes"] == predictions[0].to_json()["classes"]

    place.write_bytes(place.read_bytes()[:3000])
    assert [model.refresh(), model.refresh(), model.refresh()] == [None, False, None]
    assert server.post("/predict", data).json()["predictions"] == second
    assert "is not used" in server.get("/models").json()[0]["problem"]

    write_weights(place, seed=1)
    assert model.refresh(force=True) is True
    assert server.get("/models").json()[0]["problem"] is None
    assert server.post("/predict", data).json()["predictions"] == first


def test_of_several_labels_each_class_has_a_probability_of_its_own() -> None:
    """Of an exported file, which may be of such a network; weights are refused where one label is meant."""
    described = Weights(ZOO["efficientnet-mini"].with_(classes=3), ("a", "b", "c"), several=True)
    (said,) = said_of(torch.tensor([[2.0, 0.0, 2.0]]), torch.zeros(1, 3, 2, 2, dtype=torch.uint8), described, [2])
    assert said is not None
    assert [(name, round(probability, 4)) for _, name, probability in said.best] == [("a", 0.8808), ("c", 0.8808)]


def test_a_stranger_is_said_to_be_one(start: Start, images: list[Path], tmp_path: Path) -> None:
    """The middle of the scores as threshold: the server refuses what `predict` refuses, by the same digits."""
    place = write_weights(tmp_path / "wary.safetensors", seed=1)
    net, described = load_weights(place)
    known = replace(described, unknown=Unknown(-1e9, 0.05, 99))
    scores = sorted(one.score or 0 for one in predict(net, known, images, Execution("cpu", workers=0))[0])
    write_weights(place, seed=1, least=scores[len(scores) // 2])
    told, _ = predict(*load_weights(place), images, Execution("cpu", workers=0))
    server = start({"wary": place})
    answers = [server.post("/predict", path.read_bytes()).json()["predictions"][0] for path in images]
    assert [(one["unknown"], one["score"]) for one in answers] == [(one.unknown, one.score) for one in told]
    assert sum(one["unknown"] for one in answers) == len(scores) // 2
    about = server.get("/models").json()[0]
    assert (about["unknown"], about["coverage"]) == (scores[len(scores) // 2], 0.9)
    for one in answers:  # a class is in the set while those before it have 0.8 at most
        before = [sum(c["probability"] for c in one["classes"][:rank]) for rank in range(len(CLASSES))]
        assert one["among"] == [c for c, p in zip(one["classes"], before, strict=True) if p <= 0.8]


def test_scores_are_kept_and_counted_and_a_log_that_fails_stops_no_answer(
    start: Start, weights: Path, images: list[Path], tmp_path: Path
) -> None:
    log = tmp_path / "logs" / "scores.jsonl"
    log.parent.mkdir()
    server = start({"tiny": weights}, log=log)
    told = [server.post("/predict", path.read_bytes()).json()["predictions"][0]["classes"][0] for path in images[:3]]
    kept = read_log(log)
    assert [(one.name, one.confidence) for one in kept.images] == [(one["name"], one["probability"]) for one in told]
    assert all(one.brightness is not None and 0 < one.brightness < 1 for one in kept.images)
    assert kept.models == ("tiny",)
    figures = server.get("/metrics").body.decode()
    assert 'compound_confidence_count{model="tiny"} 3.0' in figures
    assert 'compound_brightness_count{model="tiny"} 3.0' in figures
    counted = re.findall(r'compound_named_total\{class="\w+",model="tiny"\} ([\d.]+)', figures)
    assert sum(map(float, counted)) == 3
    shutil.rmtree(log.parent)
    assert server.post("/predict", images[0].read_bytes()).status == 200
    assert 'compound_unlogged_total{model="tiny"} 1.0' in server.get("/metrics").body.decode()
