"""What the server counts, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ServerMetrics:
    """The figures of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests by path and status", "path", "status")
        self.seconds = self._histogram("request_seconds", "Seconds from the headers to the end of the answer", "path")
        self.images = self._counter("images", "Images computed", "model")
        self.batches = self._counter("batches", "Batches computed", "model")
        self.compute = self._counter("compute_seconds", "Seconds the network computed", "model")
        self.reloads = self._counter("reloads", "Changed files taken up, or refused as broken", "model", "result")
        self.waiting = Gauge("compound_waiting", "Images admitted, unanswered", ["model"], registry=self.registry)

    def observe(self, path: str, status: int, seconds: float) -> None:
        self.requests.labels(path, status).inc()
        self.seconds.labels(path).observe(seconds)

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

    def _histogram(self, name: str, help: str, *labels: str) -> Histogram:
        return Histogram(f"compound_{name}", help, labels, buckets=SECONDS, registry=self.registry)
