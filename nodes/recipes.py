"""What MODEL, TEXT_ENCODER and VAE wires carry: how to get a model, not the model.

A recipe is small, frozen and picklable. It names files and remembers what they looked like, so that a kept recipe of a
file that has changed since is not used again. Weights exist only inside `with ctx.use(recipe)`. What changes a model
later is a field of its recipe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch

from graph_runtime.context import Footprint, Plan, Recipe
from graph_runtime.sockets import socket
from nodes.models.encoders.keys import loaded
from nodes.models.family import FAMILIES, Family, Found, LatentFormat, family_named, find
from nodes.models.layers.attention import AUTO
from nodes.models.layers.lowrank import attach
from nodes.models.load import (
    encoder_outline,
    load_autoencoder,
    outline,
    parts_of_text_encoder,
    parts_of_transformer,
    place_text_encoder,
    place_transformer,
    shared_out,
    spread_transformer,
)
from nodes.models.sampling.skipping import Skipping
from nodes.models.weights.blocks import BLOCKS
from nodes.models.weights.part import Part
from nodes.models.weights.place import Beside, Placed
from nodes.models.weights.storage import PACKED, UNPACKED, Cost, cost
from nodes.sockets import refused

LAYOUTS = {
    AUTO: torch.channels_last,  # on the CPU and on GPUs, with the same result
    "channels last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
BALANCED = "balanced"
SMALL = 4 << 30  # bytes in float32 below which a model is not worth halving
ROOM = 0.5  # share of a device's memory that one model may take before it stays packed


@dataclass(frozen=True, slots=True)
class Stored:
    """A file or folder, and what it looked like: sizes and dates of all its files, as a short hash."""

    path: str
    stamp: str

    @classmethod
    def at(cls, path: Path) -> Stored:
        return cls(str(path), _stamp(path))

    def fresh(self) -> bool:
        """Whether it is still there and the same."""
        return _stamp(Path(self.path)) == self.stamp

    def check(self) -> None:
        """Raise Refused when it is no longer what it was."""
        if not self.fresh():
            name = Path(self.path).name
            raise refused("changed", name, "it has changed since it was looked at.", "Run again, when it is written.")

    def found(self) -> Found:
        """The models in it. Raises Refused when it is no longer what it was."""
        self.check()
        return find(Path(self.path))


def _stamp(path: Path) -> str:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    facts = []
    for file in files:
        try:
            seen = file.stat()
        except OSError:
            continue
        if file.is_file():
            facts.append((file.relative_to(path).as_posix(), seen.st_size, seen.st_mtime_ns))
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16] if facts else ""


def dtype_for(part: Part, device: str, wanted: str) -> str:
    """What to compute in when nobody says: float32 for what is small, unless a GPU runs what is stored in bfloat16."""
    if wanted != "auto":
        return wanted
    stored = {info.dtype for info in part.header.tensors.values()}
    small = part.header.parameters * 4 <= SMALL
    return "float32" if small and (device == "cpu" or "BF16" not in stored) else "bfloat16"


def bytes_in(part: Part, dtype: str) -> int:
    """Memory of the part's weights in that dtype."""
    return part.header.parameters * DTYPES[dtype].itemsize


def storage_for(part: Part, device: str, dtype: str, wanted: str = "auto") -> str:
    """How the weights are kept in memory when nobody says: unpacked, unless they are in blocks and would not leave room
    for anything else."""
    if wanted != "auto":
        return wanted
    if bytes_in(part, dtype) <= ROOM * memory_of(device):
        return UNPACKED
    stored = {info.dtype for info in part.header.tensors.values()}
    return PACKED if stored & BLOCKS.keys() else "nf4" if stored & {"NF4", "FP4"} else UNPACKED


def memory_of(device: str) -> int:
    """Bytes of memory where models compute."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_properties(device).total_memory
    return psutil.virtual_memory().total


def latent_format(family: Family) -> LatentFormat:
    """The space a family paints in."""
    space: LatentFormat = family.defaults.LATENT
    return space


def space_of(channels: int) -> tuple[str, LatentFormat] | None:
    """The space of latents of so many channels, and whose it is; "" where several families share it.

    None when no family paints in such latents, or in several ways.
    """
    spaces = {family.name: latent_format(family) for family in FAMILIES}
    fitting = {name: space for name, space in spaces.items() if space.channels == channels}
    if len(set(fitting.values())) != 1:
        return None
    name, space = next(iter(fitting.items()))
    return (name if len(fitting) == 1 else ""), space


def same_space(a: str, b: str) -> bool:
    """Whether a latent of one family is one of the other too; "" is a family that nobody named."""
    spaces = {family.name: latent_format(family) for family in FAMILIES}
    return not a or not b or a == b or (a in spaces and spaces[a] == spaces.get(b))


class Applied(NamedTuple):
    """A LoRA on a model. Its recipe is `nodes.adapted.Lora`."""

    lora: Recipe
    strength: float


def gpus(first: str) -> tuple[str, ...]:
    """All GPUs, the one that a worker computes on before the others."""
    others = (f"cuda:{number}" for number in range(torch.cuda.device_count()))
    return first, *(name for name in others if name != first)


def _room_of(devices: Sequence[str]) -> list[int]:
    """Bytes that each device has for a model: all but a tenth and what the pictures need."""
    return [max(0, memory_of(one) * 9 // 10 - 1_500_000_000) for one in devices]


def _at(device: str) -> str:
    """Where a model computes, as a part of a key."""
    return "" if device == "auto" else f" at {device}"


def _on_it(loras: tuple[Applied, ...]) -> str:
    """LoRAs as a part of a key."""
    return "".join(f" + {one.strength!r} × ({one.lora.key()})" for one in loras)


def _named(loras: tuple[Applied, ...]) -> str:
    """LoRAs for a person."""
    return "".join(f" + {one.lora.title} × {one.strength:g}" for one in loras)


def _with(placed: Placed, loras: tuple[Applied, ...], device: str) -> Placed | Beside:
    """A loaded model with its LoRAs on it for good. `nodes.adapted.in_use` loads them apart instead."""
    if not loras:
        return placed
    others = [one.lora.load(device, Plan("resident", one.lora.nbytes())) for one in loras]
    for one, other in zip(loras, others, strict=True):
        attach(placed.value, other.value, one.strength)  # type: ignore[arg-type]
    return Beside(placed, others)  # type: ignore[arg-type]


@socket("MODEL", color="#b39ddb", shape="hexagon")
@dataclass(frozen=True)
class Model:
    """A transformer that paints: which file it is in and what it computes in.

    storage   how its weights are kept in memory: one of `weights.storage.STORAGES`
    loras     what is added to its matrices, in this order
    placed_on where it computes: "auto" is where its worker does, "balanced" is on all GPUs
    defaults  what it is best used with: the family's record, changed by what lies beside the file
    vae       its autoencoder, where that is small enough to be asked what a latent looks like
    options   what only its family can be told, by name (`nodes.model_options`)
    attention, compiled, skipping   how its steps are computed (`nodes.speed`); the weights are the same
    """

    title: str
    family: str
    variant: str
    stored: Stored
    dtype: str
    size: int
    config: Any
    defaults: Any = field(compare=False)
    vae: Vae | None = field(default=None, compare=False)
    options: tuple[tuple[str, Any], ...] = ()
    storage: str = UNPACKED
    loras: tuple[Applied, ...] = ()
    attention: str = AUTO
    compiled: bool = False
    skipping: Skipping | None = None
    placed_on: str = "auto"

    def key(self) -> str:
        kept = f"{self.dtype} {self.storage}{_at(self.placed_on)}{_on_it(self.loras)}"
        return f"model {self.stored.path} {self.stored.stamp} {kept}"

    def nbytes(self) -> int:
        beside = sum(one.lora.nbytes() for one in self.loras)
        return self.footprint().total if self._shared("cuda:0") else self.size + beside

    def _shared(self, first: str) -> tuple[tuple[str, ...], tuple[int, ...]] | None:
        """The GPUs that it is shared out to, and the number of each block's. None if it is on one device: where there
        is only one, or where all of them together have no room and blocks have to come and go."""
        devices = gpus(first) if self.placed_on == BALANCED else ()
        where = shared_out(self._in_parts(), _room_of(devices)) if len(devices) > 1 else None
        return None if where is None else (devices, where)

    def _in_parts(self) -> Footprint:
        """What the parts of the transformer take; headers are read."""
        return parts_of_transformer(self.stored.found(), DTYPES[self.dtype], self.storage)

    def together(self) -> tuple[Recipe, ...]:
        """What `nodes.adapted.in_use` has in memory for it, in this order: a model's plan leaves room for its LoRAs."""
        return *(one.lora for one in self.loras), replace(self, loras=())

    def fresh(self) -> bool:
        return self.stored.fresh() and all(one.lora.fresh() for one in self.loras)

    def summary(self) -> str:
        kept = "" if self.storage == UNPACKED else f", {self.storage}"
        speed = ", compiled" * self.compiled + (f", {self.skipping.title}" if self.skipping else "")
        return f"{self.title}: {self.family} {self.variant}, {self.dtype}{kept}{_named(self.loras)}{speed}"

    def kept_in(self, storage: str, found: Found) -> Model:
        """The same model with its weights kept otherwise, and what that takes. `found` is what is in its file."""
        kept = replace(self, storage=storage)
        return replace(kept, size=kept.cost(found).nbytes)

    def cost(self, found: Found) -> Cost:
        """What it takes in memory, and what of it is packed."""
        return cost(outline(found, self.storage)[0], DTYPES[self.dtype])

    def latent_shape(self, width: int, height: int, count: int) -> tuple[int, int, int, int]:
        """(B, C, h, w) of a latent for pictures of that size."""
        space = latent_format(family_named(self.family))
        return count, self.config.latent_channels, height // space.downscale, width // space.downscale

    def footprint(self) -> Footprint:
        parts, shared = self._in_parts(), self._shared("cuda:0")
        if shared:  # what the first of them holds
            elsewhere = sum(count for count, at in zip(parts.blocks, shared[1], strict=True) if at)
            parts = Footprint(parts.total - elsewhere)
        return replace(parts, always=parts.always + sum(one.lora.nbytes() for one in self.loras))

    def load(self, device: str, plan: Plan) -> Placed | Beside:
        found, dtype, shared = self.stored.found(), DTYPES[self.dtype], self._shared(device)
        if shared:
            return _with(spread_transformer(found, dtype, self.storage, *shared), self.loras, device)
        return _with(place_transformer(found, dtype, device, self.storage, plan), self.loras, device)


@socket("TEXT_ENCODER", color="#ffe082", shape="hexagon")
@dataclass(frozen=True)
class TextEncoder:
    """What turns texts into conditioning: the text encoders of one family, from one file or several.

    encoders     kind of encoder and its file, for each that the family reads with; one file may have several
    storage      how their weights are kept in memory: one of `weights.storage.STORAGES`
    loras        what is added to their matrices, in this order
    placed_on    where they compute; "auto" is where their worker does
    tokenizers   a folder with `tokenizer`, `tokenizer_2`, …, for files that come without
    reach        layers of a language model that are loaded: 0 is those that are read, −1 all and what it writes with
    text_length  tokens of a text when nobody says
    """

    title: str
    family: str
    encoders: tuple[tuple[str, Stored], ...]
    dtype: str
    size: int
    tokenizers: Stored | None = None
    reach: int = 0
    text_length: int = field(default=0, compare=False)
    storage: str = UNPACKED
    loras: tuple[Applied, ...] = ()
    placed_on: str = "auto"

    @property
    def places(self) -> tuple[Stored, ...]:
        """All that it is read from."""
        return (*(stored for _, stored in self.encoders), *((self.tokenizers,) if self.tokenizers else ()))

    def key(self) -> str:
        places = " ".join(f"{stored.path} {stored.stamp}" for stored in self.places)
        kept = f"{self.dtype} {self.reach} {self.storage}{_at(self.placed_on)}{_on_it(self.loras)}"
        return f"text encoder {self.family} {places} {kept}"

    def nbytes(self) -> int:
        return self.size + sum(one.lora.nbytes() for one in self.loras)

    def together(self) -> tuple[Recipe, ...]:
        """What `nodes.adapted.in_use` has in memory for it, in this order."""
        return *(one.lora for one in self.loras), replace(self, loras=())

    def fresh(self) -> bool:
        return all(one.fresh() for one in (*self.places, *(applied.lora for applied in self.loras)))

    def summary(self) -> str:
        kept = "" if self.storage == UNPACKED else f", {self.storage}"
        return f"{self.title}: text of {self.family}, {self.dtype}{kept}{_named(self.loras)}"

    def parts(self) -> dict[str, Part]:
        """Its encoders by kind. Raises Refused when a file is no longer what it was."""
        return {kind: stored.found().parts[kind] for kind, stored in self.encoders}

    def kept_in(self, storage: str, parts: Mapping[str, Part]) -> TextEncoder:
        """The same encoders with their weights kept otherwise, and what that takes."""
        kept = replace(self, storage=storage)
        return replace(kept, size=sum(one.nbytes for one in kept.costs(parts)))

    def costs(self, parts: Mapping[str, Part]) -> list[Cost]:
        """What each encoder takes in memory, and what of it is packed."""
        dtype = DTYPES[self.dtype]
        read = [loaded(part, self.reach) for part in parts.values()]
        return [cost(encoder_outline(part, dtype, self.storage), dtype) for part in read]

    def reaching(self, reach: int) -> TextEncoder:
        """The same with so many layers of its language model. Raises Refused when there are not so many."""
        return replace(self, reach=reach).kept_in(self.storage, self.parts())

    def footprint(self) -> Footprint:
        parts = parts_of_text_encoder(
            family_named(self.family), self.parts(), DTYPES[self.dtype], self.reach, self.storage
        )
        return replace(parts, always=parts.always + sum(one.lora.nbytes() for one in self.loras))

    def load(self, device: str, plan: Plan) -> Placed | Beside:
        parts = self.parts()
        if self.tokenizers:
            folders = tokenizer_folders(Path(self.tokenizers.path), list(parts))
            parts = {kind: replace(part, tokenizer=folders[kind]) for kind, part in parts.items()}
        dtype, family = DTYPES[self.dtype], family_named(self.family)
        placed = place_text_encoder(family, parts, dtype, device, self.reach, self.storage, plan)
        return _with(placed, self.loras, device)


def tokenizer_folders(folder: Path, kinds: list[str]) -> Mapping[str, Path]:
    """Where each encoder's tokenizer is in a folder of several: `tokenizer`, `tokenizer_2`, … as diffusers has them.

    For a single encoder the folder may be the tokenizer's own.
    """
    named = {kind: folder / ("tokenizer" if not i else f"tokenizer_{i + 1}") for i, kind in enumerate(kinds)}
    return {kinds[0]: folder} if len(kinds) == 1 and not named[kinds[0]].is_dir() else named


@socket("VAE", color="#ef9a9a", shape="hexagon")
@dataclass(frozen=True)
class Vae:
    """An autoencoder: between pictures and latents.

    channels, factor  of its latents, and pixels per cell
    family            whose latents it makes; "" where several families share them, or nobody knows
    space             scale and shift of the latents, where its file does not say
    layout            of its convolutions in memory: one of LAYOUTS
    placed_on         where it computes; "auto" is where its worker does
    """

    title: str
    family: str
    stored: Stored
    dtype: str
    size: int
    channels: int
    factor: int
    space: LatentFormat | None = None
    layout: str = AUTO
    placed_on: str = "auto"

    def key(self) -> str:
        kept = f"{self.dtype} {self.space} {self.layout}{_at(self.placed_on)}"
        return f"vae {self.stored.path} {self.stored.stamp} {kept}"

    def nbytes(self) -> int:
        return self.size

    def fresh(self) -> bool:
        return self.stored.fresh()

    def summary(self) -> str:
        return f"{self.title}: {self.channels} channels, {self.dtype}"

    def load(self, device: str, plan: Plan) -> Placed:
        part = self.stored.found().parts["vae"]
        net = load_autoencoder(part, DTYPES[self.dtype], device, self.space)
        return Placed(net.to(memory_format=LAYOUTS[self.layout]))
