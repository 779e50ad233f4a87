"""What one server consists of, as its handlers see it. Made in `serve`, handed to every call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from graph_runtime.event_log import StoredEvent
from graph_runtime.events import Preview, Progress
from graph_runtime.run_queue import RunQueue
from graph_runtime.runs import Run, RunStatus
from graph_runtime.server.catalog import Catalog
from graph_runtime.server.file_ids import FileIds
from graph_runtime.server.guard import Guard
from graph_runtime.server.live import Hub
from graph_runtime.server.metrics import Meters
from graph_runtime.server.options import ServerOptions
from graph_runtime.server.probe import Probes
from graph_runtime.server.tokens import Tokens
from graph_runtime.settings import Settings
from graph_runtime.store import Store
from graph_runtime.supervisor import Supervisor

T = TypeVar("T")
OVER: tuple[RunStatus, ...] = ("succeeded", "failed", "cancelled")
RECENT = 50  # runs that are over, in a snapshot


@dataclass
class Server:
    """The parts of a server that is running."""

    settings: Settings
    options: ServerOptions
    store: Store
    queue: RunQueue
    tokens: Tokens
    ids: FileIds
    catalog: Catalog
    meters: Meters
    probes: Probes
    log: Any
    supervisor: Supervisor = field(init=False)
    hub: Hub = field(init=False)
    guard: Guard = field(init=False)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8, thread_name_prefix="asked"))
    began: float = field(default_factory=time.time)
    lag: float = 0.0
    ending: bool = False
    address: str = ""

    async def do(self, work: Callable[[], T]) -> T:
        """Do what may wait for the disk on another thread."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, work)

    async def write(self, begin: Callable[[], Future[T]]) -> T:
        """Begin a write on another thread, and wait for its commit."""
        return await asyncio.wrap_future(await self.do(begin))

    # ── what is said of things ──

    def run_json(self, run: Run) -> dict[str, Any]:
        data = run.as_json()
        result = data.pop("result")
        files = [self.file_json(one["kind"], one["name"], one) for one in result.get("files", ())]
        return data | {"seconds": result.get("seconds"), "files": files}

    def file_json(self, folder: str, label: str, more: Mapping[str, Any]) -> dict[str, Any]:
        known = {name: more[name] for name in ("step", "media", "run", "bytes", "created") if name in more}
        return {"id": self.ids.make(folder, label), "name": label, "kind": folder, **known}

    def event_json(self, event: StoredEvent) -> dict[str, Any]:
        """A kept event as clients hear it; files it names get their ids."""
        data = event.data
        if data["type"] == "wrote":
            facts = {"step": data["step"], "media": data["media"]}
            data = data | {"files": [self.file_json(data["kind"], label, facts) for label in data["paths"]]}
        return {
            "type": "event",
            "epoch": event.epoch,
            "seq": event.seq,
            "run": event.run,
            "time": event.time,
            "data": data,
        }

    def queue_json(self) -> dict[str, Any]:
        waiting = self.queue.positions(len(self.supervisor.slots))
        return {
            "paused": list(self.queue.paused()),
            "counts": dict(self.store.runs.counts()),
            "waiting": [{name: getattr(one, name) for name in one.__slots__} for one in waiting],
        }

    def workers_json(self) -> list[dict[str, Any]]:
        return [slot.as_json() for slot in self.supervisor.slots]

    def snapshot(self) -> dict[str, Any]:
        """All that matters now. The place is read first: what happens meanwhile is told again, and is the same."""
        epoch, seq = self.store.events.head()
        active = self.store.runs.page(("queued", "running", "crashed"), limit=500).runs
        over = self.store.runs.page(OVER, limit=RECENT).runs
        return {
            "type": "snapshot",
            "epoch": epoch,
            "seq": seq,
            "runs": [self.run_json(run) for run in (*active, *over)],
            "queue": self.queue_json(),
            "workers": self.workers_json(),
        }

    def welcome(self, epoch: str, seq: int) -> dict[str, Any]:
        return {"type": "welcome", "epoch": epoch, "seq": seq, "workers": self.workers_json()}

    # ── what the supervisor tells ──

    def passing(self, event: Progress | Preview) -> None:
        self.hub.show(event)

    def hello(self, worker: str, hello: Mapping[str, Any]) -> None:
        if self.catalog.update(hello):
            self.hub.say({"type": "nodes-changed"})

    def workers_changed(self) -> None:
        self.hub.say({"type": "workers", "workers": self.workers_json()})

    def step_ended(self, kind: str, seconds: float) -> None:
        self.meters.node(kind, seconds)

    def steps_reused(self, tier: str, count: int) -> None:
        self.meters.cache_hits.labels(tier).inc(count)

    def run_ended(self, status: str, seconds: float, waited: float) -> None:
        self.meters.runs.labels(status).inc()
        self.meters.run_seconds.observe(seconds)
        self.meters.wait_seconds.observe(waited)

    def worker_lost(self, worker: str, reason: str) -> None:
        self.meters.restarts.labels(reason).inc()
