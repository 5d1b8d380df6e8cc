"""Changed files become the served networks without a restart."""

import logging
import threading
from collections.abc import Mapping

from compound.serve.metrics import ServerMetrics
from compound.serve.models import ServedModel

LOG = logging.getLogger("uvicorn.error")


class Watcher:
    """A thread that looks at the models' files every `seconds`, and at once when `look_now` is called."""

    def __init__(self, models: Mapping[str, ServedModel], seconds: float, metrics: ServerMetrics) -> None:
        self.models, self.seconds, self.metrics = models, seconds, metrics
        self._wake = threading.Event()
        self._forced = self._ended = False
        self._thread = threading.Thread(target=self._run, name="compound-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended = True
        self._wake.set()
        self._thread.join()

    def look_now(self) -> None:
        """Read all files whatever their dates say."""
        self._forced = True
        self._wake.set()

    def _run(self) -> None:
        while not self._ended:
            self._wake.wait(self.seconds)
            self._wake.clear()
            force, self._forced = self._forced, False
            for model in self.models.values():
                if not self._ended:
                    self._refresh(model, force)

    def _refresh(self, model: ServedModel, force: bool) -> None:
        taken = model.refresh(force)
        if taken is not None:
            self.metrics.reloads.labels(model.name, "taken" if taken else "refused").inc()
        if taken:
            LOG.info("%s: %s has changed and is in use", model.name, model.place)
