"""`compound serve` as a process: started, asked, told to end while it answers."""

import asyncio
import signal
from pathlib import Path

import pytest

from benchmarks.serving import phases
from benchmarks.serving.client import Client
from benchmarks.serving.subject import serving
from compound.cli import main


@pytest.mark.long
def test_ending_answers_what_is_under_way(weights: Path, images: list[Path], tmp_path: Path) -> None:
    """SIGTERM amid 40 requests: each is answered, or its connection was never accepted; exit 0."""
    data = images[0].read_bytes()

    async def ask(port: int, end: signal.Signals) -> list[int]:
        clients = [Client(port) for _ in range(40)]
        assert (await clients[0].get("/readyz")).status == 200
        tasks = [asyncio.create_task(client.post(phases.PREDICT, data)) for client in clients]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        server.process.send_signal(end)
        replies = await asyncio.gather(*tasks)
        for client in clients:
            await client.close()
        return [reply.status for reply in replies]

    with serving(weights, tmp_path / "log", "--device", "cpu") as server:
        statuses = asyncio.run(ask(server.port, signal.SIGTERM))
        assert server.process.wait(100) == 0
    assert set(statuses) <= {200, 0}
    assert statuses.count(200) > 30
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert log.splitlines()[-1].startswith("Finished")  # and no report of leaks after it


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--host", "0.0.0.0"), "needs a token"),
        (("--runtime", "tensorrt"), "use auto or torch"),
        (("--max-body", "many"), "--max-body"),
        (("--receive", "8"), "--receive '8' is not a time"),
    ],
)
def test_what_cannot_be_served_is_said_before(words, sentence, weights, monkeypatch, capsys) -> None:
    monkeypatch.delenv("COMPOUND_TOKEN", raising=False)
    monkeypatch.setattr("sys.argv", ["compound", "serve", str(weights), *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err
