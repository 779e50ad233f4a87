"""A model of which only a part is on the device: what a recipe's `load` gives under any plan but "resident".

Its blocks are handed out by a `lend.Ring`, the layers before them watched by a `lend.Early`; everything else is in
place. The same numbers in the same order come out as when all of it is resident. Knows no family and no budget; the
plan says what is where.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from graph_runtime.context import Plan
from nodes.models.layers.blocks import blocks_of
from nodes.models.layers.packed import ApartLinear
from nodes.models.weights.fill import Job, Reader, assign
from nodes.models.weights.lend import Early, InFile, OnHost, Ring, Source
from nodes.models.weights.place import Placed, nbytes
from nodes.models.weights.portions import Portion, Portions, portion_of, portions, settled


class Streamed(Placed):
    """A module in memory in parts. `nbytes` are those on the device, the ring's among them."""

    def __init__(
        self, module: nn.Module, device: str, ring: Ring | None, early: Early | None, sources: list[Source]
    ) -> None:
        super().__init__(module)
        self._device, self._ring, self._early, self._sources = torch.device(device), ring, early, sources
        if ring is not None:
            for blocks in blocks_of(module):
                blocks.lender = ring
            ring.open(device)
            self.nbytes += ring.nbytes

    def move(self, to: str | torch.device) -> None:
        """As Placed's, for what is on the device; the ring is only where it computes."""
        super().move(to)
        if self._early is not None:
            self._early.device = torch.device(to)
        if self._ring is not None:
            self._ring.close()
            if torch.device(to) == self._device:
                self._ring.open(to)
        self.nbytes = nbytes(self.value) + (self._ring.nbytes if self._ring else 0) if self.value else 0

    def close(self) -> None:
        if self._early is not None:
            self._early.close()
        if self._ring is not None:
            self._ring.close()
        if self.value is not None:
            for blocks in blocks_of(self.value):
                blocks.lender = None
        for source in self._sources:
            source.close()
        super().close()


def load_streamed(module: nn.Module, filling: Reader, device: str, plan: Plan) -> Streamed:
    """Fill a model on `meta` as the plan says: some of it on the device, some on the host, the rest not yet.

    Never is more in memory than the plan's bytes, but for the blocks that are being read.
    """
    jobs = {name: job for job in filling.jobs for name in job.names}
    parts = portions(module)
    home = [block for blocks in blocks_of(module) for block in blocks]
    away = {number: _portion(module, home[number], parts.blocks[number], jobs) for number in plan.away}
    early = [] if plan.early == "device" else _early(module, parts, jobs)
    elsewhere = {place.name for portion in (*away.values(), *early) for place in portion.places}
    sources = {where: _source(where, filling, device) for where in {plan.early, plan.blocks} - {"device"}}
    here = [job for job in filling.jobs if elsewhere.isdisjoint(job.names)]
    targets = {job: torch.empty(job.shape, dtype=job.dtype, device=device) for job in here}
    filling.read(targets)
    assign(module, {name: target for job, target in targets.items() for name in job.names})
    _settle(module)
    host = sources.get("host")
    if isinstance(host, OnHost):
        if plan.early == "host":
            early = [_waiting(module, portion, filling, jobs, host) for portion in early]
        if plan.blocks == "host":
            away = {number: _waiting(module, one, filling, jobs, host) for number, one in away.items()}
        host.pin()
    if plan.early == "disk":
        early = [_apart(module, portion) for portion in early]
    if plan.blocks == "disk":
        away = {number: _apart(module, portion) for number, portion in away.items()}
    for portion in (*away.values(), *early):
        portion.take_away()  # so that a layer tells its dtype also before it has ever had its weights
    module.eval().requires_grad_(False)
    ring = Ring(home, away, sources[plan.blocks], plan.ahead) if away else None
    watched = Early(early, sources[plan.early], device) if early else None
    return Streamed(module, device, ring, watched, list(sources.values()))


def _portion(module: nn.Module, home: nn.Module, names: tuple[str, ...], jobs: Mapping[str, Job]) -> Portion:
    return portion_of(module, home, names, lambda name: jobs[name].dtype)


def _early(module: nn.Module, parts: Portions, jobs: Mapping[str, Job]) -> list[Portion]:
    return [_portion(module, module.get_submodule(stem), names, jobs) for stem, names in parts.early.items()]


def _source(where: str, filling: Reader, device: str) -> Source:
    return OnHost(torch.device(device).type == "cuda") if where == "host" else InFile(filling)


def _apart(module: nn.Module, portion: Portion) -> Portion:
    """A portion that stays in its file; what it is like once it is read, and taken apart."""
    inside = {place.owner for place in portion.places if isinstance(place.owner, ApartLinear)}
    for one in inside:
        one.settle()  # on `meta`
    return settled(portion, module) if inside else portion


def _waiting(module: nn.Module, portion: Portion, filling: Reader, jobs: Mapping[str, Job], host: OnHost) -> Portion:
    """Read a portion into the host's memory; what it is like there."""
    if not any(isinstance(place.owner, ApartLinear) for place in portion.places):
        memory = host.room(portion)
        filling.read({jobs[place.name]: place.view(memory) for place in portion.places})
        return portion
    read = {place: torch.empty(place.shape, dtype=place.dtype) for place in portion.places}
    filling.read({jobs[place.name]: tensor for place, tensor in read.items()})
    for place, tensor in read.items():
        place.put(tensor)
    _settle(portion.home)
    apart = settled(portion, module)
    memory = host.room(apart)
    for place in apart.places:
        place.view(memory).copy_(_now(place.owner, place.leaf))
    apart.take_away()
    return apart


def _now(owner: nn.Module, leaf: str) -> Tensor:
    held = owner._parameters.get(leaf)
    tensor = held if held is not None else owner._buffers[leaf]
    assert tensor is not None
    return tensor


def _settle(module: nn.Module) -> None:
    """Let the Linears that want their weights apart, and have them here, take them apart."""
    for one in module.modules():
        if isinstance(one, ApartLinear) and not one.weight.is_meta and one.scales is None:
            one.settle()
