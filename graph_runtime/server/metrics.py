"""What the server counts, for Prometheus. Labels are few: no ids, and at most so many kinds of nodes."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

KINDS = 500
SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
SHORT = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


class Meters:
    """One set for one server, in a registry of its own. Thread-safe."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        long: Any = {"buckets": SECONDS, "registry": registry}
        self.runs = Counter("runs", "Attempts that ended", ["status"], registry=registry)
        self.run_seconds = Histogram("run_seconds", "How long attempts took", **long)
        self.wait_seconds = Histogram("queue_wait_seconds", "From submission to start", **long)
        self.node_seconds = Histogram("node_seconds", "How long nodes took", ["kind"], **long)
        self.cache_hits = Counter("cache_hits", "Steps that were not computed again", ["tier"], registry=registry)
        self.restarts = Counter("worker_restarts", "Workers that ended", ["reason"], registry=registry)
        self.commits = Histogram("db_commit_seconds", "How long commits took", buckets=SHORT, registry=registry)
        self.requests = Counter("http_requests", "Answers given", ["status"], registry=registry)
        self.queue_depth = Gauge("queue_depth", "Runs that wait", registry=registry)
        self.loop_lag = Gauge("event_loop_lag_seconds", "How late the event loop is", registry=registry)
        self.clients = Gauge("ws_clients", "Live connections", registry=registry)
        self.dropped = Gauge("ws_dropped_messages", "Progress and previews overtaken by newer ones", registry=registry)
        self.lost = Gauge("ws_lost_clients", "Live connections ended for being too slow", registry=registry)
        self.rss = Gauge("process_rss_bytes", "Memory of a process", ["process"], registry=registry)
        self.disk_free = Gauge("disk_free_bytes", "Free where the data is", registry=registry)
        self._kinds: set[str] = set()

    def node(self, kind: str, seconds: float) -> None:
        if kind not in self._kinds and len(self._kinds) >= KINDS:
            kind = "other"
        self._kinds.add(kind)
        self.node_seconds.labels(kind).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)
