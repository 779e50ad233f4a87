"""A model and the LoRAs on it, in use together.

A LoRA is a recipe of its own: loaded once, counted, and let go like a model. While a node has the model, its small
products stand beside the model's Linears; afterwards they are gone. So one model in memory serves every LoRA and every
strength, and changing either never reads the model again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from graph_runtime.context import Context, Plan
from nodes.models.family import family_named
from nodes.models.layers.attention import attending
from nodes.models.layers.compiled import compilable, using
from nodes.models.layers.lowrank import attached
from nodes.models.load import encoder_outline, outline
from nodes.models.weights import lora
from nodes.models.weights.header import read_header
from nodes.models.weights.pieces import Target
from nodes.models.weights.place import Placed
from nodes.models.weights.storage import linears
from nodes.recipes import DTYPES, Model, Stored, TextEncoder


@contextmanager
def in_use(ctx: Context, recipe: Model | TextEncoder, room: int = 0) -> Iterator[Any]:
    """As `ctx.use(recipe, room)`, with the model and each of its LoRAs loaded and kept apart."""
    with ExitStack() as stack:
        loras = [(stack.enter_context(ctx.use(one.lora)), one.strength) for one in recipe.loras]
        net = stack.enter_context(ctx.use(replace(recipe, loras=()), room))
        if isinstance(recipe, Model):
            stack.enter_context(attending(recipe.attention, ctx.device))
            if recipe.compiled and compilable(net):
                held = stack.enter_context(using(net, loras, recipe.attention))
                yield net
                ctx.log(f"{recipe.title}: {held.told()}")
                return
            if recipe.compiled:
                ctx.log(f"{recipe.title} is not compiled: bitsandbytes computes it, and its own code cannot be.")
        for changes, strength in loras:
            stack.enter_context(attached(net, changes, strength))
        yield net


@dataclass(frozen=True)
class Lora:
    """How to get what a LoRA changes in one model.

    base   the model, without LoRAs; what it is kept in does not matter, its shapes and its dtype do
    count  how many matrices of it are changed;  left  names of those that it has not, as the file spells them
    """

    title: str
    stored: Stored
    base: Model | TextEncoder
    size: int
    count: int
    left: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path, base: Model | TextEncoder) -> Lora:
        """What a file has for a model; its headers are read. Raises Refused when it is no LoRA, or one for another."""
        base = replace(base, loras=())
        found = changes(path, base)
        size = found.nbytes(DTYPES[base.dtype].itemsize)
        return cls(path.stem, Stored.at(path), base, size, len(found.changes), found.left)

    def key(self) -> str:
        return f"lora {self.stored.path} {self.stored.stamp} on {self.base.key()}"

    def nbytes(self) -> int:
        return self.size

    @property
    def placed_on(self) -> str:
        """Where its model computes."""
        return self.base.placed_on

    def fresh(self) -> bool:
        return self.stored.fresh()

    def load(self, device: str, plan: Plan) -> Placed:
        self.stored.check()
        return Placed(lora.load(changes(Path(self.stored.path), self.base), DTYPES[self.base.dtype], device))


def changes(path: Path, base: Model | TextEncoder) -> lora.Changes:
    """What a LoRA's file has for a model, each shape compared with the matrix that it changes."""
    header = read_header(path)
    found = lora.pairs(header)
    if isinstance(base, Model):
        there = base.stored.found()
        module, _ = outline(there, base.storage)
        aliases = getattr(family_named(base.family).keys, "aliases", None)
        fitting = _fitting(module, found, "transformer", aliases(base.config) if aliases else {})
        return replace(fitting, left=fitting.left + lora.others(header))
    parts = []
    for kind, part in base.parts().items():
        module = encoder_outline(part, DTYPES[base.dtype], base.storage)
        parts.append(_fitting(module, found, kind, {}).under(f"{kind}."))
    return lora.Changes(tuple(one for part in parts for one in part.changes), tuple(n for p in parts for n in p.left))


def _fitting(module: nn.Module, found: list[lora.Pair], part: str, aliases: dict[str, Target]) -> lora.Changes:
    own = {name: Target(name) for name, _ in linears(module)}
    there = {name: target for name, target in aliases.items() if target.module in own}  # schnell has no guidance
    fitting = lora.placed(found, part, there | own)
    lora.check(module, fitting)
    return fitting
