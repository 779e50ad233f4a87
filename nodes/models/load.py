"""A recognised part becomes a module with weights: built on `meta`, filled from its file, ready to be used.

What a recipe's `load` calls. Knows neither families' names nor budgets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import torch
from torch import nn

from graph_runtime.context import Footprint, Plan
from nodes.models.autoencoders import flux2, kl
from nodes.models.autoencoders import keys as autoencoder_keys
from nodes.models.encoders import clip, gemma, language, t5, umt5
from nodes.models.encoders import keys as encoder_keys
from nodes.models.encoders.tekken import Words, load_words
from nodes.models.encoders.tokenizer import Tokenizer, load_tokenizer
from nodes.models.family import Family, Found, LatentFormat
from nodes.models.layers.packed import settle
from nodes.models.weights.fill import Dtype, Filling, Fillings, fill, prepared
from nodes.models.weights.part import Part
from nodes.models.weights.pieces import Source
from nodes.models.weights.place import Placed
from nodes.models.weights.portions import footprint
from nodes.models.weights.spread import balanced, load_spread
from nodes.models.weights.storage import UNPACKED, pack_linears
from nodes.models.weights.streamed import load_streamed
from nodes.models.weights.tensor import bad_file

M = TypeVar("M", bound=nn.Module)
NO_COPIES: Mapping[str, str] = MappingProxyType({})


class Encoder(NamedTuple):
    """A kind of text encoder: how it is built on `meta`, and which of its parameters stay float32 in float16."""

    build: Callable[[Mapping[str, Any]], nn.Module]
    wide: tuple[str, ...] = ()


ENCODERS = {
    "clip": Encoder(clip.build),
    "t5": Encoder(t5.build, t5.FLOAT32_IN_FLOAT16),
    "gemma": Encoder(gemma.build),
    "umt5": Encoder(umt5.build, t5.FLOAT32_IN_FLOAT16),
    "language": Encoder(language.build),
    "llama": Encoder(language.build),
}


def load_transformer(found: Found, dtype: Dtype, device: str = "cpu", storage: str = UNPACKED) -> nn.Module:
    """The transformer of what `detect` found. Raises Refused when its file does not fill it exactly.

    storage  how its weights are kept in memory: one of STORAGES
    """
    module, rename = outline(found, storage)
    return _filled(module, found.parts["transformer"], rename, dtype, device, _copies(found))


def place_transformer(found: Found, dtype: torch.dtype, device: str, storage: str, plan: Plan) -> Placed:
    """The same, in memory as a plan says."""
    if plan.name == "resident":
        return Placed(load_transformer(found, dtype, device, storage))
    return load_streamed(*_prepared(found, dtype, storage), device, plan)


def spread_transformer(
    found: Found, dtype: torch.dtype, storage: str, devices: Sequence[str], where: Sequence[int]
) -> Placed:
    """The same on several devices. `where`: the number of each block's device."""
    module, filling = _prepared(found, dtype, storage)
    placed = load_spread(module, filling, devices, where)
    settle(module)
    return placed


def _prepared(found: Found, dtype: torch.dtype, storage: str) -> tuple[nn.Module, Filling]:
    """A transformer on `meta`, and what would fill it."""
    module, rename = outline(found, storage)
    return module, prepared(module, found.parts["transformer"].header, rename, dtype, _copies(found))


def _copies(found: Found) -> Mapping[str, str]:
    """Tensors of a transformer's file that are others once more, where its family has such."""
    copies = getattr(found.family and found.family.keys, "copies", None)
    return copies(found.parts["transformer"]) if copies else NO_COPIES


def shared_out(parts: Footprint, free: Sequence[int]) -> tuple[int, ...] | None:
    """The number of each block's device, the first having all that is no block besides. None if not even all of them
    together have room."""
    rest = parts.total - sum(parts.blocks)
    return balanced(parts.blocks, [free[0] - rest, *free[1:]]) if free[0] >= rest else None


def parts_of_transformer(found: Found, dtype: torch.dtype, storage: str = UNPACKED) -> Footprint:
    """What its parts take; headers are read."""
    return footprint(outline(found, storage)[0], lambda name: dtype)


def outline(found: Found, storage: str = UNPACKED) -> tuple[nn.Module, dict[str, Source]]:
    """The transformer on `meta`, packed as it will be, and where each of its parameters is."""
    if found.family is None:
        raise bad_file(found.path, "It holds no transformer.", "Choose a checkpoint that has one.")
    part, keys = found.parts["transformer"], found.family.keys
    with torch.device("meta"):
        module: nn.Module = found.family.transformer.Transformer(part.config)
    rename = keys.rename(part)
    pack_linears(module, part.header, rename, storage, keys.KEPT)
    return module, rename


def autoencoder_config(part: Part, latent: LatentFormat | None = None) -> kl.Config:
    """Its sizes. `latent` says scale and shift where the file does not; Flux.2's has statistics instead."""
    usual = {"scale": latent.scale, "shift": latent.shift} if latent else {}
    config = usual | part.config
    return flux2.Config(**config) if "decoder_widths" in config else kl.Config(**config)


def load_autoencoder(
    part: Part, dtype: Dtype, device: str = "cpu", latent: LatentFormat | None = None
) -> kl.Autoencoder:
    """An autoencoder; `latent` as `autoencoder_config` takes it."""
    config = autoencoder_config(part, latent)
    with torch.device("meta"):
        module = flux2.Autoencoder(config) if isinstance(config, flux2.Config) else kl.Autoencoder(config)

    def kept(name: str) -> torch.dtype:
        wanted = dtype(name) if callable(dtype) else dtype
        return torch.float32 if name.startswith("bn.") else wanted

    return _filled(module, part, autoencoder_keys.rename(part), kept, device)


def load_text_encoder(
    family: Family,
    parts: Mapping[str, Part],
    dtype: torch.dtype,
    device: str = "cpu",
    reach: int = 0,
    storage: str = UNPACKED,
) -> nn.Module:
    """A family's text encoders and their tokenizers as one module. `parts` by kind, each with its tokenizer's folder.

    reach  layers of a language model: 0 is those that are read, −1 all and what it writes with

    Raises Refused when a file does not fill its encoder exactly, or a tokenizer is missing or of another vocabulary.
    """
    tokenizers = _tokenizers(family, parts)
    encoders = {
        kind: load_encoder(encoder_keys.loaded(part, reach), dtype, device, storage) for kind, part in parts.items()
    }
    module: nn.Module = family.text.TextEncoder(**encoders, **tokenizers)
    return module.eval()


def place_text_encoder(
    family: Family, parts: Mapping[str, Part], dtype: torch.dtype, device: str, reach: int, storage: str, plan: Plan
) -> Placed:
    """The same, in memory as a plan says."""
    if plan.name == "resident":
        return Placed(load_text_encoder(family, parts, dtype, device, reach, storage))
    tokenizers = _tokenizers(family, parts)
    read = {kind: encoder_keys.loaded(part, reach) for kind, part in parts.items()}
    encoders = {kind: encoder_outline(part, dtype, storage) for kind, part in read.items()}
    fillings = [
        prepared(encoders[kind], part.header, encoder_keys.rename(part), _kept(kind, dtype)).under(f"{kind}.")
        for kind, part in read.items()
    ]
    module: nn.Module = family.text.TextEncoder(**encoders, **tokenizers)
    _place_computed(module, device)
    return load_streamed(module, Fillings(tuple(fillings)), device, plan)


def parts_of_text_encoder(
    family: Family, parts: Mapping[str, Part], dtype: torch.dtype, reach: int = 0, storage: str = UNPACKED
) -> Footprint:
    """What its parts take; headers are read, and no tokenizer."""
    encoders = {kind: encoder_outline(encoder_keys.loaded(part, reach), dtype, storage) for kind, part in parts.items()}
    module = family.text.TextEncoder(**encoders, **dict.fromkeys(f"{kind}_tokenizer" for kind in parts))
    return footprint(module, lambda name: _kept(name.partition(".")[0], dtype)(name))


def _tokenizers(family: Family, parts: Mapping[str, Part]) -> dict[str, Tokenizer | Words]:
    """The tokenizer of each encoder, as `family.text.TextEncoder` calls it."""
    for kind, part in parts.items():
        if not any(kind in kinds for kinds in family.readings):
            what = f"{part.variant} is a text encoder that {family.name} does not read with."
            raise bad_file(part.header.path, what, "Use the text encoders that belong to the transformer.")
    return {f"{kind}_tokenizer": _tokenizer(part) for kind, part in parts.items()}


def load_encoder(part: Part, dtype: torch.dtype, device: str = "cpu", storage: str = UNPACKED) -> nn.Module:
    """A text encoder. In float16 a few layers of some stay float32: their outputs leave float16's range."""
    module = encoder_outline(part, dtype, storage)
    _place_computed(module, device)
    return _filled(module, part, encoder_keys.rename(part), _kept(part.kind, dtype), device)


def _kept(kind: str, dtype: torch.dtype) -> Callable[[str], torch.dtype]:
    """What each parameter of an encoder of a kind is kept in."""
    wide = ENCODERS[kind].wide if dtype == torch.float16 else ()
    return lambda name: torch.float32 if name.endswith(wide) else dtype


def _place_computed(module: nn.Module, device: str) -> None:
    """Bring to a device what was computed when an encoder was built, and is in no file."""
    for buffer in module.buffers():
        if not buffer.is_meta:
            buffer.data = buffer.data.to(device)


def encoder_outline(part: Part, dtype: torch.dtype, storage: str = UNPACKED) -> nn.Module:
    """A text encoder on `meta`, packed as it will be. What has to be float32 in float16 is not packed then."""
    encoder = ENCODERS[part.kind]
    module = encoder.build(part.config)
    kept = tuple(name.removesuffix(".weight") for name in encoder.wide) if dtype == torch.float16 else ()
    pack_linears(module, part.header, encoder_keys.rename(part), storage, kept)
    return module


def _tokenizer(part: Part) -> Tokenizer | Words:
    """The tokenizer beside an encoder; every id of it must have a row there."""
    spoken = part.kind == "language"
    tokenizer = load_words(part.tokenizer, part.variant) if spoken else load_tokenizer(part.kind, part.tokenizer)
    ids, rows = len(tokenizer), part.config["vocab_size"]
    if ids > rows:
        what = f"Its {part.variant} knows {rows:,} tokens, but the tokenizer makes {ids:,}."
        raise bad_file(part.header.path, what, "Put the tokenizer that belongs to this model beside it.")
    return tokenizer


def _filled(
    module: M, part: Part, rename: dict[str, Source], dtype: Dtype, device: str, copies: Mapping[str, str] = NO_COPIES
) -> M:
    fill(module, part.header, rename, dtype, device, copies)
    settle(module)
    return module.eval().requires_grad_(False)
