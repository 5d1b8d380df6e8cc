"""Requests that no honest client sends, made from some that they do send."""

import random
from collections.abc import Callable, Sequence

PATHS = (*("/predict", "/explain", "/models/model/predict") * 5, "/", "/models", "/metrics", "/readyz", "/openapi.json")
QUERIES = (*("",) * 8, "?top=0", "?top=99999999999999999999", "?top=a", "?class=-1", "?class=9999",
           "?model=../../etc/passwd", "?model=%00", "?top=1&top=2",
           "?class=1e3", "?%ff=%fe", "?model=http://localhost/")  # fmt: skip
METHODS = ("GET", *("POST",) * 20, "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW")
TYPES = ("", "image/png", "application/json", *("multipart/form-data; boundary=b",) * 5, "multipart/form-data",
         "text/plain", "multipart/form-data; boundary=" + "b" * 200, "multipart/form-data; boundary=\xe4")  # fmt: skip
ODD_HEADERS = ["Expect: 100-continue", "Transfer-Encoding: chunked", "Upgrade: websocket", "Connection: close",
               "Cookie: " + "c" * 9000, "Authorization: Bearer \xff"]  # fmt: skip


class Mutator:
    """Draws requests; the same `rng` draws the same ones."""

    def __init__(self, images: Sequence[bytes], rng: random.Random) -> None:
        self.images, self.rng = [image for image in images if len(image) < 60_000] or list(images[:1]), rng
        self.mutations: tuple[Callable[[bytes], bytes], ...] = (
            self.flip, self.cut, self.repeat, self.insert, self.same, self.same,
        )  # fmt: skip

    def request(self) -> bytes:
        """One request: its parts odd, or its bytes damaged, or its image."""
        body = self.body()
        wire = self.head(body) + body
        return self.rng.choice(self.mutations)(wire)

    def body(self) -> bytes:
        image = self.rng.choice(self.mutations)(self.rng.choice(self.images))
        if self.rng.random() < 0.5:
            return image
        part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="%s"\r\n\r\n%s\r\n'
        names = (b"a.png", b"../../etc/passwd", b"", b"\x00\xff", b"http://localhost/")
        parts = [part % (self.rng.choice(names), image) for _ in range(self.rng.randrange(4))]
        return self.rng.choice(self.mutations)(b"".join(parts) + b"--b--\r\n")

    def head(self, body: bytes) -> bytes:
        rng = self.rng
        length = rng.choice([len(body)] * 12 + [0, -1, 10**30, len(body) // 2])
        lines = [
            f"{rng.choice(METHODS)} {rng.choice(PATHS)}{rng.choice(QUERIES)} HTTP/1.1",
            f"Host: {rng.choice(['localhost'] * 20 + ['example.org', '', '[::1', '127.0.0.1:1:2'])}",
            f"Content-Length: {length}",
            f"Content-Type: {rng.choice(TYPES)}",
            rng.choice(["Accept: */*"] * 8 + ODD_HEADERS),
        ]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    def same(self, data: bytes) -> bytes:
        return data

    def flip(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self.rng.randrange(1, 12) if data else 0):
            changed[self.rng.randrange(len(changed))] = self.rng.randrange(256)
        return bytes(changed)

    def cut(self, data: bytes) -> bytes:
        return data[: self.rng.randrange(len(data) + 1)]

    def repeat(self, data: bytes) -> bytes:
        start, end = sorted(self.rng.randrange(len(data) + 1) for _ in range(2))
        return data[:end] + data[start:]

    def insert(self, data: bytes) -> bytes:
        at = self.rng.randrange(len(data) + 1)
        return data[:at] + self.rng.randbytes(self.rng.randrange(1, 40)) + data[at:]
