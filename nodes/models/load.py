"""A recognised part becomes a module with weights: built on `meta`, filled from its file, ready to be used.

What a recipe's `load` calls. Knows neither families' names nor budgets.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import nn

from nodes.models.autoencoders import keys as autoencoder_keys
from nodes.models.autoencoders import kl
from nodes.models.encoders import clip as clip_module
from nodes.models.encoders import keys as encoder_keys
from nodes.models.encoders import t5 as t5_module
from nodes.models.encoders.tokenizer import Tokenizer, load_tokenizer
from nodes.models.family import Family, Found, LatentFormat
from nodes.models.weights.fill import Dtype, fill
from nodes.models.weights.part import Part
from nodes.models.weights.pieces import Source
from nodes.models.weights.tensor import bad_file

M = TypeVar("M", bound=nn.Module)

ENCODERS: dict[str, Callable[[Any], nn.Module]] = {"clip": clip.build, "t5": t5.build}


class Tokenizers(NamedTuple):
    """Folders of the tokenizers; None where there is none."""

    clip: Path | None = None
    t5: Path | None = None


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


def load_text_encoder(
    family: Family, clip: Part, t5: Part, dtype: torch.dtype, device: str = "cpu", tokenizers: Tokenizers | None = None
) -> nn.Module:
    """Both text encoders of a family with their tokenizers, as its `text.TextEncoder`.

    tokenizers  the folders of CLIP's and T5's, where none lies beside the weights

    Raises Refused when a file does not fill its encoder exactly, or a tokenizer is missing or of another vocabulary.
    """
    folders = tokenizers or Tokenizers()
    words = load_tokenizer("clip", clip.tokenizer or folders.clip)
    pieces = load_tokenizer("t5", t5.tokenizer or folders.t5)
    _check_vocabulary(words, clip)
    _check_vocabulary(pieces, t5)
    return family.text.TextEncoder(load_clip(clip, dtype, device), load_t5(t5, dtype, device), words, pieces)  # type: ignore[no-any-return]


def load_clip(part: Part, dtype: torch.dtype, device: str = "cpu") -> nn.Module:
    """CLIP's text encoder."""
    module = clip_module.build(part.config)
    for buffer in module.buffers():
        buffer.data = buffer.data.to(device)
    return _filled(module, part, encoder_keys.rename(part), dtype, device)


def load_t5(part: Part, dtype: torch.dtype, device: str = "cpu") -> nn.Module:
    """T5's encoder. In float16 a few layers stay float32, because their outputs leave float16's range."""

    def kept(name: str) -> torch.dtype:
        wide = dtype == torch.float16 and name.endswith(t5_module.FLOAT32_IN_FLOAT16)
        return torch.float32 if wide else dtype

    return _filled(t5_module.build(part.config), part, encoder_keys.rename(part), kept, device)


def _check_vocabulary(tokenizer: Tokenizer, part: Part) -> None:
    """Every id of the tokenizer must have a row in the encoder."""
    ids, rows = len(tokenizer.inner), part.config["vocab_size"]
    if ids > rows:
        what = f"Its {part.variant} knows {rows:,} tokens, but the tokenizer makes {ids:,}."
        raise bad_file(part.header.path, what, "Put the tokenizer that belongs to this model beside it.")


def load_text_encoder(family: Family, parts: Mapping[str, Part], dtype: torch.dtype, device: str = "cpu") -> nn.Module:
    """A family's text encoders and their tokenizers as one module. `parts` by kind, each with its tokenizer's folder.

    Raises Refused when a tokenizer is missing or a file does not fill its encoder exactly.
    """
    tokenizers = {f"{kind}_tokenizer": load_tokenizer(kind, part.tokenizer) for kind, part in parts.items()}
    encoders = {
        kind: _filled(ENCODERS[kind](part.config), part, encoder_keys.rename(part), _of_encoder(dtype), device)
        for kind, part in parts.items()
    }
    module: nn.Module = family.text.TextEncoder(**encoders, **tokenizers)
    return module.eval()


def _of_encoder(dtype: torch.dtype) -> Dtype:
    """float16 leaves T5's widest layers in float32."""
    if dtype != torch.float16:
        return dtype
    return lambda name: torch.float32 if name.endswith(t5.FLOAT32_IN_FLOAT16) else dtype


def _filled(module: M, part: Part, rename: dict[str, Source], dtype: Dtype, device: str) -> M:
    fill(module, part.header, rename, dtype, device)
    return module.eval().requires_grad_(False)
