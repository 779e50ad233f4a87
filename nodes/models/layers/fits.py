"""What would fail inside a network with a message about matrices, found before and said in words.

A check is (whether it is wrong, what came, what to do); `refuse` says all that are wrong at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from graph_runtime.problem import Problem, Refused

Check = tuple[bool, str, str]


def refuse(family: str, *checks: Check) -> None:
    """Raise Refused with every check that is wrong."""
    problems = [Problem("does-not-fit", family, what, fix) for wrong, what, fix in checks if wrong]
    if problems:
        raise Refused(problems)


def whole_patches(shape: Sequence[int]) -> Check:
    """Latents (B, C, h, w) divide into patches of 2 × 2 cells."""
    *_, height, width = shape
    return (
        bool(height % 2 or width % 2),
        f"a latent of {height} × {width} cells does not divide into 2 × 2 patches.",
        "Use a height and width that are multiples of 16 pixels.",
    )


def own_channels(shape: Sequence[int], channels: int) -> Check:
    """Latents (B, C, h, w) have as many channels as the model paints in."""
    return (
        shape[1] != channels,
        f"the latent has {shape[1]} channels, this model takes {channels}.",
        "Make the latent with the autoencoder of this model.",
    )


def fills_batch(text: Tensor, shape: Sequence[int]) -> Check:
    """Texts (P, L, Dt), each as often, fill a batch of latents (B, C, h, w)."""
    return (
        bool(shape[0] % max(len(text), 1)) or not len(text),
        f"{len(text)} texts cannot fill a batch of {shape[0]}.",
        "Give one prompt, or as many as divide the batch.",
    )


def own_text(text: Tensor, width: int, encoder: str = "") -> Check:
    """Texts (P, L, Dt) are as wide as the model reads them; `encoder` is what else there is to say of it."""
    return (
        text.shape[-1] != width,
        f"the text is {text.shape[-1]} wide, this model takes {width}.",
        f"Encode the prompt with the text encoder of this model{encoder}.",
    )
