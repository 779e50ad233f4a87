"""What wires carry between the built-in nodes.

IMAGE, MASK, LATENT, CONDITIONING and SIGMAS are values: frozen, never written to, kept on the CPU. MODEL, TEXT_ENCODER
and VAE are recipes (`nodes.recipes`). FILES are files a node has written. A value is made from tensors of any device
and holds them detached; a tensor of another shape than the one stated is refused, so a node never has to ask. Knows
nothing of graphs or of how a value came to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graph_runtime.problem import Problem, Refused
from graph_runtime.sockets import socket

PIXELS_AT_MOST = 1_000_000_000  # of one value: a batch of a hundred at ten megapixels


def refused(code: str, place: str, what: str, fix: str) -> Refused:
    """The error of a value that cannot be used."""
    return Refused(Problem(code, place, what, fix))


def _held(tensor: Tensor, place: str, axes: str, dtype: torch.dtype | None = torch.float32) -> Tensor:
    """`tensor` as a value holds it: on the CPU, detached, with as many axes as `axes` has names."""
    names = axes.split(", ")
    if not isinstance(tensor, Tensor) or tensor.ndim != len(names):
        came = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
        raise refused(
            "wrong-shape", place, f"takes a tensor ({axes}), but {came} came.", "Correct the node that made it."
        )
    if tensor.numel() == 0:
        raise refused(
            "empty", place, f"there is nothing in it: its shape is {tuple(tensor.shape)}.", "Give it something."
        )
    return tensor.detach().to("cpu", dtype if dtype is not None else tensor.dtype)


def blank(*shape: int) -> Tensor:
    """A tensor of a shape that holds nothing and takes no memory: a stand-in, before there is the real one."""
    return torch.zeros(()).expand(shape)


def _bytes(*tensors: Tensor | None) -> int:
    return sum(t.numel() * t.element_size() for t in tensors if t is not None)


@socket("IMAGE", color="#64b5f6")
@dataclass(frozen=True, eq=False)
class Image:
    """One or several pictures of one size.

    pixels  (B, H, W, 3)  float32, red, green and blue from 0 to 1
    """

    pixels: Tensor

    def __post_init__(self) -> None:
        pixels = _held(self.pixels, "IMAGE", "B, H, W, 3")
        if pixels.shape[-1] != 3:
            raise refused("wrong-shape", "IMAGE", f"has {pixels.shape[-1]} channels, not 3.", "Keep alpha in a mask.")
        if pixels[..., 0].numel() > PIXELS_AT_MOST:
            raise refused(
                "too-large",
                "IMAGE",
                f"{tuple(pixels.shape)} is over a thousand megapixels.",
                "Use fewer or smaller pictures.",
            )
        object.__setattr__(self, "pixels", pixels)

    def __len__(self) -> int:
        return self.pixels.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[2], self.pixels.shape[1]

    @property
    def nbytes(self) -> int:
        return _bytes(self.pixels)

    def summary(self) -> str:
        return f"{len(self)} × {self.size[0]}×{self.size[1]} RGB"

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {}, {"pixels": self.pixels}

    @classmethod
    def from_parts(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Image:
        return cls(tensors["pixels"])


@socket("MASK", color="#81c784", shape="square")
@dataclass(frozen=True, eq=False)
class Mask:
    """One or several masks: 1 is inside (to be repainted, or seen), 0 outside.

    values  (B, H, W)  float32 from 0 to 1
    """

    values: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _held(self.values, "MASK", "B, H, W"))

    def __len__(self) -> int:
        return self.values.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.values.shape[2], self.values.shape[1]

    @property
    def nbytes(self) -> int:
        return _bytes(self.values)

    def summary(self) -> str:
        return f"{len(self)} × {self.size[0]}×{self.size[1]} mask"

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {}, {"values": self.values}

    @classmethod
    def from_parts(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Mask:
        return cls(tensors["values"])


@socket("LATENT", color="#f06292", shape="diamond")
@dataclass(frozen=True, eq=False)
class Latent:
    """Pictures in the space a model paints in.

    samples  (B, C, h, w)  float32, as the model sees them (scaled and shifted)
    family   whose space it is: "flux1"; "" if nobody said
    mask     (B or 1, h, w)  where the model may paint, 1 is yes; None is everywhere
    """

    samples: Tensor
    family: str = ""
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        samples = _held(self.samples, "LATENT", "B, C, h, w")
        object.__setattr__(self, "samples", samples)
        if self.mask is None:
            return
        mask = _held(self.mask, "LATENT mask", "B, h, w")
        if mask.shape[1:] != samples.shape[2:] or mask.shape[0] not in (1, samples.shape[0]):
            what = f"a mask {tuple(mask.shape)} does not cover latents {tuple(samples.shape)}."
            raise refused("wrong-shape", "LATENT mask", what, "Use `Set latent mask`, which resizes it.")
        object.__setattr__(self, "mask", mask)

    def __len__(self) -> int:
        return self.samples.shape[0]

    def with_samples(self, samples: Tensor) -> Latent:
        """The same latent with other samples of the same size."""
        return replace(self, samples=samples)

    @property
    def nbytes(self) -> int:
        return _bytes(self.samples, self.mask)

    def summary(self) -> str:
        count, channels, height, width = self.samples.shape
        masked = ", masked" if self.mask is not None else ""
        return f"{count} × {channels}×{height}×{width} {self.family or 'latent'}{masked}"

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        tensors = {"samples": self.samples} | ({"mask": self.mask} if self.mask is not None else {})
        return {"family": self.family}, tensors

    @classmethod
    def from_parts(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Latent:
        return cls(tensors["samples"], str(facts.get("family", "")), tensors.get("mask"))


@socket("CONDITIONING", color="#ffb74d", shape="hexagon")
@dataclass(frozen=True, eq=False)
class Conditioning:
    """What a picture is to show, as a family's text encoders say it.

    family   whose encoders: "flux1"
    tensors  named as the family names them, e.g. text (B, L, D) and pooled (B, P); each with the same B
    note     what it was made from, for messages
    """

    family: str
    tensors: Mapping[str, Tensor]
    note: str = ""

    def __post_init__(self) -> None:
        held = {}
        for name, tensor in self.tensors.items():
            if not isinstance(tensor, Tensor) or tensor.ndim < 1 or tensor.numel() == 0:
                raise refused("wrong-shape", "CONDITIONING", f"{name} is no filled tensor.", "Encode the text again.")
            held[name] = tensor.detach().to("cpu")
        sizes = {name: tensor.shape[0] for name, tensor in held.items()}
        if len(set(sizes.values())) != 1:
            raise refused(
                "wrong-shape", "CONDITIONING", f"its parts differ in number: {sizes}.", "Encode the text again."
            )
        object.__setattr__(self, "tensors", held)

    def __len__(self) -> int:
        return next(iter(self.tensors.values())).shape[0]

    @property
    def nbytes(self) -> int:
        return _bytes(*self.tensors.values())

    def summary(self) -> str:
        shapes = ", ".join(f"{name} {'×'.join(map(str, tensor.shape))}" for name, tensor in self.tensors.items())
        return f"{self.family}: {shapes}"

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {"family": self.family, "note": self.note}, dict(self.tensors)

    @classmethod
    def from_parts(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Conditioning:
        return cls(str(facts["family"]), tensors, str(facts.get("note", "")))


@socket("SIGMAS", color="#ba68c8", shape="square")
@dataclass(frozen=True)
class Sigmas:
    """The noise levels a sampler walks through, from much (1) to none (0): one more than it takes steps."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        values = tuple(float(value) for value in self.values)
        falls = all(now > after for now, after in pairwise(values))
        if len(values) < 2 or not falls or not 0 <= values[-1] < values[0] <= 1:
            shown = ", ".join(f"{value:g}" for value in values[:8])
            what = f"({shown}) do not fall from at most 1 to at least 0."
            raise refused(
                "wrong-sigmas", "SIGMAS", what, "Give at least two, each smaller than the one before, e.g. 1, 0.5, 0."
            )
        object.__setattr__(self, "values", values)

    def __iter__(self) -> Iterator[float]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    nbytes = 1024

    def summary(self) -> str:
        return f"{len(self) - 1} steps, {self.values[0]:.3f} → {self.values[-1]:.3f}"

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {"values": list(self.values)}, {}

    @classmethod
    def from_parts(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Sigmas:
        return cls(tuple(facts["values"]))


@socket("FILES", color="#90a4ae", shape="square")
@dataclass(frozen=True)
class SavedFiles:
    """Files that a node has written. A kept result that names them stands for as long as they all exist.

    paths  where they are, absolute
    kind   "output" or "temp"
    media  what they hold: "image", "latent", "conditioning"
    """

    paths: tuple[str, ...]
    kind: str = "output"
    media: str = "image"

    nbytes: int = field(default=1024, init=False, repr=False, compare=False)

    def fresh(self) -> bool:
        return all(Path(path).is_file() for path in self.paths)

    def summary(self) -> str:
        return ", ".join(Path(path).name for path in self.paths)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {"paths": list(self.paths), "kind": self.kind, "media": self.media}, {}

    @classmethod
    def from_parts(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> SavedFiles:
        return cls(tuple(facts["paths"]), str(facts["kind"]), str(facts["media"]))
