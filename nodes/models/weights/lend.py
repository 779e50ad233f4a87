"""Portions of a model come when they are called for, and go.

    Source   where portions wait: in the host's memory, pinned where there is a GPU, or in their file
    Ring     buffers on the device that blocks come into, some blocks ahead of their use, beside the computing
    Early    layers that are called before the blocks come one by one, each into memory of its own; of a table only the
             rows that are looked up

On a GPU copies run on a stream of their own: a block waits for its copy by an event, and a buffer is written again only
after the event of the block that last computed with it. Neither makes the host wait. On the CPU a thread takes the
stream's place, so the order of things is the same. Knows no family and no budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nodes.models.layers.blocks import Blocks
from nodes.models.layers.packed import ApartLinear
from nodes.models.weights.fill import Job, Reader
from nodes.models.weights.portions import Place, Portion


class Source(Protocol):
    """Where portions wait."""

    quick: bool
    """Whether `bring` to a GPU only enqueues."""

    def bring(self, portion: Portion, memory: Tensor) -> None:
        """Fill memory (bytes,) on any device with a portion; on a GPU on the current stream."""

    def rows(self, table: Portion, numbers: Tensor) -> Tensor:
        """Rows of a table, which is a portion of its own: numbers (n,) → (n, columns), on the CPU."""

    def close(self) -> None:
        """Let go of what it holds."""


class OnHost:
    """Portions in the host's memory, each in one piece."""

    quick = True

    def __init__(self, pinned: bool) -> None:
        """`pinned`: register the memory with CUDA where it lies. torch's own pinned memory is rounded up to a power of
        two, which for blocks is a third of it for nothing."""
        self._pinned = pinned
        self._memory: dict[Portion, Tensor] = {}

    def room(self, portion: Portion) -> Tensor:
        """Memory for a portion, to be filled; it is kept."""
        memory = self._memory[portion] = torch.empty(portion.nbytes, dtype=torch.uint8)
        return memory

    def pin(self) -> None:
        """Once all is filled."""
        if self._pinned:
            for memory in self._memory.values():
                _registered(memory)

    @property
    def nbytes(self) -> int:
        return sum(memory.numel() for memory in self._memory.values())

    def bring(self, portion: Portion, memory: Tensor) -> None:
        memory.copy_(self._memory[portion], non_blocking=True)

    def rows(self, table: Portion, numbers: Tensor) -> Tensor:
        return table.places[0].view(self._memory[table])[numbers]

    def close(self) -> None:
        if self._pinned:
            torch.cuda.synchronize()
            for memory in self._memory.values():
                torch.cuda.cudart().cudaHostUnregister(memory.data_ptr())
        self._memory.clear()


def _registered(memory: Tensor) -> None:
    """Pin memory where it lies. Raises MemoryError when the system does not let so much be pinned."""
    code = torch.cuda.cudart().cudaHostRegister(memory.data_ptr(), memory.numel(), 0)
    if int(code):
        raise MemoryError(f"{memory.numel()} bytes of the host's memory could not be pinned (CUDA error {int(code)})")


class InFile:
    """Portions in the file they come from, read whenever they are wanted, and taken apart for bitsandbytes."""

    quick = False

    def __init__(self, filling: Reader) -> None:
        self._filling = filling
        self._jobs: dict[str, Job] = {name: job for job in filling.jobs for name in job.names}

    def bring(self, portion: Portion, memory: Tensor) -> None:
        there = memory
        if memory.device.type != "cpu":
            there = torch.empty(portion.nbytes, dtype=torch.uint8, pin_memory=memory.device.type == "cuda")
        self._read(portion, there)
        if there is not memory:
            memory.copy_(there, non_blocking=True)
            # The staging memory may be used again once it is free: torch waits for copies out of its own pinned memory.

    def _read(self, portion: Portion, memory: Tensor) -> None:
        wanted = {place.name: place.view(memory) for place in portion.places}
        targets = {self._jobs[name]: view for name, view in wanted.items() if name in self._jobs}
        joined = {place: self._jobs[place.name] for place in portion.places if _taken_apart(place)}
        targets |= {job: torch.empty(job.shape, dtype=job.dtype) for job in joined.values()}
        self._filling.read(targets)
        for place, job in joined.items():
            assert isinstance(place.owner, ApartLinear)
            codes, scales = place.owner.apart(targets[job])
            wanted[place.name].copy_(codes)
            wanted[f"{place.name.rpartition('.')[0]}.scales"].copy_(scales)

    def rows(self, table: Portion, numbers: Tensor) -> Tensor:
        return self._filling.rows(self._jobs[table.places[0].name], numbers.tolist())

    def close(self) -> None:
        pass


def _taken_apart(place: Place) -> bool:
    return isinstance(place.owner, ApartLinear) and place.leaf == "weight"


@dataclass
class _Buffer:
    """One place of the ring. `free` is the event after which it may be written; `there` the one after which read."""

    memory: Tensor
    holds: int = -1
    coming: Future[None] | None = None
    there: Any = None
    free: Any = None
    views: dict[int, list[Tensor]] = field(default_factory=dict)


class Ring:
    """The lender of a model's blocks (`layers.blocks.Lender`).

    away    each block that has no place of its own, by its number in the order in which all run
    source  where they wait
    ahead   how many are on their way while one computes
    """

    def __init__(self, blocks: Sequence[nn.Module], away: Mapping[int, Portion], source: Source, ahead: int) -> None:
        self._numbers = {id(block): number for number, block in enumerate(blocks)}
        self._away, self._source = dict(away), source
        self._order, self._ahead = sorted(away), ahead
        self._buffers: list[_Buffer] = []
        self._using: _Buffer | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._stream: Any = None
        self.nbytes = 0

    def open(self, device: str | torch.device) -> None:
        """Take the memory of the ring on a device."""
        place, each = torch.device(device), max(portion.nbytes for portion in self._away.values())
        count = min(self._ahead + 1, len(self._away))
        self._buffers = [_Buffer(torch.empty(each, dtype=torch.uint8, device=place)) for _ in range(count)]
        self.nbytes = count * each
        if place.type == "cuda":
            self._stream = torch.cuda.Stream(place)
            self._stream.wait_stream(torch.cuda.current_stream(place))  # the memory may still be in use there
        if place.type != "cuda" or not self._source.quick:
            self._thread = ThreadPoolExecutor(1, "blocks")

    def close(self) -> None:
        """Give the memory back, once nothing computes with it or writes to it."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
        if self._stream is not None:
            torch.cuda.synchronize(self._stream.device)
        self._give()
        self._thread, self._stream, self._buffers, self.nbytes = None, None, [], 0

    def through(self, blocks: Blocks) -> Iterator[nn.Module]:
        """Each block of the list, with its weights from when it is given until the next is asked for."""
        for block in blocks.children():
            self._take(self._numbers[id(block)])
            yield block
        self._give()

    def _take(self, number: int) -> None:
        """Have this block's weights in place, and those of the next ones on their way."""
        self._give()
        at = next((i for i, other in enumerate(self._order) if other >= number), 0)
        coming = [*self._order[at:], *self._order[:at]][: len(self._buffers)]
        for other in coming:
            self._start(other, coming)
        if number not in self._away:
            return
        buffer = next(one for one in self._buffers if one.holds == number)
        if buffer.coming is not None:
            try:
                buffer.coming.result()
            except BaseException:
                buffer.holds = -1
                raise
            finally:
                buffer.coming = None
        if buffer.there is not None:
            torch.cuda.current_stream(buffer.memory.device).wait_event(buffer.there)
        if number not in buffer.views:
            buffer.views[number] = self._away[number].views(buffer.memory)
        self._away[number].put(buffer.views[number])
        self._using = buffer

    def _give(self) -> None:
        """The block that has computed needs its weights no more."""
        buffer, self._using = self._using, None
        if buffer is None:
            return
        self._away[buffer.holds].take_away()
        if self._stream is not None:
            buffer.free = torch.cuda.Event()
            buffer.free.record(torch.cuda.current_stream(buffer.memory.device))

    def _start(self, number: int, coming: Sequence[int]) -> None:
        """Let a block come into a buffer that holds none of the next ones, unless it is there or on its way."""
        if any(buffer.holds == number for buffer in self._buffers):
            return
        buffer = next(one for one in self._buffers if one.holds not in coming)
        buffer.holds, portion = number, self._away[number]
        if self._thread is None:
            self._bring(buffer, portion)
        else:
            buffer.coming = self._thread.submit(self._bring, buffer, portion)

    def _bring(self, buffer: _Buffer, portion: Portion) -> None:
        memory = buffer.memory[: portion.nbytes]
        if self._stream is None:
            self._source.bring(portion, memory)
            return
        with torch.cuda.stream(self._stream):
            if buffer.free is not None:
                self._stream.wait_event(buffer.free)
            self._source.bring(portion, memory)
            buffer.there = torch.cuda.Event()
            buffer.there.record(self._stream)


class Early:
    """Layers that have their weights only while they are called."""

    def __init__(self, portions: Sequence[Portion], source: Source, device: str | torch.device) -> None:
        self.device = torch.device(device)
        self._source = source
        self._handles: list[Any] = []
        for portion in portions:
            self._handles += self._watched(portion)

    def _watched(self, portion: Portion) -> list[Any]:
        home = portion.home
        bring, leave = self._looked_up(portion) if isinstance(home, nn.Embedding) else self._whole(portion)
        return [home.register_forward_pre_hook(bring), home.register_forward_hook(leave, always_call=True)]

    def _whole(self, portion: Portion) -> tuple[Any, Any]:
        def bring(module: nn.Module, args: Any) -> None:
            memory = torch.empty(portion.nbytes, dtype=torch.uint8, device=self.device)
            self._source.bring(portion, memory)
            portion.put(portion.views(memory))

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            portion.take_away()

        return bring, leave

    def _looked_up(self, portion: Portion) -> tuple[Any, Any]:
        """While it is away, a table has no rows but is where it will be, so that it tells its device."""
        (place,) = portion.places

        def bring(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            numbers, where = args[0].cpu().unique(return_inverse=True)
            if numbers.numel() and not 0 <= int(numbers[0]) <= int(numbers[-1]) < place.shape[0]:
                raise IndexError(f"{place.name} has {place.shape[0]} rows; row {int(numbers[-1])} was asked for.")
            place.put(self._source.rows(portion, numbers).to(self.device))
            return where.to(self.device), *args[1:]

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            place.put(torch.empty(0, *place.shape[1:], dtype=place.dtype, device=self.device))

        leave(portion.home, (), None)
        return bring, leave

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
