"""A recognised part becomes a module with weights: built on `meta`, filled from its file, ready to be used.

What a recipe's `load` calls. Knows neither families' names nor budgets.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from nodes.models.autoencoders import keys as autoencoder_keys
from nodes.models.autoencoders import kl
from nodes.models.family import Found, LatentFormat
from nodes.models.weights.fill import Dtype, fill
from nodes.models.weights.part import Part
from nodes.models.weights.pieces import Source
from nodes.models.weights.tensor import bad_file

M = TypeVar("M", bound=nn.Module)


def load_transformer(found: Found, dtype: Dtype, device: str = "cpu") -> nn.Module:
    """The transformer of what `detect` found. Raises Refused when its file does not fill it exactly."""
    if found.family is None:
        raise bad_file(found.path, "It holds no transformer.", "Choose a checkpoint that has one.")
    part = found.parts["transformer"]
    with torch.device("meta"):
        module: nn.Module = found.family.transformer.Transformer(part.config)
    return _filled(module, part, found.family.keys.rename(part), dtype, device)


def load_autoencoder(
    part: Part, dtype: Dtype, device: str = "cpu", latent: LatentFormat | None = None
) -> kl.Autoencoder:
    """An autoencoder. `latent` says scale and shift where the file does not."""
    usual = {"scale": latent.scale, "shift": latent.shift} if latent else {}
    with torch.device("meta"):
        module = kl.Autoencoder(kl.Config(**(usual | part.config)))
    return _filled(module, part, autoencoder_keys.rename(part), dtype, device)


def _filled(module: M, part: Part, rename: dict[str, Source], dtype: Dtype, device: str) -> M:
    fill(module, part.header, rename, dtype, device)
    return module.eval().requires_grad_(False)
