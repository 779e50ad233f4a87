"""What painting and decoding take on the device beside the weights, in bytes and at most; told from recipes alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from nodes.models.family import family_named
from nodes.models.load import autoencoder_config, outline
from nodes.models.weights.storage import UNPACKED, largest_unpacked
from nodes.recipes import DTYPES, Model, Stored, Vae, latent_format


def painting(model: Model, shape: Sequence[int], levels: int, text: int, seen: int = 0) -> int:
    """Of a model, for latents (B, C, h, w) that are one forward.

    levels      of noise
    text, seen  tokens of the text and of the pictures that are shown beside it
    """
    batch, _, height, width = shape
    patch, size = latent_format(family_named(model.family)).patch, DTYPES[model.dtype].itemsize
    tokens = (height // patch) * (width // patch) + text
    if seen and dict(model.options).get("references_once"):
        taken = model.config.step_bytes(batch, max(tokens, seen), levels, size, kept=seen)
    else:
        taken = model.config.step_bytes(batch, tokens + seen, levels, size)
    return int(taken) + _unpacked_at_once(model.stored, model.storage) * size


@lru_cache(maxsize=8)
def _unpacked_at_once(stored: Stored, storage: str) -> int:
    """Numbers of the largest matrix of a transformer that is unpacked when it is called."""
    return 0 if storage == UNPACKED else largest_unpacked(outline(stored.found(), storage)[0])


def decoding(vae: Vae, pixels: int) -> int:
    """Of an autoencoder, for so many pixels at once; encoding takes less."""
    config = autoencoder_config(vae.stored.found().parts["vae"], vae.space)
    return config.decode_bytes(pixels, DTYPES[vae.dtype].itemsize)
