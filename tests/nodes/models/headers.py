"""Headers of files that do not exist, from the shapes of a module on `meta`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from nodes.models.weights.tensor import Header, TensorInfo, product

Shapes = dict[str, tuple[int, ...]]


def header(shapes: Shapes, config: Mapping[str, Any] | None = None) -> Header:
    tensors = {n: TensorInfo(n, "BF16", shape, Path("m"), 0, 2 * product(shape)) for n, shape in shapes.items()}
    return Header(Path("m.safetensors"), "safetensors", tensors, {}, config or {})


def shapes_of(module: nn.Module) -> Shapes:
    return {name: tuple(p.shape) for name, p in module.named_parameters()}
