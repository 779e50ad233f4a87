"""Blocks of a transformer compiled by torch: one graph for all blocks of a kind, for any length, prompt, seed and LoRA.

    first run     every block runs as it is, and what it is called with is noted
    after it      a thread compiles each kind of block, on a copy without weights: nobody waits, and no weight is held
    then          blocks run compiled

What calls have in common is their `structure`: the kind of block, its dtype and device, which arguments there are and
which of their sizes are 1, the attention kernel, whether there are LoRAs at all. Each structure has a graph of its own,
made once; sizes in it are symbols. A call that a graph does not take is run as it is.

torch's compiler and the flags it looks at belong to the process, so one thing happens at a time: either something is
compiled, or compiled blocks run, or blocks run as they are.
"""

from __future__ import annotations

import atexit
import copy
import os
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import torch
import torch.fx.experimental._config
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from nodes.models.layers.adapted import AdaptedLinear, AdaptedPacked, Beside, adaptable, adapted
from nodes.models.layers.attention import AUTO
from nodes.models.layers.blocks import blocks_of
from nodes.models.layers.bnb import BitsAndBytesLinear
from nodes.models.layers.lowrank import LowRank

TRIES = 2
"""How often a structure is compiled anew after its graph did not take a call."""
REFUSED = "Detected recompile when torch.compile stance is 'fail_on_recompile'"
THREAD = "compile blocks"
SHOWN = 300  # characters of what a compiler said
ONE_AT_A_TIME = threading.Lock()


@dataclass
class Wanted:
    """A structure to be compiled.

    block   one of its kind
    leaves  the arguments, one after the other; of tensors only what they were like, on `meta`
    beside  its Linears with a product, by name, and the rank
    """

    block: nn.Module
    leaves: list[Any]
    spec: pytree.TreeSpec
    device: torch.device
    beside: dict[str, tuple[int, torch.dtype]]
    grad: bool
    threads: int


@dataclass
class Compiled:
    """What has been compiled for the blocks of one transformer.

    backend          of torch.compile: "inductor", or a function
    calls, compiled  calls of blocks since `using` began, and how many ran compiled
    """

    backend: str | Callable[..., Any] = "inductor"
    calls: int = 0
    compiled: int = 0
    seconds: float = 0.0
    attention: str = AUTO
    with_loras: bool = False
    ready: dict[Hashable, Callable[..., Any]] = field(default_factory=dict)
    wanted: dict[Hashable, Wanted] = field(default_factory=dict)
    tries: dict[Hashable, int] = field(default_factory=dict)
    failed: dict[Hashable, str] = field(default_factory=dict)
    thread: threading.Thread | None = None
    scalars: dict[float, Tensor] = field(default_factory=dict)

    def in_order(self, blocks: Iterator[Any]) -> Iterator[Any]:
        """What to call instead of each block."""
        return (_Call(self, block) for block in blocks)

    def run(self, block: nn.Module, args: tuple[Any, ...]) -> Any:
        """What the block gives: by its graph when that is ready and nothing is being compiled."""
        self.calls += 1
        leaves, spec = pytree.tree_flatten(args)
        leaves = [self._plain(leaf) for leaf in leaves]
        key = structure(block, leaves, spec), self.attention, self.with_loras
        graph = self.ready.get(key)
        if graph is None:
            if key not in self.wanted and self.tries.get(key, 0) < TRIES:
                self.wanted[key] = _noted(block, leaves, spec)
            return block(*args)
        if not ONE_AT_A_TIME.acquire(blocking=False):
            return block(*args)
        try:
            with torch.compiler.set_stance("fail_on_recompile"):
                result = graph(block, pytree.tree_unflatten(leaves, spec))
            self.compiled += 1
            return result
        except RuntimeError as error:
            if not str(error).startswith(REFUSED):
                raise
            del self.ready[key]  # it is made anew, for what came now
            self.failed[key] = str(error)
        finally:
            ONE_AT_A_TIME.release()
        return block(*args)

    def _plain(self, leaf: Any) -> Any:
        """An argument as a graph takes it: complex numbers in pairs, numbers as tensors, nothing repeated in place."""
        if isinstance(leaf, float):
            return self.scalars.setdefault(leaf, torch.tensor(leaf))
        if not isinstance(leaf, Tensor):
            return leaf
        if leaf.is_complex():
            return torch.view_as_real(leaf)
        repeated = any(not step and size > 1 for size, step in zip(leaf.shape, leaf.stride(), strict=True))
        return leaf.contiguous() if repeated else leaf

    def begin(self) -> None:
        """Compile what is wanted, in a thread; does nothing while one is at it."""
        if self.wanted and (self.thread is None or not self.thread.is_alive()):
            self.thread = threading.Thread(target=self._aside, name=THREAD, daemon=True)
            atexit.register(self.stop)  # a compiler that is at work when the process ends would bring it down
            self.thread.start()

    def stop(self) -> None:
        """Compile no more than what is being compiled, and wait for that."""
        self.wanted.clear()
        self.wait()

    def _aside(self) -> None:
        if sys.platform == "linux":  # where a thread has a priority, whoever paints meanwhile goes first
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
        self.compile_all()
        atexit.unregister(self.stop)

    def wait(self) -> None:
        """Until all that was wanted has been compiled."""
        if self.thread is not None:
            self.thread.join()

    def compile_all(self) -> None:
        """Compile what is wanted, here and now."""
        while left := list(self.wanted.items()):
            key, wanted = left[0]
            self.tries[key] = self.tries.get(key, 0) + 1
            began = time.monotonic()
            try:
                with ONE_AT_A_TIME:
                    self.ready[key] = compiled(wanted, self.backend)
                self.failed.pop(key, None)
            except Exception as error:  # a compiler fails in many ways, and the blocks run without it
                self.failed[key] = " ".join(str(error).split())[:SHOWN] or type(error).__name__
                self.tries[key] = TRIES
            self.seconds += time.monotonic() - began
            self.wanted.pop(key, None)

    def told(self) -> str:
        """What a person is told after a run."""
        if self.failed and not self.ready:
            return f"Its blocks could not be compiled and run as they are: {next(iter(self.failed.values()))}"
        if self.compiled:
            return f"{self.compiled} of {self.calls} calls of blocks were compiled."
        return "Its blocks are compiled after this run; until then they run as they are."


class _Call:
    """Stands for a block: called like it, and otherwise it."""

    def __init__(self, compiled: Compiled, block: nn.Module) -> None:
        self._compiled, self._block = compiled, block

    def __call__(self, *args: Any) -> Any:
        return self._compiled.run(self._block, args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._block, name)


@contextmanager
def using(
    net: nn.Module, loras: Sequence[tuple[LowRank, float]], attention: str = AUTO, backend: Any = "inductor"
) -> Iterator[Compiled]:
    """Inside the `with` block, the blocks of a transformer run compiled, and with these LoRAs.

    What has been compiled stays with the network. A kernel that was chosen for attention is a state of the process, so
    with one the compiler is not in a thread, but runs at the beginning of the second run.

    Raises TypeError when a LoRA changes what cannot be compiled.
    """
    held: Compiled = net.__dict__.setdefault("compiled", Compiled(backend))
    held.attention, held.with_loras, held.calls, held.compiled = attention, bool(loras), 0, 0
    adaptable(net)
    lists = blocks_of(net)
    if attention != AUTO:
        held.compile_all()
    with adapted(net, loras):
        for blocks in lists:
            blocks.compiled = held
        try:
            yield held
        finally:
            for blocks in lists:
                blocks.compiled = None
            if attention == AUTO:
                held.begin()


def compilable(net: nn.Module) -> bool:
    """Whether all of a network is torch's own code."""
    return not any(isinstance(one, BitsAndBytesLinear) for one in net.modules())


def structure(block: nn.Module, leaves: Sequence[Any], spec: pytree.TreeSpec) -> Hashable:
    """What has to be the same for two calls to be the same code."""
    weight = next(block.parameters(), None)
    kinds = tuple(_kind(leaf) for leaf in leaves)
    state = torch.is_grad_enabled(), torch.get_num_threads()
    return type(block), None if weight is None else (weight.dtype, weight.device), spec, kinds, state


def _kind(leaf: Any) -> Hashable:
    if isinstance(leaf, Tensor):
        return leaf.dtype, leaf.device, tuple(size == 1 for size in leaf.shape)
    return leaf


def _noted(block: nn.Module, leaves: Sequence[Any], spec: pytree.TreeSpec) -> Wanted:
    like = [
        (torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="meta"), leaf.device)
        if isinstance(leaf, Tensor)
        else leaf
        for leaf in leaves
    ]
    device = next(leaf.device for leaf in leaves if isinstance(leaf, Tensor))
    ranks = {
        name: (len(one.beside.down), one.beside.down.dtype)
        for name, one in block.named_modules()
        if isinstance(one, AdaptedLinear | AdaptedPacked) and one.beside is not None
    }
    return Wanted(block, like, spec, device, ranks, torch.is_grad_enabled(), torch.get_num_threads())


def compiled(wanted: Wanted, backend: Any) -> Callable[..., Any]:
    """The graph of a structure, made and called once: (block, arguments) → what the block gives.

    Each has code of its own, because torch keeps what it has compiled with the code, and looks at neither the attention
    kernel nor who else compiled the same code.
    """
    own = FunctionType(_call.__code__.replace(), _call.__globals__)
    graph: Callable[..., Any] = torch.compile(own, backend=backend, dynamic=True, fullgraph=True)
    torch.set_num_threads(wanted.threads)
    on_gpu = wanted.device.type == "cuda"
    with (
        torch.set_grad_enabled(wanted.grad),
        torch.cuda.device(wanted.device) if on_gpu else nullcontext(),
        torch.cuda.stream(torch.cuda.Stream(wanted.device)) if on_gpu else nullcontext(),
        torch.fx.experimental._config.patch(use_duck_shape=False),  # sizes that happen to be equal are not the same
    ):
        leaves = [_filled(*leaf) if isinstance(leaf, tuple) else leaf for leaf in wanted.leaves]
        graph(twin(wanted.block, wanted.device, wanted.beside), pytree.tree_unflatten(leaves, wanted.spec))
    return graph


def _filled(like: Tensor, device: torch.device) -> Tensor:
    return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=device).zero_()


def twin(block: nn.Module, device: torch.device, beside: Mapping[str, tuple[int, torch.dtype]]) -> nn.Module:
    """The same module with zeroes for numbers, on a device, whatever becomes of the first. `beside` as in Wanted."""
    memo: dict[int, Any] = {}
    for tensor in (*block.parameters(), *block.buffers()):
        other = torch.zeros_like(tensor, device=device)
        memo[id(tensor)] = nn.Parameter(other, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else other
    made: nn.Module = copy.deepcopy(block, memo)
    for name, module in made.named_modules():
        if isinstance(module, AdaptedLinear | AdaptedPacked):
            module.beside = None
            if name in beside:
                rank, dtype = beside[name]
                shapes = (rank, module.in_features), (module.out_features, rank)
                module.beside = Beside(*(torch.zeros(shape, dtype=dtype, device=device) for shape in shapes))
    return made


def _call(block: nn.Module, args: tuple[Any, ...]) -> Any:
    return block(*args)
