"""A recognised part becomes a module with weights: built on `meta`, filled from its file, ready to be used.

What a recipe's `load` calls. Knows neither families' names nor budgets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from nodes.models.autoencoders import keys as autoencoder_keys
from nodes.models.autoencoders import kl
from nodes.models.encoders import clip, t5
from nodes.models.encoders import keys as encoder_keys
from nodes.models.encoders.tokenizer import Tokenizer, load_tokenizer
from nodes.models.family import Family, Found, LatentFormat
from nodes.models.weights.fill import Dtype, fill
from nodes.models.weights.part import Part
from nodes.models.weights.pieces import Source
from nodes.models.weights.storage import UNPACKED, pack_linears
from nodes.models.weights.tensor import bad_file

M = TypeVar("M", bound=nn.Module)

ENCODERS: dict[str, Callable[[Mapping[str, Any]], nn.Module]] = {"clip": clip.build, "t5": t5.build}


def load_transformer(found: Found, dtype: Dtype, device: str = "cpu", storage: str = UNPACKED) -> nn.Module:
    """The transformer of what `detect` found. Raises Refused when its file does not fill it exactly.

    storage  how its weights are kept in memory: one of STORAGES
    """
    module, rename = outline(found, storage)
    return _filled(module, found.parts["transformer"], rename, dtype, device)


def outline(found: Found, storage: str = UNPACKED) -> tuple[nn.Module, dict[str, Source]]:
    """The transformer on `meta`, packed as it will be, and where each of its parameters is."""
    if found.family is None:
        raise bad_file(found.path, "It holds no transformer.", "Choose a checkpoint that has one.")
    part, keys = found.parts["transformer"], found.family.keys
    with torch.device("meta"):
        module: nn.Module = found.family.transformer.Transformer(part.config)
    rename = keys.rename(part)
    pack_linears(module, part.header, rename, storage, getattr(keys, "KEPT", ()))
    return module, rename


def load_autoencoder(
    part: Part, dtype: Dtype, device: str = "cpu", latent: LatentFormat | None = None
) -> kl.Autoencoder:
    """An autoencoder. `latent` says scale and shift where the file does not."""
    usual = {"scale": latent.scale, "shift": latent.shift} if latent else {}
    with torch.device("meta"):
        module = kl.Autoencoder(kl.Config(**(usual | part.config)))
    return _filled(module, part, autoencoder_keys.rename(part), dtype, device)


def load_text_encoder(family: Family, parts: Mapping[str, Part], dtype: torch.dtype, device: str = "cpu") -> nn.Module:
    """A family's text encoders and their tokenizers as one module. `parts` by kind, each with its tokenizer's folder.

    Raises Refused when a file does not fill its encoder exactly, or a tokenizer is missing or of another vocabulary.
    """
    tokenizers = {kind: _tokenizer(part) for kind, part in parts.items()}
    encoders = {kind: load_encoder(part, dtype, device) for kind, part in parts.items()}
    named = {f"{kind}_tokenizer": tokenizer for kind, tokenizer in tokenizers.items()}
    module: nn.Module = family.text.TextEncoder(**encoders, **named)
    return module.eval()


def load_encoder(part: Part, dtype: torch.dtype, device: str = "cpu", storage: str = UNPACKED) -> nn.Module:
    """CLIP's or T5's encoder. In float16 a few of T5's layers stay float32: their outputs leave float16's range."""

    def kept(name: str) -> torch.dtype:
        wide = dtype == torch.float16 and name.endswith(t5.FLOAT32_IN_FLOAT16)
        return torch.float32 if wide else dtype

    module = ENCODERS[part.kind](part.config)
    for buffer in module.buffers():
        buffer.data = buffer.data.to(device)
    rename = encoder_keys.rename(part)
    pack_linears(module, part.header, rename, storage, WIDE if dtype == torch.float16 else ())
    return _filled(module, part, rename, kept, device)


WIDE = tuple(name.removesuffix(".weight") for name in t5.FLOAT32_IN_FLOAT16)


def _tokenizer(part: Part) -> Tokenizer:
    """The tokenizer beside an encoder; every id of it must have a row there."""
    if part.kind not in ("clip", "t5"):
        what = f"{part.variant} is a text encoder that no family here uses."
        raise bad_file(part.header.path, what, "Use the text encoders that belong to the transformer.")
    tokenizer = load_tokenizer("clip" if part.kind == "clip" else "t5", part.tokenizer)
    ids, rows = len(tokenizer.inner), part.config["vocab_size"]
    if ids > rows:
        what = f"Its {part.variant} knows {rows:,} tokens, but the tokenizer makes {ids:,}."
        raise bad_file(part.header.path, what, "Put the tokenizer that belongs to this model beside it.")
    return tokenizer


def _filled(module: M, part: Part, rename: dict[str, Source], dtype: Dtype, device: str) -> M:
    fill(module, part.header, rename, dtype, device)
    return module.eval().requires_grad_(False)
