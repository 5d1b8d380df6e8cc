"""Requests of other sites, of odd clients and of forms: what each is answered."""

import asyncio
import json
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from compound.cli import main
from compound.errors import CompoundError
from compound.serve import Address, Limits
from compound.serve import server as server_module
from tests.serve.conftest import Running, Start

POST = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n{}\r\n"


def posted(server: Running, body: bytes, *headers: str) -> tuple[int, str]:
    """Status and text of the answer to a POST with these headers."""
    head = POST.format(len(body), "".join(f"{one}\r\n" for one in headers))
    reply = server.send(head.encode() + body)
    return reply.status, reply.body.decode()


@pytest.mark.parametrize(
    "header",
    [
        "Origin: https://evil.example",
        "Origin: null",
        "Origin: http://localhost:9",  # another port is another site
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ],
)
def test_pages_of_other_sites_are_refused(server: Running, images: list[Path], header: str) -> None:
    status, text = posted(server, images[0].read_bytes(), "Content-Type: text/plain", header)
    assert (status, "another site" in text) == (403, True)


def test_the_servers_own_page_and_other_programs_are_answered(server: Running, start: Start, weights, images) -> None:
    data = images[0].read_bytes()
    for headers in ((), ("Origin: http://localhost", "Sec-Fetch-Site: same-origin"), ("Sec-Fetch-Site: none",)):
        assert posted(server, data, *headers)[0] == 200
    guarded = start({"tiny": weights}, token="0123456789abcdef")
    origin, token = "Origin: https://photos.example", "Authorization: Bearer 0123456789abcdef"
    assert posted(guarded, data, origin, token)[0] == 200  # a proxy may have renamed the host, and a token is enough
    assert posted(guarded, data, origin)[0] == 401


def test_a_client_that_closes_his_half_is_answered(server: Running, images) -> None:
    data = images[0].read_bytes()
    with socket.create_connection(("127.0.0.1", server.port), 20) as place:
        place.sendall(POST.format(len(data), "").encode() + data)
        place.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: place.recv(65536), b""))  # to its end: the server closes the other half
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"]) == 1


def test_all_requests_before_the_half_was_closed_are_answered(server: Running, images) -> None:
    data = images[0].read_bytes()
    whole = POST.format(len(data), "").encode() + data
    with socket.create_connection(("127.0.0.1", server.port), 20) as place:
        place.sendall(whole * 3 + whole[:-1])  # and one that never comes whole
        place.shutdown(socket.SHUT_WR)
        answers = b"".join(iter(lambda: place.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 200 ") == answers.count(b"HTTP/1.1 ") == 3


def test_what_is_no_http_is_told_so_and_not_logged(server: Running, caplog) -> None:
    for number, nonsense in enumerate((b"\x16\x03\x01\x02\r\n\r\n", b"GET /healthz HTTP/1.1\r\n\r\n")):
        reply = server.send(nonsense)
        assert (reply.status, "no request in HTTP" in reply.json()["error"]) == (400, True), number
    upgrade = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert server.send(upgrade).status == 200
    assert "request" not in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", "/nothing", 404, "there is no '/nothing'; GET /docs lists the paths"),
        ("PUT", "/predict", 405, "'/predict' does not take 'PUT'; GET /docs says what each path takes"),
        ("POST", "/predict?top=0", 422, "top is '0'; use a whole number from 1 to 1000"),
        ("POST", "/predict?top=+1", 422, "top is ' 1'; use a whole number from 1 to 1000"),
        ("POST", "/predict?top=" + "9" * 5000, 422, "…'; use a whole number from 1 to 1000"),
        ("POST", "/explain?class=-1", 422, "class is '-1'; use a whole number from 0 on"),
        ("POST", "/predict?model=" + "x" * 5000, 404, "…'; there are tiny"),
    ],
)
def test_what_is_not_there_is_one_sentence_of_our_own(server: Running, method, path, status, sentence) -> None:
    reply = server.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
    told = reply.json()["error"]
    assert (reply.status, told.endswith(sentence), len(told) < 200) == (status, True, True), told


def test_half_a_request_with_its_half_closed_is_dropped(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 20) as place:
        place.sendall(POST.format(100, "").encode() + b"ten bytes.")
        place.shutdown(socket.SHUT_WR)
        assert place.recv(65536) == b""


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/models", "/"])
def test_head_says_what_get_would(server: Running, path: str) -> None:
    whole = server.get(path)
    with socket.create_connection(("127.0.0.1", server.port), 20) as place:
        place.sendall(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, _, body = b"".join(iter(lambda: place.recv(65536), b"")).partition(b"\r\n\r\n")
    assert (head[:13], body, whole.status) == (b"HTTP/1.1 200 ", b"", 200)
    assert b"\r\ncontent-type: " + whole.headers["content-type"].encode() in head


def form(server: Running, *parts: tuple[str, bytes], preamble: bytes = b"") -> tuple[int, str]:
    """A form of parts, each with its headers."""
    body = (
        preamble + b"".join(b"--b\r\n%s\r\n\r\n%s\r\n" % (head.encode(), data) for head, data in parts) + b"--b--\r\n"
    )
    return posted(server, body, "Content-Type: multipart/form-data; boundary=b")


FILE, TEXT = (
    'Content-Disposition: form-data; name="image"; filename="x.jpg"',
    'content-disposition: form-data; name="a"',
)


def test_fields_of_a_form_are_no_images(server: Running, images) -> None:
    data = images[0].read_bytes()
    unchosen = 'Content-Disposition: form-data; name="b"; filename=""\r\nContent-Type: application/octet-stream'
    status, text = form(server, (TEXT, b"five"), (unchosen, b""), (FILE, data), (TEXT, b"1"))
    told = json.loads(text)
    assert (status, [one["image"] for one in told["predictions"]], told["damaged"]) == (200, [0], [])
    typed = f"{TEXT}\r\nContent-Type: image/jpeg"  # an image without a file's name
    assert form(server, (typed, data))[0] == 200
    starred = "Content-Disposition: form-data; name=\"image\"; filename*=utf-8''caf%C3%A9.jpg"
    assert form(server, (starred, data))[0] == 200
    status, text = form(server, (TEXT, b"five"))
    assert (status, "holds no file" in text) == (400, True)
    status, text = form(server, *[(TEXT, b"")] * 200, (FILE, data))
    assert (status, "parts" in text) == (413, True)


def test_what_stands_before_a_form_is_passed_over(server: Running, images) -> None:
    data = images[0].read_bytes()
    assert form(server, (FILE, data), preamble=b"This is a message in MIME format.\r\n")[0] == 200
    assert form(server, (FILE, data), preamble=b"\r\n")[0] == 200
    assert form(server, (FILE, data), preamble=b"--bread is no boundary\r\n--butter\r\n")[0] == 200
    assert form(server, (FILE, data), preamble=b"no end of line")[0] == 400


def test_a_port_in_use_is_one_sentence(weights: Path, monkeypatch, capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("sys.argv", ["compound", "serve", str(weights), "--port", str(port)])
        with pytest.raises(SystemExit) as stop:
            main()
    said = capsys.readouterr().err
    assert stop.value.code == 1
    assert said == f"error: cannot listen on port {port} of 127.0.0.1: it is in use; choose another --port or --host\n"


def test_a_port_lost_while_networks_load_is_one_sentence(weights: Path, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ExitStack() as taken:
        real = server_module.open_models

        def slow(*places: object, **options: object) -> object:
            taken.enter_context(socket.create_server(("127.0.0.1", port)))
            return real(*places, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(server_module, "open_models", slow)
        with pytest.raises(CompoundError, match=f"cannot listen on port {port} of 127.0.0.1: it is in use"):
            server_module.serve([str(weights)], Address(port=port), Limits(), device="cpu")


def test_a_broken_file_is_told_without_its_path(start: Start, weights: Path, tmp_path: Path, caplog) -> None:
    place = tmp_path / "live.safetensors"
    place.write_bytes(weights.read_bytes())
    server = start({"live": place})
    place.write_bytes(b"no weights")
    assert server.models["live"].refresh(force=True) is False
    told = server.get("/models").json()[0]["problem"]
    assert "is not used: it does not load" in told
    assert str(tmp_path) not in told
    assert str(tmp_path) in caplog.text  # the operator is told more


def test_many_forms_of_tiny_parts_cost_little(server: Running) -> None:
    """16 MB of parts, or of one header, end at the first part or byte too many."""
    tiny = b"--b\r\n\r\n\r\n" * (2**24 // 9)
    long = b"--b\r\n" + b"a" * (2**24 - 100)
    for body in (tiny, long):
        reply = asyncio.run(timed(server, body))
        assert reply[0] in (400, 413)
        assert reply[1] < 5


async def timed(server: Running, body: bytes) -> tuple[int, float]:
    from benchmarks.serving.client import Client

    client = Client(server.port)
    head = POST.format(len(body), "Content-Type: multipart/form-data; boundary=b\r\n")
    reply = await client.send(head.encode() + body)
    await client.close()
    return reply.status, reply.seconds
