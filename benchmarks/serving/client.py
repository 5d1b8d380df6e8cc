"""A small HTTP client for many connections at once, which keeps the time of every answer."""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    """`status` 0: the connection was closed without an answer. `seconds` from the first byte sent to the last read."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection, opened anew where the server has closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes) -> Reply:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        return await self.send(head.encode() + body)

    async def get(self, path: str) -> Reply:
        return await self.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def send(self, request: bytes) -> Reply:
        begun = time.perf_counter()
        for fresh in (self._streams is None, True):  # an idle connection may just have been closed
            try:
                reader, writer = self._streams or await asyncio.open_connection("127.0.0.1", self.port)
                self._streams = reader, writer
                writer.write(request)
                await writer.drain()
                status, headers, body = await read_reply(reader)
            except (OSError, asyncio.IncompleteReadError):
                await self.close()
                if fresh:
                    break
                continue
            if headers.get("connection") == "close":
                await self.close()
            return Reply(status, headers, body, time.perf_counter() - begun)
        return Reply(0, {}, b"", time.perf_counter() - begun)

    async def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            with suppress(OSError):
                await self._streams[1].wait_closed()
            self._streams = None


async def read_reply(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = (line.split(":", 1) for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, value in fields}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[0].split(" ", 2)[1]), headers, body
