"""Watching a sampler: progress after every step, and now and then a small picture of where it is going."""

from __future__ import annotations

import io
from importlib import import_module

import torch
from PIL import Image as Pillow
from torch import Tensor

from graph_runtime.context import Context
from nodes.models.autoencoders import preview
from nodes.models.family import family_named
from nodes.models.sampling.loop import Step
from nodes.recipes import Model

SIDE = 256  # pixels of a preview's longer side, at least
SEEN = 4  # pictures of a batch that a preview shows


class Watcher:
    """Tells a step's context what its sampler does."""

    def __init__(self, ctx: Context, model: Model, total: int) -> None:
        self.ctx, self.model = ctx, model
        self.colors = _colors(ctx, model)
        ctx.progress(0, total)

    def saw(self, step: Step) -> None:
        """Report a finished step. The picture is made later, if at all, from the newest estimate of the end."""
        clean, colors = step.clean[:SEEN], self.colors
        self.ctx.preview(lambda: small_picture(clean, colors))
        self.ctx.progress(step.index, step.total, f"σ {step.sigma:.3f}")


def small_picture(latents: Tensor, colors: preview.LatentColors | None) -> bytes:
    """A JPEG of latents (B, C, h, w) side by side."""
    shown = [(colors or preview.false_colors(one)).pixels(one) for one in latents.float().cpu()]
    picture = Pillow.fromarray(torch.cat(shown, dim=1).numpy())
    factor = max(1, -(-SIDE // max(shown[0].shape[:2])))
    picture = picture.resize((picture.width * factor, picture.height * factor), Pillow.Resampling.BICUBIC)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return stream.getvalue()


def _colors(ctx: Context, model: Model) -> preview.LatentColors | None:
    """What the channels of this model's latents look like; None when nobody knows."""
    if model.vae is not None:
        with ctx.use(model.vae) as autoencoder:
            return preview.fitted_to(autoencoder)
    rows = import_module(f"{family_named(model.family).package}.preview").COLOURS
    if len(rows) != model.config.latent_channels + 1:
        return None
    return preview.LatentColors(torch.tensor(rows[:-1]), torch.tensor(rows[-1]))
