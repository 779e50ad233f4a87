"""What of a model must always be where it computes, what only before its blocks, and what one block at a time.

A portion is a group of parameters that come and go together. It lies in one piece of memory, so that bringing it is one
copy. Knows no family: a model says by `before_loop` what none of its steps reads, or where it has no steps, none of its
blocks; those are the ones of `layers.blocks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graph_runtime.context import Footprint
from nodes.models.layers.blocks import blocks_of
from nodes.models.layers.packed import PackedLinear
from nodes.models.weights.tensor import product

ALIGNED = 256
"""Bytes at whose multiples tensors begin in a portion, as a GPU's own allocator has it."""
ROWS = 4096
"""Rows of a table that are looked up at once, at the most: tokens of the longest text."""


@dataclass(frozen=True)
class Place:
    """One parameter or buffer of a module, and where it lies in its portion.

    name   in the whole model;  owner, leaf  whose it is, and its name there
    start  its first byte in the portion
    """

    name: str
    owner: nn.Module
    leaf: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    start: int

    @property
    def nbytes(self) -> int:
        return product(self.shape) * self.dtype.itemsize

    def view(self, memory: Tensor) -> Tensor:
        """The tensor in a portion's memory (bytes,), uint8."""
        return memory[self.start : self.start + self.nbytes].view(self.dtype).view(self.shape)

    def put(self, tensor: Tensor) -> None:
        """Let the module compute with this tensor."""
        if self.leaf in self.owner._parameters:
            held = tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor, requires_grad=False)
            self.owner._parameters[self.leaf] = held
        else:
            self.owner._buffers[self.leaf] = tensor


class Portion:
    """Parameters that come and go together.

    `home` is the module of which all of them are. While they are away they are on `meta`: whoever reads one by mistake
    gets an error, not a wrong picture.
    """

    def __init__(self, home: nn.Module, tensors: Iterable[tuple[str, nn.Module, str, Tensor]]) -> None:
        """`tensors`: name in the model, owner, name there, and a tensor of its shape and dtype."""
        self.home, self.nbytes = home, 0
        places: list[Place] = []
        for name, owner, leaf, like in tensors:
            place = Place(name, owner, leaf, tuple(like.shape), like.dtype, self.nbytes)
            places.append(place)
            self.nbytes += -(-place.nbytes // ALIGNED) * ALIGNED
        self.places = tuple(places)
        self._absent = [self._held(one, torch.empty(one.shape, dtype=one.dtype, device="meta")) for one in places]

    @staticmethod
    def _held(place: Place, tensor: Tensor) -> Tensor:
        return nn.Parameter(tensor, requires_grad=False) if place.leaf in place.owner._parameters else tensor

    def views(self, memory: Tensor) -> list[Tensor]:
        """The tensors in some memory, ready to be put."""
        return [self._held(place, place.view(memory)) for place in self.places]

    def put(self, tensors: list[Tensor]) -> None:
        for place, tensor in zip(self.places, tensors, strict=True):
            place.put(tensor)

    def take_away(self) -> None:
        self.put(self._absent)


@dataclass(frozen=True)
class Portions:
    """The parameters of a model by when they are needed.

    always  names
    early   names by the layer that they are of, as it is called before the blocks
    blocks  names of each block, in the order in which they run
    """

    always: tuple[str, ...]
    early: dict[str, tuple[str, ...]]
    blocks: tuple[tuple[str, ...], ...]


def portions(net: nn.Module) -> Portions:
    """How a model divides. What has several names, or is read without calling its layer, is always needed."""
    alike: dict[int, list[str]] = {}
    for name, tensor in net.state_dict(keep_vars=True).items():
        alike.setdefault(id(tensor), []).append(name)
    chosen = frozenset(net.before_loop()) if hasattr(net, "before_loop") else frozenset()
    block_of = {
        id(inner): number
        for number, block in enumerate(block for blocks in blocks_of(net) for block in blocks)
        for inner in block.modules()
    }
    always: list[str] = []
    early: dict[str, list[str]] = {}
    inside: list[list[str]] = [[] for _ in set(block_of.values())]
    for names in alike.values():
        stem = names[0].rpartition(".")[0]
        number = block_of.get(id(net.get_submodule(stem)))
        if len(names) > 1:
            always.append(names[0])  # it is there once
        elif stem and names[0] in chosen:
            early.setdefault(stem, []).append(names[0])
        elif number is not None:
            inside[number].append(names[0])
        else:
            always.append(names[0])
    return Portions(tuple(always), {stem: tuple(n) for stem, n in early.items()}, tuple(map(tuple, inside)))


def portion_of(net: nn.Module, home: nn.Module, names: Iterable[str], dtype: Callable[[str], torch.dtype]) -> Portion:
    """These parameters of a model on `meta`, as they will be in that dtype."""
    return Portion(home, _described(net, names, dtype))


def _described(
    net: nn.Module, names: Iterable[str], dtype: Callable[[str], torch.dtype]
) -> Iterator[tuple[str, nn.Module, str, Tensor]]:
    for name in names:
        stem, _, leaf = name.rpartition(".")
        owner = net.get_submodule(stem)
        tensor = owner._parameters.get(leaf)
        like = tensor if tensor is not None else owner._buffers[leaf]
        assert like is not None
        kind = dtype(name) if like.is_floating_point() else like.dtype
        yield name, owner, leaf, torch.empty(like.shape, dtype=kind, device="meta")


def footprint(net: nn.Module, dtype: Callable[[str], torch.dtype]) -> Footprint:
    """What the parts of a model on `meta` will take, in bytes."""
    parts = portions(net)

    def taken(names: Iterable[str]) -> int:
        return Portion(net, _described(net, names, dtype)).nbytes

    def at_once(stem: str, whole: int) -> int:
        layer = net.get_submodule(stem)
        return min(whole, whole * ROWS // layer.num_embeddings) if isinstance(layer, nn.Embedding) else whole

    computed = sum(one.numel() * one.element_size() for one in net.buffers() if not one.is_meta)  # and in no file
    early = {stem: taken(names) for stem, names in parts.early.items()}
    leaf = max((at_once(stem, whole) for stem, whole in early.items()), default=0)
    blocks = tuple(taken(names) for names in parts.blocks)
    return Footprint(taken(parts.always) + computed, sum(early.values()), leaf, blocks)


def settled(portion: Portion, net: nn.Module) -> Portion:
    """The same parameters as they are now in the model: what bitsandbytes takes apart has other shapes, and scales."""
    packed = [one for one in portion.home.modules() if isinstance(one, PackedLinear)]
    known = {(id(place.owner), place.leaf): place.name for place in portion.places}
    stems = {id(place.owner): place.name.rpartition(".")[0] for place in portion.places}
    found = []
    for owner in dict.fromkeys([*(place.owner for place in portion.places), *packed]):
        for leaf, tensor in [*owner._parameters.items(), *owner._buffers.items()]:
            inside = (id(owner), leaf) in known or (id(owner) in stems and leaf == "scales")
            if tensor is not None and inside:
                found.append((f"{stems[id(owner)]}.{leaf}", owner, leaf, tensor))
    return Portion(portion.home, found)
