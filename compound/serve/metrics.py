"""What the server counts, for Prometheus."""

from collections.abc import Callable
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from compound.deploy.scorelog import Scored

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SHARES = tuple(step / 10 for step in range(1, 11))
MOST_CLASSES = 100


class ServerMetrics:
    """The figures of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests by path and status", "path", "status")
        self.seconds = self._histogram(
            "request_seconds", "Seconds from the headers to the end of the answer", SECONDS, "path"
        )
        self.images = self._counter("images", "Images computed", "model")
        self.batches = self._counter("batches", "Batches computed", "model")
        self.compute = self._counter("compute_seconds", "Seconds the network computed", "model")
        self.reloads = self._counter("reloads", "Changed files taken up, or refused as broken", "model", "result")
        self.confidence = self._histogram("confidence", "Probability of the class named", SHARES, "model")
        self.brightness = self._histogram("brightness", "Mean of an image as the network receives it", SHARES, "model")
        self.unknown = self._counter("unknown", "Images that were none of the classes", "model")
        self.named = self._counter("named", "Images by the class named, of networks with few", "model", "class")
        self.unlogged = self._counter("unlogged", "Answers that --log could not be written for", "model")
        self.waiting = Gauge("compound_waiting", "Images admitted, unanswered", ["model"], registry=self.registry)

    def observe(self, path: str, status: int, seconds: float) -> None:
        counted, timed = self._of_path(path, status)
        counted.inc()
        timed.observe(seconds)

    @lru_cache(maxsize=256)  # noqa: B019 (as long as the server)
    def _of_path(self, path: str, status: int) -> tuple[Counter, Histogram]:
        return self.requests.labels(path, status), self.seconds.labels(path)

    def answered(self, model: str, one: Scored, classes: int) -> None:
        """An answer of a model with so many classes: each class is a series, and Prometheus keeps all of them."""
        self.confidence.labels(model).observe(one.confidence)
        if one.brightness is not None:
            self.brightness.labels(model).observe(one.brightness)
        if one.unknown:
            self.unknown.labels(model).inc()
        if classes <= MOST_CLASSES:
            self.named.labels(model, one.name).inc()

    def batch(self, model: str) -> Callable[[int, float], None]:
        """What a queue tells of its batches."""

        def note(images: int, seconds: float) -> None:
            self.images.labels(model).inc(images)
            self.batches.labels(model).inc()
            self.compute.labels(model).inc(seconds)

        return note

    def watch(self, model: str, waiting: Callable[[], float]) -> None:
        """The length of a queue is read when somebody asks."""
        self.waiting.labels(model).set_function(waiting)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"compound_{name}", help, labels, registry=self.registry)

    def _histogram(self, name: str, help: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"compound_{name}", help, labels, buckets=buckets, registry=self.registry)
