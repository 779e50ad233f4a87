"""Which keys are answered: in memory under a budget of bytes, and on disk for what was dear to make.

An answer is a step's outputs by name. Values are shared, never copied: by convention nobody writes to a value that came
over a wire. What leaves memory first is the least recently used *leaf*: an answer from which no other answer in memory
was made. So whatever is kept can be continued from, and making a lost answer again costs one step, not its ancestry. An
answer larger than the whole budget is not kept. One thread at a time. Knows nothing of graphs: parents are keys it is
told.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from graph_runtime.disk_cache import Codec, DiskCache
from graph_runtime.values import Many, nbytes

Outputs = Mapping[str, Any]

MIN_SECONDS = 0.25  # what took less is sooner made again than read
MAX_DISK_ENTRY = 512 << 20
_STANDING = frozenset({bool, int, float, str, type(None)})  # these always stand
_ENTRY_BYTES = 512  # an entry's own cost: key, dicts, links


class Hit(NamedTuple):
    """Outputs that were kept, and where: "memory" or "disk"."""

    outputs: Outputs
    tier: str


@dataclass(slots=True)
class _Entry:
    outputs: Outputs
    size: int
    parents: tuple[str, ...]
    used: int
    checks: tuple[Callable[[], bool], ...]
    in_line: bool = False  # a place in the heap of leaves is taken


@dataclass(slots=True)
class Report:
    """How a cache stands: entries and bytes in memory, hits by tier, misses, and what had to leave."""

    entries: int = 0
    bytes: int = 0
    budget: int = 0
    hits: dict[str, int] = field(default_factory=lambda: {"memory": 0, "disk": 0})
    misses: int = 0
    evicted: int = 0


class Cache:
    """Both tiers as one.

    memory_bytes   the budget of the memory tier; 0 keeps nothing there
    disk           the folder of the disk tier, or None; `codec` says how values become files (plain JSON without it)
    min_seconds    only what took longer than this goes to disk
    """

    def __init__(
        self,
        memory_bytes: int,
        disk: Path | None = None,
        disk_bytes: int = 10 << 30,
        *,
        codec: Codec | None = None,
        min_seconds: float = MIN_SECONDS,
        max_disk_entry: int = MAX_DISK_ENTRY,
    ) -> None:
        self.memory_bytes, self.min_seconds = memory_bytes, min_seconds
        self.disk = DiskCache(disk, disk_bytes, codec, max_disk_entry) if disk is not None and disk_bytes > 0 else None
        self._entries: dict[str, _Entry] = {}
        self._children: dict[str, int] = {}  # how many entries were made from a key, whether or not it is kept itself
        self._leaves: list[tuple[int, str]] = []  # (last use when put in line, key)
        self._clock = 0
        self._report = Report(budget=memory_bytes)

    def recall(self, key: str) -> Outputs | None:
        """The outputs kept in memory under `key`, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.checks and not all(check() for check in entry.checks):
            self._drop(key)
            return None
        self._clock += 1
        entry.used = self._clock
        self._report.hits["memory"] += 1
        return entry.outputs

    def get(self, key: str, parents: Iterable[str] = ()) -> Hit | None:
        """What either tier keeps under `key`. What comes from disk is then in memory too, as made from `parents`."""
        outputs = self.recall(key)
        if outputs is not None:
            return Hit(outputs, "memory")
        outputs = self.disk.get(key) if self.disk is not None else None
        if outputs is None or not all(check() for check in _checks(outputs)):
            self._report.misses += 1
            return None
        self._report.hits["disk"] += 1
        self._remember(key, outputs, tuple(parents))
        return Hit(outputs, "disk")

    def put(
        self, key: str, outputs: Outputs, seconds: float = 0.0, parents: Iterable[str] = (), *, dear: bool = False
    ) -> None:
        """Keep a step's outputs, which took `seconds` to make from the answers of `parents`; on disk if that was long,
        or if they are `dear` for another reason."""
        self._remember(key, outputs, tuple(parents))
        if self.disk is not None and (dear or seconds >= self.min_seconds):
            self.disk.put(key, outputs)

    def clear(self) -> None:
        """Forget what is in memory."""
        self._entries.clear()
        self._children.clear()
        self._leaves.clear()
        self._report.bytes = 0

    def report(self) -> Report:
        now = self._report
        return Report(len(self._entries), now.bytes, now.budget, dict(now.hits), now.misses, now.evicted)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def _remember(self, key: str, outputs: Outputs, parents: tuple[str, ...]) -> None:
        if key in self._entries:
            self._drop(key)
        size = _ENTRY_BYTES + sum(map(nbytes, outputs.values()))
        if size > self.memory_bytes:
            return
        self._clock += 1
        self._entries[key] = entry = _Entry(outputs, size, parents, self._clock, _checks(outputs))
        for parent in parents:
            self._children[parent] = self._children.get(parent, 0) + 1
        self._report.bytes += size
        self._line_up(key, entry)
        while self._report.bytes > self.memory_bytes:
            self._drop(self._next_to_leave(), evicted=True)

    def _line_up(self, key: str, entry: _Entry) -> None:
        if not entry.in_line and key not in self._children:
            entry.in_line = True
            heapq.heappush(self._leaves, (entry.used, key))
            if len(self._leaves) > 2 * len(self._entries) + 64:  # places of entries long gone
                self._leaves = [(one.used, name) for name, one in self._entries.items() if one.in_line]
                heapq.heapify(self._leaves)

    def _next_to_leave(self) -> str:
        """The least recently used leaf. Places in the line are corrected when reached, so that a use costs nothing."""
        while True:
            used, key = heapq.heappop(self._leaves)
            entry = self._entries.get(key)
            if entry is None or not entry.in_line:
                continue
            if key in self._children:  # something was made from it meanwhile; it comes back when that leaves
                entry.in_line = False
            elif entry.used != used:
                heapq.heappush(self._leaves, (entry.used, key))
            else:
                return key

    def _drop(self, key: str, evicted: bool = False) -> None:
        entry = self._entries.pop(key)
        self._report.bytes -= entry.size
        self._report.evicted += evicted
        for parent in entry.parents:
            left = self._children[parent] - 1
            if left:
                self._children[parent] = left
                continue
            del self._children[parent]
            if parent in self._entries:
                self._line_up(parent, self._entries[parent])


def _checks(outputs: Outputs) -> tuple[Callable[[], bool], ...]:
    """What to ask before the outputs are used again: a value may know that it no longer stands."""
    found: list[Callable[[], bool]] = []
    for value in outputs.values():
        if type(value) in _STANDING:
            continue
        for one in value if type(value) is Many else (value,):
            fresh = getattr(one, "fresh", None)
            if callable(fresh):
                found.append(fresh)
    return tuple(found)
