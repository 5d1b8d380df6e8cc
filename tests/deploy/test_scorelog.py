"""Lines of a log are whole whoever writes them, it stays within its bound, and what is damaged in it is left out."""

import json
import threading

import pytest

from compound import UsageError
from compound.deploy import scorelog
from compound.deploy.scorelog import Scored, ScoreLog, read_log
from compound.errors import CompoundError

ONE = Scored("cat", 0.75, 3.5, False, 0.5)


def test_what_is_added_is_read_and_holds_no_picture_and_no_path(tmp_path):
    path = tmp_path / "scores.jsonl"
    ScoreLog(path, "a").add([ONE, Scored("eel", 0.5)])
    ScoreLog(path, "b").add([Scored("eel", 0.25)])
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [set(one) for one in told] == [
        {"time", "model", "name", "confidence", "score", "unknown", "brightness"},
        *[{"time", "model", "name", "confidence"}] * 2,
    ]
    found = read_log(path)
    assert found.images == (ONE, Scored("eel", 0.5), Scored("eel", 0.25))
    assert (found.models, found.broken) == (("a", "b"), 0)
    assert found.first <= found.last
    assert read_log(path, 1).images == (Scored("eel", 0.25),)


def test_writers_of_many_threads_leave_whole_lines_and_two_files(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPOUND_MAX_LOG", "64kiB")
    path = tmp_path / "scores.jsonl"
    logs = [ScoreLog(path, f"{number}") for number in range(4)]

    def write(log):
        for _ in range(40):
            log.add([ONE] * 5)

    threads = [threading.Thread(target=write, args=(log,)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["scores.jsonl", "scores.jsonl.1"]
    assert all(one.stat().st_size <= 65_536 for one in tmp_path.iterdir())
    found = read_log(path)
    assert found.broken == 0
    assert set(found.images) == {ONE}
    sizes = [len(one.read_bytes().splitlines()) for one in tmp_path.iterdir()]
    assert len(found.images) == sum(sizes)


def test_a_line_that_was_cut_off_is_left_out_and_the_next_begins_a_new_one(tmp_path):
    path = tmp_path / "scores.jsonl"
    log = ScoreLog(path, "a")
    log.add([ONE])
    with path.open("ab") as file:
        file.write(b'{"time": 1, "na')
    log.add([ONE])
    path.write_bytes(path.read_bytes() + b"[1]\nnull\n" + b'{"time":1,"name":"x","confidence":7}\n' + b"[" * 70_000)
    found = read_log(path)
    assert found.images == (ONE, ONE)
    assert found.broken >= 4


def test_what_cannot_be_written_or_read_is_said(tmp_path, monkeypatch):
    with pytest.raises(CompoundError, match=r"cannot write .*no/scores: No such file"):
        ScoreLog(tmp_path / "no" / "scores")
    with pytest.raises(UsageError, match=r"there is no log .*; compound predict and compound serve write one"):
        read_log(tmp_path / "none")
    (tmp_path / "empty").write_text("{}\n")
    with pytest.raises(UsageError, match="holds no line of an image"):
        read_log(tmp_path / "empty")
    log = ScoreLog(tmp_path / "full")
    log.add([ONE])
    before = (tmp_path / "full").read_bytes()
    monkeypatch.setattr(scorelog.os, "write", lambda file, data: len(data) - 1)
    with pytest.raises(CompoundError, match="the disk is full"):
        log.add([ONE])
    assert (tmp_path / "full").read_bytes() == before
