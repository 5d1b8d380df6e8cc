"""The phases of the benchmark. Each asks the server at `port` and returns its figures."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.serving.client import Client, Reply
from benchmarks.serving.fuzz import Mutator

PREDICT = "/predict?top=5"
SILENCE = 0.5  # s to wait for an answer to a request that may never be complete


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds."""
    values = sorted(1e3 * one for one in seconds) or [0.0]
    at = {f"p{q}_ms": values[min(len(values) * q // 100, len(values) - 1)] for q in (50, 95, 99)}
    return {"n": len(seconds), **at, "largest_ms": values[-1]}


async def load(
    port: int, images: Sequence[bytes], expected: Sequence[object], clients: int, requests: int, seed: int
) -> dict[str, Any]:
    """`clients` that each ask again as soon as they are answered; every answer compared with its image's own."""
    rng = random.Random(seed)
    order = [rng.randrange(len(images)) for _ in range(requests)]
    waiting, replies, wrong = iter(order), [], 0

    async def ask() -> None:
        nonlocal wrong
        client = Client(port)
        for number in waiting:
            reply = await client.post(PREDICT, images[number])
            replies.append(reply)
            if reply.status == 200:
                wrong += reply.json()["predictions"][0]["classes"] != expected[number]
        await client.close()

    begun = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(clients)))
    seconds = time.perf_counter() - begun
    answered = [one.seconds for one in replies if one.status == 200]
    return {
        "clients": clients, "requests": requests, "seconds": seconds, "requests_per_second": requests / seconds,
        "statuses": statuses(replies), "other_answers": wrong, "latency": spread(answered),
    }  # fmt: skip


async def paced(
    port: int, images: Sequence[bytes], rate: float, seconds: float, seed: int, sent: asyncio.Event | None = None
) -> list[Reply]:
    """`rate` requests a second at random moments (Poisson), whether or not earlier ones were answered.

    `sent` is set when the last one is on its way.
    """
    rng, idle, tasks = random.Random(seed), [Client(port) for _ in range(8)], []

    async def ask(number: int) -> Reply:
        client = idle.pop() if idle else Client(port)
        reply = await client.post(PREDICT, images[number])
        idle.append(client)
        return reply

    begun = due = time.perf_counter()
    while due < begun + seconds:
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        tasks.append(asyncio.create_task(ask(rng.randrange(len(images)))))
        due += rng.expovariate(rate)
    if sent:
        sent.set()
    replies = await asyncio.gather(*tasks)
    for client in idle:
        await client.close()
    return list(replies)


async def below_saturation(
    port: int, images: Sequence[bytes], rate: float, seconds: float, seed: int
) -> dict[str, Any]:
    replies = await paced(port, images, rate, seconds, seed)
    latency = spread([one.seconds for one in replies if one.status == 200])
    ratio = latency["p99_ms"] / max(latency["p50_ms"], 1e-9)
    return {"rate": rate, "statuses": statuses(replies), "latency": latency, "p99_over_p50": ratio}


async def overload(port: int, images: Sequence[bytes], rate: float, seconds: float, seed: int) -> dict[str, Any]:
    """`rate` is beyond what the server can do; from its end on, how long until a new request is answered."""
    sent = asyncio.Event()
    flood = asyncio.create_task(paced(port, images, rate, seconds, seed, sent))
    await sent.wait()
    begun, client = time.perf_counter(), Client(port)
    while (await client.post(PREDICT, images[0])).status != 200:
        await asyncio.sleep(0.02)
    recovered = time.perf_counter() - begun
    await client.close()
    replies = await flood
    rejected = [one for one in replies if one.status in (429, 503)]
    return {
        "rate": rate, "statuses": statuses(replies), "rejected": spread([one.seconds for one in rejected]),
        "rejected_without_retry_after": sum("retry-after" not in one.headers for one in rejected),
        "answered": spread([one.seconds for one in replies if one.status == 200]), "recovered_seconds": recovered,
    }  # fmt: skip


async def slow(port: int, images: Sequence[bytes], connections: int, limit: float) -> dict[str, Any]:
    """Connections that send a byte a second, half of them in the headers, half in the body; one honest client asks."""
    body = images[0]
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n".encode()

    async def drip(number: int) -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        begun = time.perf_counter()
        if number % 2:
            writer.write(head + b"\r\n")
        while time.perf_counter() - begun < 2 * limit:
            try:
                writer.write(b"x")
                if not await asyncio.wait_for(reader.read(1024), 1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        writer.close()
        return time.perf_counter() - begun

    tasks = [asyncio.create_task(drip(number)) for number in range(connections)]
    client, honest = Client(port), []
    while not all(task.done() for task in tasks):
        honest.append(await client.post(PREDICT, body))
        await asyncio.sleep(0.2)
    await client.close()
    closed = [task.result() for task in tasks]
    return {
        "connections": connections, "closed_within_limit": sum(one < limit for one in closed), "limit_seconds": limit,
        "slowest_close_seconds": max(closed), "honest": statuses(honest),
        "honest_latency": spread([one.seconds for one in honest]),
    }  # fmt: skip


async def fuzz(port: int, images: Sequence[bytes], requests: int, seed: int, together: int = 32) -> dict[str, Any]:
    """Mutated requests, each on its own connection; silence is an answer too, for most are never complete."""
    mutator = Mutator(images, random.Random(seed))
    waiting, seen = iter(range(requests)), Counter[str]()

    async def ask() -> None:
        for _ in waiting:
            seen[await one_shot(port, mutator.request())] += 1

    begun = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(together)))
    client = Client(port)
    alive = await client.post(PREDICT, images[0])
    await client.close()
    return {
        "requests": requests, "seconds": time.perf_counter() - begun, "statuses": dict(sorted(seen.items())),
        "answers_afterwards": alive.status == 200,
    }  # fmt: skip


async def one_shot(port: int, request: bytes) -> str:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            line = await asyncio.wait_for(reader.readline(), SILENCE)
            return line.split(b" ")[1].decode("latin-1") if line.startswith(b"HTTP/") else "closed"
        finally:
            writer.transport.abort()
    except TimeoutError:
        return "silent"
    except OSError:
        return "closed"


async def own_count(port: int) -> dict[str, int]:
    """The answers by status, as the server itself has counted them."""
    client = Client(port)
    lines = (await client.get("/metrics")).body.decode().splitlines()
    await client.close()
    found: Counter[str] = Counter()
    for line in lines:
        if line.startswith("compound_requests_total{"):
            found[line.split('status="')[1][:3]] += int(float(line.rsplit(" ", 1)[1]))
    return dict(sorted(found.items()))


def statuses(replies: Sequence[Reply]) -> dict[str, int]:
    return dict(sorted(Counter(str(one.status) for one in replies).items()))
