"""Batches: the order, what workers may not change, and what happens to damaged images."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch

from compound.data import (
    ArraySource,
    Augment,
    DamageLog,
    DataError,
    Draw,
    EpochSampler,
    FileSource,
    Images,
    Preprocessing,
    loader,
    loading,
    make_loader,
)
from compound.errors import CompoundError
from compound.network import Inputs

PRE = Preprocessing(16, 3, Inputs(margin=0, interpolation="bilinear"))


def indices(batches) -> list[int]:
    return [draw.index for batch in batches for draw in batch]


def test_an_epoch_is_a_permutation_that_seed_and_epoch_decide():
    sampler = EpochSampler(103, 10, seed=1, shuffle=True)
    first = list(sampler)
    assert [len(batch) for batch in first] == [10] * 10 + [3]
    assert len(sampler) == 11
    assert sorted(indices(first)) == list(range(103)) != indices(first)
    assert list(sampler) == first
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(indices(second)) == list(range(103))
    assert indices(second) != indices(first)
    assert {draw.epoch for batch in second for draw in batch} == {1}
    assert indices(EpochSampler(103, 10, seed=2, shuffle=True)) != indices(first)
    assert indices(EpochSampler(5, 2)) == [0, 1, 2, 3, 4]


def test_drop_last_leaves_the_rest_out():
    sampler = EpochSampler(103, 10, shuffle=True, drop_last=True)
    assert [len(batch) for batch in sampler] == [10] * 10
    assert len(sampler) == 10
    with pytest.raises(DataError, match="more than the 5 images"):
        EpochSampler(5, 10, drop_last=True)
    with pytest.raises(DataError, match="batch 0"):
        EpochSampler(5, 0)


def test_a_run_resumed_within_an_epoch_sees_the_tail_and_then_whole_epochs():
    whole = EpochSampler(103, 10, seed=1, shuffle=True, start_epoch=3)
    resumed = EpochSampler(103, 10, seed=1, shuffle=True, start_epoch=3, start_batch=4)
    assert list(resumed) == list(whole)[4:]
    assert len(resumed) == len(whole) == 11  # Lightning adds the steps done before
    for sampler in (whole, resumed):
        sampler.set_epoch(4)
    assert list(resumed) == list(whole)
    resumed.set_epoch(3)  # what a trainer announces on resuming
    assert len(list(resumed)) == 7


def test_processes_share_every_step_of_the_single_process_run():
    single = list(EpochSampler(103, 12, seed=1, shuffle=True))
    shares = [list(EpochSampler(103, 4, seed=1, shuffle=True, rank=rank, world=3)) for rank in range(3)]
    assert [len(share) for share in shares] == [9, 9, 9]
    assert [len(share[-1]) for share in shares] == [3, 2, 2]
    for step, batch in enumerate(single):
        assert sorted(draw for share in shares for draw in share[step]) == sorted(batch)


@pytest.mark.parametrize("world", [1, 3])
def test_repeats_are_augmented_anew_and_an_epoch_keeps_its_length(world):
    sampler = EpochSampler(103, 12, seed=1, shuffle=True, repeats=3)
    steps = list(sampler)
    plain = indices(EpochSampler(103, 12, seed=1, shuffle=True))
    assert indices(steps) == [index for index in plain for _ in range(3)][:103]
    assert [len(step) for step in steps] == [12] * 8 + [7]
    assert all(len({draw.epoch for draw in step[i : i + 3]}) == 3 for step in steps[:8] for i in range(0, 12, 3))
    sampler.set_epoch(1)
    assert not {draw.epoch for step in sampler for draw in step} & {draw.epoch for step in steps for draw in step}
    shares = [
        list(EpochSampler(103, 12 // world, seed=1, shuffle=True, repeats=3, rank=rank, world=world))
        for rank in range(world)
    ]
    assert [sorted(draw for share in shares for draw in share[step]) for step in range(9)] == [sorted(s) for s in steps]
    resumed = EpochSampler(103, 12, seed=1, shuffle=True, repeats=3, start_batch=4)
    assert list(resumed) == steps[4:]


@pytest.fixture
def files(class_folders) -> FileSource:
    folder = class_folders("jpegs", {"a": 23})
    return FileSource(sorted(folder.rglob("*.jpg")), [i % 3 for i in range(23)], 3)


@pytest.mark.parametrize("crop", ["inception", "shift"])
def test_workers_do_not_change_what_is_loaded(files, crop):
    augment = Augment(crop=crop, erase=0.5, policy="trivial")
    runs = []
    for workers in (0, 2):
        made = make_loader(files, PRE, 5, augment=augment, shuffle=True, seed=3, workers=workers, epoch=2)
        runs.append(list(made))
    for here, there in zip(*runs, strict=True):
        assert torch.equal(here.images, there.images)
        assert torch.equal(here.indices, there.indices)
        assert torch.equal(here.labels, here.indices % 3)
    assert runs[0][0].images.shape == (5, 3, 16, 16)


def test_epochs_differ_and_the_global_generator_is_left_alone(files):
    before = torch.get_rng_state()
    made = make_loader(files, PRE, 23, augment=Augment(crop="inception"))
    (first,) = made
    made.batch_sampler.set_epoch(1)
    (second,) = made
    assert torch.equal(first.indices, second.indices)
    assert (first.images != second.images).flatten(1).any(1).all()
    assert torch.equal(before, torch.get_rng_state())


def test_inception_crop_is_the_box_scaled(files):
    augment = Augment(crop="inception", flip=False)
    (batch,) = make_loader(files, PRE, 23, augment=augment, seed=5)
    dataset = Images(files, PRE, augment, seed=5)
    assert torch.equal(dataset[Draw(0, 7)].images[0], batch.images[7])
    whole = Augment(crop="inception", flip=False, scale=(1.0, 1.0), ratio=(1.5, 1.5))  # all of a 60 × 40 picture
    (batch,) = make_loader(files, PRE, 23, augment=whole)
    squash = Preprocessing(16, 3, Inputs(fit="squash", interpolation="bilinear"))
    assert torch.equal(batch.images[4], squash.resize(files.load(4)))


def arrays(count: int = 9) -> ArraySource:
    images = torch.randint(0, 256, (count, 3, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ArraySource(images, range(count), "noise")


def test_arrays_load_as_single_images_do_with_or_without_the_cache(monkeypatch):
    source = arrays()
    (cached,) = make_loader(source, PRE, 9)
    monkeypatch.setattr(loader, "CACHE_LIMIT", 0)
    (uncached,) = make_loader(source, PRE, 9)
    for batch in (cached, uncached):
        assert torch.equal(batch.images, torch.stack([PRE.resize(source.load(i)) for i in range(9)]))
        assert batch.labels.tolist() == batch.indices.tolist() == list(range(9))
        assert batch.damaged == []


def test_batch_moves_to_a_device_and_keeps_what_was_damaged():
    (batch,) = make_loader(arrays(), PRE, 9)
    batch.damaged.append(("a", "b"))
    moved = batch.to("meta")
    assert {each.device.type for each in (moved.images, moved.labels, moved.indices)} == {"meta"}
    assert moved.damaged == [("a", "b")]
    assert len(moved) == 9


def test_damaged_images_are_left_out_and_listed(files, tmp_path):
    bad = {4: b"", 9: b"no picture"}
    for index, data in bad.items():
        (tmp_path / "jpegs" / "a" / f"{index:03d}.jpg").write_bytes(data)
    augment = Augment(crop="inception", erase=1.0)
    (batch,) = make_loader(files, PRE, 23, augment=augment)
    kept = [i for i in range(23) if i not in bad]
    assert batch.indices.tolist() == kept
    assert batch.labels.tolist() == [i % 3 for i in kept]
    assert [(path[-7:], reason.split()[-1]) for path, reason in batch.damaged] == [
        ("004.jpg", "empty"),
        ("009.jpg", "PPM)"),
    ]
    alone = Images(files, PRE, augment)[Draw(0, 10)]  # 10 comes after both: its numbers are its own
    assert torch.equal(alone.images[0], batch.images[8])
    nothing = Images(files, PRE, augment).__getitems__([Draw(0, 4), Draw(0, 9)])
    assert (len(nothing), nothing.images.shape, len(nothing.damaged)) == (0, (0, 3, 16, 16), 2)


def damage(good: int, bad: list[str]) -> loader.Batch:
    zeros = torch.zeros(good, dtype=torch.int64)
    return loader.Batch(torch.zeros(good, 1, 1, 1), zeros, zeros, [(path, "empty") for path in bad])


def test_more_than_one_in_a_hundred_damaged_stops_the_run():
    log = DamageLog()
    log.add(damage(50, ["a.jpg"]))  # 2 %, but of too few images to judge
    log.add(damage(148, ["b.jpg"]))  # 1 % of 200
    assert log.seen == 200
    assert log.summary() == "2 of 200 images loaded were damaged and left out: a.jpg (empty), b.jpg (empty)"
    with pytest.raises(CompoundError, match=r"3 of 201 .* a\.jpg \(empty\).* more than 1\.0%"):
        log.add(damage(0, ["c.jpg"]))


def test_the_same_damaged_file_counts_every_epoch_but_is_named_once():
    log = DamageLog(limit=0.5)
    for _ in range(3):
        log.add(damage(200, ["a.jpg"]))
    assert log.summary() == "3 of 603 images loaded were damaged and left out: a.jpg (empty)"
    log = DamageLog(limit=0.015, minimum=150)
    log.add(damage(50, ["a.jpg"]))
    log.add(damage(50, ["a.jpg"]))
    with pytest.raises(CompoundError, match="3 of 153"):
        log.add(damage(50, ["a.jpg"]))
    assert DamageLog().summary() == "none of 0 images loaded was damaged"


def large(count: int = 300) -> ArraySource:
    return ArraySource(torch.zeros(count, 3, 64, 64, dtype=torch.uint8), range(count), "large")


BIG = Preprocessing(64, 3, Inputs(margin=0))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # torch may say it again in __del__
def test_a_killed_worker_is_an_error_at_once():
    made = make_loader(large(), BIG, 10, workers=2)

    def kill_one() -> None:
        with loading():
            for _ in made:
                os.kill(made._iterator._workers[0].pid, signal.SIGKILL)

    with pytest.raises(CompoundError, match=r"loading images failed: DataLoader worker .*use fewer --workers, or 0"):
        kill_one()


def test_workers_outlive_the_signals_that_stop_a_training():
    made = make_loader(large(), BIG, 10, workers=2)
    batches = iter(made)
    next(batches), next(batches)  # one of each worker, so that both are ready
    sender = f"kill -TERM {made._iterator._workers[0].pid}; kill -INT {made._iterator._workers[1].pid}"
    subprocess.run(["sh", "-c", sender], check=True)  # another process's signal, as a scheduler's
    assert len(list(batches)) == 28


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch's own way is taken")
def test_workers_are_forked_also_by_a_process_that_was_spawned():
    """Such a process would hand its own way on, and each worker would import torch anew."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(ways_of_starting).result(200) == ("spawn", "fork")


def ways_of_starting() -> tuple[str, str]:
    """The process's own, and that of a loader's workers."""
    made = make_loader(large(), BIG, 10, workers=1)
    return multiprocessing.get_start_method(), made.multiprocessing_context.get_start_method()


def test_other_errors_keep_their_words():
    with pytest.raises(RuntimeError, match=r"^anything else$"), loading():
        raise RuntimeError("anything else")
    with pytest.raises(BrokenPipeError), loading():  # our own output's, whose reader has gone
        raise BrokenPipeError


SMALL_SHARED_MEMORY = """
import compound.spared
import torch
from compound.data import ArraySource, Preprocessing, loading, make_loader
from compound.network import Inputs

source = ArraySource(torch.zeros(200, 3, 128, 128, dtype=torch.uint8), range(200), "large")
with loading():
    for batch in make_loader(source, Preprocessing(128, 3, Inputs()), 50, workers=2):
        pass
"""


@pytest.mark.long
@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("unshare"), reason="needs a /dev/shm of its own")
def test_a_full_dev_shm_is_an_error_not_a_hang():
    mount = 'mount -t tmpfs -o size=2M tmpfs /dev/shm && exec "$@"'
    words = ["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, "-c", SMALL_SHARED_MEMORY]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": os.getcwd()}
    )
    if "permission denied" in done.stderr.lower() or "not permitted" in done.stderr.lower():
        pytest.skip("this machine lets nobody mount")
    assert done.returncode == 1
    assert "compound.errors.CompoundError: loading images failed: " in done.stderr
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("crop", ["inception", "shift"])
def test_a_repeated_image_is_read_once_and_seen_differently(files, crop, monkeypatch):
    read = []
    load = FileSource.load
    monkeypatch.setattr(FileSource, "load", lambda self, index: (read.append(index), load(self, index))[1])
    augment = Augment(crop=crop, shift=2, flip=False)
    loader = make_loader(files, Preprocessing(16, 3, Inputs()), 6, augment=augment, shuffle=True, seed=2, repeats=3)
    batch = next(iter(loader))
    assert len(read) == 2
    assert batch.indices.tolist() == [index for index in read for _ in range(3)]
    for first in (0, 3):
        a, b, c = batch.images[first : first + 3]
        assert not (torch.equal(a, b) and torch.equal(b, c))
