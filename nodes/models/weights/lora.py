"""LoRA files: for some matrices of a model, two narrow ones whose product is added to them.

    W' = W + strength · (alpha / rank) · up · down        down (rank, C), up (R, rank)

A file names matrices as one of several programs does: diffusers (PEFT), the original model, or kohya's with dots as
underscores; a family says which names its own matrices have beside their own (`Target`). Reads headers, and `load` the
numbers. Knows no family. Hu et al. 2021, arXiv:2106.09685.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from graph_runtime.problem import Problem, Refused
from nodes.models.layers.lowrank import LowRank
from nodes.models.weights.config import parse_config
from nodes.models.weights.fill import read_tensor
from nodes.models.weights.pieces import Target
from nodes.models.weights.tensor import Header, TensorInfo, bad_file, shown

DOWN = (".lora_A.weight", ".lora_A.default.weight", ".lora_down.weight", ".lora.down.weight", ".down.weight")
UP = (".lora_B.weight", ".lora_B.default.weight", ".lora_up.weight", ".lora.up.weight", ".up.weight")
ALPHA = ".alpha"
# Parts of names that only other changes than a plain LoRA have, and what those are.
OTHERS = (
    (".dora_scale", "a DoRA, which also scales every column"),
    (".lora_magnitude_vector", "a DoRA, which also scales every column"),
    (".lokr_w", "a LoKr"),
    (".hada_w", "a LoHa"),
    (".oft_blocks", "an OFT"),
    (".glora_", "a GLoRA"),
    (".lora_mid.", "a LoRA of convolutions"),
    (".lora_B.bias", "a LoRA with biases, as control models have"),
)
# What a name begins with → whose matrix it is. The longest that fits counts.
PREFIXES = {
    "transformer.": "transformer",
    "diffusion_model.": "transformer",
    "model.diffusion_model.": "transformer",
    "base_model.model.": "transformer",
    "model.": "transformer",
    "net.": "transformer",
    "unet.": "transformer",
    "lora_unet_": "transformer",
    "lora_transformer_": "transformer",
    "lycoris_": "transformer",
    "": "transformer",
    "text_encoder.": "clip",
    "text_encoders.clip_l.transformer.": "clip",
    "lora_te_": "clip",
    "lora_te1_": "clip",
    "text_encoder_2.": "t5",
    "text_encoders.t5xxl.transformer.": "t5",
    "lora_te2_": "t5",
    "lora_te3_": "t5",
}
INSIDE = ("text_model.", "text_model_")  # what CLIP's names have beside that, in files only
METADATA = "lora_adapter_metadata"
COMPONENTS = {"transformer": "transformer", "clip": "text_encoder", "t5": "text_encoder_2"}


@dataclass(frozen=True)
class Pair:
    """down and up of one matrix.

    part, stem  whose ("transformer", "clip", "t5") and which, as the file spells it
    alpha       the tensor that holds it, or the number; None is the rank, so that the scale is 1
    """

    part: str
    stem: str
    down: TensorInfo
    up: TensorInfo
    alpha: TensorInfo | float | None = None

    @property
    def rank(self) -> int:
        return self.down.shape[0]


@dataclass(frozen=True)
class Changes:
    """What of a LoRA belongs to one model, what is there once more, and the names that found no place in it."""

    changes: tuple[tuple[Target, Pair], ...]
    left: tuple[str, ...] = ()
    copies: tuple[tuple[Target, Pair], ...] = ()

    def nbytes(self, itemsize: int) -> int:
        """Bytes in memory when every number has `itemsize` of them."""
        return sum(pair.down.elements + pair.up.elements for _, pair in self.changes) * itemsize

    def under(self, prefix: str) -> Changes:
        """The same of a larger model that the model is `prefix` of."""
        changes, copies = (
            tuple((target._replace(module=prefix + target.module), pair) for target, pair in pairs)
            for pairs in (self.changes, self.copies)
        )
        return replace(self, changes=changes, copies=copies)


def pairs(header: Header) -> list[Pair]:
    """All pairs of a file. Raises Refused when it is no LoRA, or one that does more than add two matrices' product.

    What else lies in it is `others`.
    """
    for name in header.tensors:
        for mark, what in OTHERS:
            if mark in name:
                raise bad_file(
                    header.path, f"'{shown(name)}' makes it {what}; that is not applied here.",
                    "Use a plain LoRA, or have its author extract one.",
                )  # fmt: skip
    halves = _halves(header)
    whole = {stem: found for stem, found in halves.items() if {"down", "up"} <= found.keys()}
    broken = [stem for stem, found in halves.items() if stem not in whole and found.keys() != {"alpha"}]
    if broken or not whole:
        what = f"Of '{shown(broken[0])}' it has only one half." if broken else "There is no LoRA in it."
        raise bad_file(header.path, what, "Choose a LoRA file.")
    told = _metadata(header)
    return [_pair(header, stem, found, told) for stem, found in whole.items()]


def others(header: Header) -> tuple[str, ...]:
    """Tensors of a LoRA's file that belong to no pair."""
    halves = _halves(header)
    return tuple(name for name in header.tensors if not {"down", "up"} <= halves.get(_half(name)[1], {}).keys())


def placed(found: Iterable[Pair], part: str, names: Mapping[str, Target]) -> Changes:
    """Which of the pairs change which rows of a model's Linears.

    names  every name that a Linear of it may have in a file; with underscores for dots they are found too
    """
    flat = {name.replace(".", "_"): target for name, target in names.items()}
    changes, copies, left = [], [], []
    for pair in found:
        if pair.part == part:
            target = names.get(pair.stem) or flat.get(pair.stem)
            if target is None:
                left.append(pair.stem)
            elif target.copy:
                copies.append((target._replace(copy=False), pair))
            else:
                changes.append((target, pair))
    return Changes(tuple(changes), tuple(left), tuple(copies))


def check(module: nn.Module, change: Changes) -> None:
    """Raise Refused with every shape that does not fit the Linear it is to change."""
    problems = []
    for target, pair in change.changes + change.copies:
        linear: Any = module.get_submodule(target.module)
        rows = (target.stop if target.stop is not None else linear.out_features) - target.start
        down, up = (tuple(info.shape[:2]) for info in (pair.down, pair.up))
        trailing = {*pair.down.shape[2:], *pair.up.shape[2:]}
        if down != (pair.rank, linear.in_features) or up != (rows, pair.rank) or trailing - {1} or not pair.rank:
            what = (
                f"'{shown(pair.stem)}' is {list(pair.up.shape)} × {list(pair.down.shape)}, but the matrix that it is "
                f"added to is {[rows, linear.in_features]}."
            )
            problems.append(Problem("wrong-shape", shown(pair.down.path.name), what, "It was made for another model."))
    if problems:
        raise Refused(problems)


def load(change: Changes, dtype: torch.dtype, device: str = "cpu") -> LowRank:
    """The numbers, with alpha / rank in `up`. Raises Refused when what should be there once more is something else."""
    loaded, once = LowRank(), {}
    for target, pair in change.changes:
        down, up = _numbers(target, pair)
        once[target] = down, up
        moved: list[Tensor] = [one.to(device, dtype) for one in (down, up)]
        loaded.add(target.module, target.start, *moved)
    for target, pair in change.copies:
        if target not in once or not all(map(torch.equal, once[target], _numbers(target, pair))):
            what = f"'{shown(pair.stem)}' changes a matrix in another way than the same matrix's other name does."
            raise bad_file(pair.down.path, what, "It was trained on a model with two matrices where this one has one.")
    return loaded


def _numbers(target: Target, pair: Pair) -> tuple[Tensor, Tensor]:
    """down and up, with the scale in the latter."""
    down, up = (read_tensor(info).flatten(1) for info in (pair.down, pair.up))
    alpha = float(read_tensor(pair.alpha).flatten()[0]) if isinstance(pair.alpha, TensorInfo) else pair.alpha
    up = up * ((pair.rank if alpha is None else alpha) / pair.rank)
    return down, torch.cat(up.chunk(2)[::-1]) if target.swapped else up


def _halves(header: Header) -> dict[str, dict[str, TensorInfo]]:
    """What each name is of → "down", "up", "alpha" of it, those that are there."""
    halves: dict[str, dict[str, TensorInfo]] = {}
    for name, info in header.tensors.items():
        kind, stem = _half(name)
        if kind:
            halves.setdefault(stem, {})[kind] = info
    return halves


def _half(name: str) -> tuple[str, str]:
    """("down", "up" or "alpha", what it is of); ("", name) for anything else."""
    for kind, endings in (("down", DOWN), ("up", UP), ("alpha", (ALPHA,))):
        for ending in endings:
            if name.endswith(ending):
                return kind, name.removesuffix(ending)
    return "", name


def _pair(header: Header, name: str, found: Mapping[str, TensorInfo], told: Mapping[str, Any]) -> Pair:
    prefix = max((prefix for prefix in PREFIXES if name.startswith(prefix)), key=len)
    part, stem = PREFIXES[prefix], name.removeprefix(prefix)
    for inside in INSIDE:
        stem = stem.removeprefix(inside) if part == "clip" else stem
    for info in (found["down"], found["up"]):
        if len(info.shape) < 2 or not info.shape[0]:
            raise bad_file(header.path, f"'{shown(info.name)}' is {list(info.shape)}, which is no matrix.")
    alpha: TensorInfo | float | None = found.get("alpha")
    if isinstance(alpha, TensorInfo) and alpha.elements != 1:
        raise bad_file(header.path, f"'{shown(alpha.name)}' is {list(alpha.shape)}, not one number.")
    return Pair(
        part, stem, found["down"], found["up"], _told_alpha(told, part, stem, found) if alpha is None else alpha
    )


def _metadata(header: Header) -> Mapping[str, Any]:
    """What diffusers writes beside its LoRAs; {} for nothing that can be read."""
    try:
        return parse_config(header.metadata.get(METADATA, "{}").encode(), header.path)
    except Refused:
        return {}


def _told_alpha(told: Mapping[str, Any], part: str, stem: str, found: Mapping[str, TensorInfo]) -> float | None:
    """alpha as diffusers' metadata gives it: for all, or by patterns of names."""
    config = {key.removeprefix(COMPONENTS[part] + "."): value for key, value in told.items()}
    alpha = config.get("lora_alpha")
    patterns = config.get("alpha_pattern")
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        if stem == pattern or stem.endswith("." + pattern):
            alpha = value
    if type(alpha) not in (int, float):
        return None
    rank = found["down"].shape[0]
    return alpha * sqrt(rank) if config.get("use_rslora") is True else float(alpha)
