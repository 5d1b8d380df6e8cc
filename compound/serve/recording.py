"""What is kept of answers: figures for Prometheus, and lines of a log; of images nothing but how bright they are."""

import asyncio
import logging

from compound.deploy.scorelog import Scored, ScoreLog
from compound.errors import CompoundError
from compound.serve.metrics import ServerMetrics
from compound.serve.said import Said

LOG = logging.getLogger("uvicorn.error")


class Recorder:
    """Keeps answers of networks with one label an image. A log that cannot be written stops no answer."""

    def __init__(self, metrics: ServerMetrics, log: ScoreLog | None) -> None:
        self.metrics, self.log = metrics, log
        self.failing = False

    async def keep(self, model: str, said: Said, classes: int) -> None:
        """What a model said of an image, which knows so many classes."""
        _, name, probability = said.best[0]
        one = Scored(name, probability, said.score, said.unknown, said.light)
        self.metrics.answered(model, one, classes)
        if self.log is None:
            return
        try:
            await asyncio.to_thread(self.log.add, [one], model)
            self.failing = False
        except CompoundError as error:
            self.metrics.unlogged.labels(model).inc()
            if not self.failing:  # once, and not for every image until it is mended
                LOG.error("%s", error)
            self.failing = True
