"""What the service counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

MEDIA_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250)


class Metrics:
    """The counts of one service; `process_resident_memory_bytes` is among them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "srgan_requests",
            "Pictures asked for, by the status of the answer; 499: the client went away",
            ["status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "srgan_request_seconds",
            "From the head of a request to the end of its answer",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.stages = Histogram(
            "srgan_stage_seconds", "Parts of the work", ["stage"], buckets=_SECONDS, registry=self._registry
        )
        self.pixels = Counter(
            "srgan_pixels", "Pixels of pictures read and of results made", ["direction"], registry=self._registry
        )
        self.waiting = Gauge("srgan_waiting", "Pictures that wait for the network", registry=self._registry)
        self.working = Gauge("srgan_working", "Pictures that the network is at", registry=self._registry)
        self.held = Gauge(
            "srgan_body_bytes", "Bytes held of pictures that arrive or wait to be decoded", registry=self._registry
        )
        self.room = Gauge("srgan_picture_bytes", "Bytes held of decoded pictures and results", registry=self._registry)
        self.networks = Gauge("srgan_networks", "Networks that are loaded", registry=self._registry)

    def text(self) -> bytes:
        """Return all of them as Prometheus reads them."""
        return generate_latest(self._registry)
