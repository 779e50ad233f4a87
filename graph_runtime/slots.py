"""The places for workers: one for each device and what is in it; and what devices there are.

Knows nothing of the rules of the queue.

The supervisor's thread of a slot changes it; others read it, and change what `lock` guards.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from graph_runtime.problem import Problem
from graph_runtime.run_queue import Claim
from graph_runtime.settings import Settings
from graph_runtime.workers.process import ProcessWorker

State = Literal["starting", "ready", "running", "failed", "closed"]


@dataclass
class Slot:
    """A place for a worker: its handle, and what it is at."""

    name: str
    device: str
    handle: ProcessWorker
    state: State = "starting"
    problems: tuple[Problem, ...] = ()
    claim: Claim | None = None
    next: Future[Claim | None] | None = None  # claimed while the last run was being written down
    cancelled: bool = False  # somebody asked for the end of the claim's run
    step: str = ""
    restarts: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def as_json(self) -> dict[str, Any]:
        claim = self.claim
        return {
            "name": self.name,
            "device": self.device,
            "state": self.state,
            "run": claim.run.id if claim else "",
            "step": self.step,
            "pid": self.handle.pid,
            "quiet_seconds": round(self.handle.quiet_seconds, 1),
            "restarts": self.restarts,
            "problems": [one.as_json() for one in self.problems],
        }


def devices(settings: Settings) -> tuple[str, ...]:
    """What to start workers for: each GPU of NVIDIA that may be seen, or else what the settings say. Asks no device."""
    if settings.device != "auto":
        return (settings.device,)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        count = len([one for one in visible.split(",") if one.strip() not in ("", "-1")])
    else:
        folder = Path("/proc/driver/nvidia/gpus")
        count = len(list(folder.iterdir())) if folder.is_dir() else 0
    return tuple(f"cuda:{number}" for number in range(count)) if count > 1 else ("auto",)
