"""Which plan a model is loaded under: a pure choice by bytes. The best first:

    resident   all of it on the device
    lean       what is only needed before the steps (weights of modulation, of the text's way in; a text encoder's table
               of words, row by row) comes layer by layer when it is called, from the host's memory or else from the
               file, and leaves at once
    prefetch   and as few blocks as possible have no place of their own: they come from the host's memory into a ring of
               buffers, `AHEAD` blocks ahead of their use
    disk       the same from the file, without taking the host's memory

Between resident and lean, other models leave the device: `residency` counts what is not in use as free. Where the
device is the CPU there is one memory, and nothing can wait on a host beside it. Knows no tensor and reads no file.
"""

from __future__ import annotations

from collections.abc import Iterator

from graph_runtime.context import Footprint, Plan, Where

AHEAD = 2
"""Blocks that are on their way while one computes; the ring has one buffer more."""

NAMES = ("resident", "lean", "prefetch", "disk")


def resident(nbytes: int) -> Plan:
    """The plan of a model that is on the device as a whole."""
    return Plan("resident", nbytes)


def plans(parts: Footprint, one_memory: bool) -> Iterator[Plan]:
    """Every plan there is for a model, best first.

    one_memory  whether the device's memory is the machine's
    """
    yield resident(parts.total)
    waits: tuple[Where, ...] = ("disk",) if one_memory else ("host", "disk")
    blocks = sum(parts.blocks)
    if parts.early > parts.leaf:
        for where in waits:
            host = parts.early if where == "host" else 0
            yield Plan("lean", parts.always + parts.leaf + blocks, host, early=where)
    for where in waits:
        for count in range(AHEAD + 2, len(parts.blocks) + 1):
            away = spread(len(parts.blocks), count)
            taken = [parts.blocks[number] for number in away]
            ring = (AHEAD + 1) * max(taken)
            device = parts.always + parts.leaf + blocks - sum(taken) + ring
            host = parts.early + sum(taken) if where == "host" else 0 if one_memory else (AHEAD + 1) * max(taken)
            yield Plan("prefetch" if where == "host" else "disk", device, host, where, where, away, AHEAD)


def spread(count: int, away: int) -> tuple[int, ...]:
    """`away` of `count` numbers, as far from each other as can be, so that others compute while one is on its way."""
    return tuple(index * count // away for index in range(away))


def choose(
    parts: Footprint, device: int, host: int, one_memory: bool = False, after: Plan | None = None
) -> Plan | None:
    """The best plan within these bytes; None if there is none.

    after  a plan that memory ran out under: only those that take less count, with all blocks away, since by how much
           the bytes were wrong is not known
    """
    found = plans(parts, one_memory)
    if after is not None:
        found = iter(smaller(parts, one_memory, after))
    return next((plan for plan in found if plan.device <= device and plan.host <= host), None)


def smaller(parts: Footprint, one_memory: bool, than: Plan) -> list[Plan]:
    """Later plans that take less on the device than this one, or if there are none, less on the host."""

    def rank(plan: Plan) -> tuple[int, bool, int]:
        return NAMES.index(plan.name), plan.early == "disk", len(plan.away)

    whole = [plan for plan in plans(parts, one_memory) if len(plan.away) in (0, len(parts.blocks))]
    later = [plan for plan in whole if rank(plan) > rank(than)]
    return [plan for plan in later if plan.device < than.device] or [plan for plan in later if plan.host < than.host]


def least(parts: Footprint, one_memory: bool, host: int | None = None) -> Plan:
    """The plan that takes least on the device, of those that take no more than `host` bytes beside it."""
    every = (plan for plan in plans(parts, one_memory) if host is None or plan.host <= max(host, 0))
    return min(every, key=lambda plan: plan.device)
