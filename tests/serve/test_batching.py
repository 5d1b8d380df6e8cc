"""The queue: everybody gets his own answer, no more wait than may, and a failure stays with those who asked."""

import threading

import pytest
import torch
from torch import Tensor

from compound.serve import Batcher, Busy


class Doubling:
    """Answers an image (1, 1, 1) with twice its value; remembers how many came together."""

    def __init__(self, chunk: int) -> None:
        self.chunk, self.sizes = chunk, list[int]()
        self.open = threading.Event()

    def fitting(self, images: int) -> int:
        return images

    def answers(self, pixels: Tensor, asked: object) -> list[Tensor]:
        self.open.wait(100)
        self.sizes.append(len(pixels))
        if (pixels == 66).any():
            raise ValueError("66")
        return list((2 * pixels.flatten(1)).unbind())


@pytest.fixture
def batcher():
    made = Batcher(capacity=20, wait=0.01)
    yield made
    made.close()


def image(value: int) -> Tensor:
    return torch.full((1, 1, 1), value)


def test_own_answers_in_full_chunks_while_others_are_on_their_way() -> None:
    batcher, one, other = Batcher(capacity=20, wait=1000), Doubling(4), Doubling(4)
    asked = [(network, value) for network in (one, other) for value in range(9)]
    with batcher.admit(19) as places:  # one of them is damaged
        answers = [places.submit(network, image(value)) for network, value in asked]
        one.open.set()
        other.open.set()
        assert [answer.result(100).item() for answer in answers[:17]] == [2 * value for _, value in asked[:17]]
        assert not answers[17].done()
    assert answers[17].result(100).item() == 16
    batcher.close()
    assert one.sizes == other.sizes == [4, 4, 1]  # networks are never mixed, and order is kept


def test_a_lone_image_waits_for_nobody() -> None:
    batcher, network = Batcher(capacity=20, wait=1000), Doubling(4)
    network.open.set()
    with batcher.admit(1) as places:
        assert places.submit(network, image(3)).result(100).item() == 6
    batcher.close()


def test_nobody_waits_for_an_image_that_cannot_be_read() -> None:
    batcher, network = Batcher(capacity=20, wait=1000), Doubling(4)
    network.open.set()
    with batcher.admit(2) as places:
        answer = places.submit(network, image(2))
        places.give_up()
        assert answer.result(100).item() == 4
    batcher.close()


def test_an_image_that_comes_after_its_request_has_failed_keeps_nobody_waiting() -> None:
    batcher, network = Batcher(capacity=20, wait=1000), Doubling(4)
    network.open.set()
    with pytest.raises(ValueError, match="first"), batcher.admit(2) as failed:
        raise ValueError("first")
    assert failed.submit(network, image(2)).result(100).item() == 4
    with batcher.admit(1) as places:
        assert places.submit(network, image(3)).result(100).item() == 6
    batcher.close()


def test_who_is_too_many_is_sent_away(batcher: Batcher) -> None:
    with batcher.admit(18):
        with pytest.raises(Busy) as refused, batcher.admit(3):
            pass
        assert refused.value.seconds >= 1
        with batcher.admit(2):
            assert batcher.held == 20
    assert batcher.held == 0


def test_a_failure_is_told_to_those_who_asked(batcher: Batcher) -> None:
    network = Doubling(1)
    network.open.set()
    broken, whole = batcher.submit(network, image(66)), batcher.submit(network, image(3))
    with pytest.raises(ValueError, match="66"):
        broken.result(100)
    assert whole.result(100).item() == 6
    assert batcher.alive


def test_other_work_takes_its_turn_and_the_end_answers_all() -> None:
    batcher, network = Batcher(8, 0.0), Doubling(2)
    answers = [batcher.submit(network, image(1)), batcher.call(lambda: "drawn"), batcher.submit(network, image(2))]
    network.open.set()
    batcher.close()
    assert [answers[0].result(0).item(), answers[1].result(0), answers[2].result(0).item()] == [2, "drawn", 4]
    with pytest.raises(Busy, match="ending"), batcher.admit(1):
        pass
