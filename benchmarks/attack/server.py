"""What is sent to a server, and what it costs it and its honest clients."""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks.serving.client import Client, Reply
from benchmarks.serving.subject import Server
from compound.serve import Limits

TICK = os.sysconf("SC_CLK_TCK")


def cpu_ms(server: Server) -> float:
    """Processor time of the server and of children it has waited for."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * sum(int(one) for one in fields[11:15]) / TICK


def peak(server: Server) -> int:
    """Bytes of memory the process has had at most since its peak was forgotten."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
    return 1024 * int(found[1]) if found else 0


async def requests(port: int, image: bytes) -> dict[str, bool]:
    """Whether each of them is answered as it should be."""
    client = Client(port)

    async def status(line: str, *headers: str, body: bytes = b"") -> int:
        lines = [f"{line} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
        return (await client.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)).status

    form = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ntext\r\n' + (
        b'--b\r\nContent-Disposition: form-data; name="i"; filename="i"\r\n\r\n' + image + b"\r\n--b--\r\n"
    )
    kind, starred = "Content-Type: multipart/form-data; boundary=b", form.replace(b"filename=", b"filename*=")
    found = {
        "another site's post": await status("POST /predict", "Origin: https://evil", body=image) == 403,
        "a cross-site fetch": await status("POST /predict", "Sec-Fetch-Site: cross-site", body=image) == 403,
        "a text field in a form": await status("POST /predict", kind, body=form) == 200,
        "a preamble": await status("POST /predict", kind, body=b"hello\r\n" + form) == 200,
        "a file's name with a star": await status("POST /predict", kind, body=starred) == 200,
        "half a connection": await half_closed(port, image) == 1,
        "three requests before half a connection": await half_closed(port, image, 3) == 3,
        "bytes that are no HTTP": await no_http(port),
    }
    await client.close()
    return found


async def half_closed(port: int, image: bytes, count: int = 1) -> int:
    """How many of so many requests are answered whose sender closes his half behind them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(image)}\r\n\r\n"
    writer.write((head.encode() + image) * count)
    writer.write_eof()
    answers = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answers.count(b"HTTP/1.1 200 ")


async def no_http(port: int) -> bool:
    """Whether what is no HTTP is told so in JSON."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01\x02\x00\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer.startswith(b"HTTP/1.1 400 ") and b'{"error": "this is no request' in answer


async def honest(port: int, images: Sequence[bytes], seconds: float, clients: int = 16) -> list[Reply]:
    """Each asks every quarter of a second, so that the server is busy and not overrun."""
    until = asyncio.get_running_loop().time() + seconds

    async def one(number: int) -> list[Reply]:
        client, replies = Client(port), []
        await asyncio.sleep(number / clients / 4)
        while asyncio.get_running_loop().time() < until:
            replies.append(await client.post("/predict", images[(number + len(replies)) % len(images)]))
            await asyncio.sleep(0.25)
        await client.close()
        return replies

    return [reply for replies in await asyncio.gather(*(one(number) for number in range(clients))) for reply in replies]


async def slow_images(
    server: Server, images: Sequence[bytes], slow: Mapping[str, bytes], seconds: float
) -> dict[str, Any]:
    """The processor time of the first slow image, and how long honest clients wait beside all of them."""
    client = Client(server.port)
    first = next(iter(slow.values()))
    await client.post("/predict", first)
    before = cpu_ms(server)
    refusals = [(await client.post("/predict", first)).status for _ in range(5)]
    cost = (cpu_ms(server) - before) / len(refusals)
    await honest(server.port, images, seconds / 2)
    alone = await honest(server.port, images, seconds)
    beside = asyncio.create_task(honest(server.port, images, seconds))
    sent = 0
    while not beside.done():
        await client.post("/predict", first)
        sent += 1
        await asyncio.sleep(0.2)
    await client.close()
    replies = beside.result()
    p50 = 1000 * quantiles([one.seconds for one in alone], n=100)[49]
    p99_alone = 1000 * quantiles([one.seconds for one in alone], n=100)[98]
    p99 = 1000 * quantiles([one.seconds for one in replies], n=100)[98]
    return {
        "refusals": dict(Counter(map(str, refusals))), "refused_cpu_ms": cost, "slow_images": sent,
        "p50_alone_ms": p50, "p99_alone_ms": p99_alone, "p99_beside_ms": p99, "p99_over_p50": p99 / p50,
        "p99_over_p99": p99 / p99_alone,
        "statuses": dict(Counter(str(one.status) for one in replies)),
    }  # fmt: skip


async def photos(server: Server, photo: bytes, count: int) -> dict[str, Any]:
    """Photos to /explain, all at once: how much the memory of the server grows."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    before = server.resident()
    clients = [Client(server.port) for _ in range(count)]
    replies = await asyncio.gather(*(client.post("/explain", photo) for client in clients))
    for client in clients:
        await client.close()
    limits = Limits()
    return {
        "photos": count, "bytes": len(photo), "grown": peak(server) - before,
        "bound": limits.decoding + 3 * limits.bodies, "statuses": dict(Counter(str(one.status) for one in replies)),
    }  # fmt: skip
