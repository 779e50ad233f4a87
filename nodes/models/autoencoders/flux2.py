"""Flux.2's autoencoder: latent diffusion's, whose latents are sampled as 2 × 2 cells in one, each channel normalised.

The normaliser is a batch norm without weights: only its running statistics count, and they come with the file. Here the
latent has the form that is sampled throughout, (B, 4·C, h, w) with one cell per 16 × 16 pixels, so that tiles, previews
and sampling need not know of it. Knows no file, no picture format and no sampler.
black-forest-labs/flux2 `src/flux2/autoencoder.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nodes.models.autoencoders import kl
from nodes.models.autoencoders.tiles import Done, tiled

PATCH = 2
EPSILON = 1e-4
"""Added to the running variance; the batch norm's own, not that of the other norms."""


@dataclass(frozen=True, slots=True)
class Config(kl.Config):
    """The defaults are `ae.safetensors` of FLUX.2; the fields are those of the ordinary autoencoder, but

    latent          channels of what is sampled: four times those of the convolutions
    decoder_widths  channels per level of the decoder, where they differ from the encoder's ("small decoder"); () if not
    """

    latent: int = 128
    quant: bool = True
    scale: float = 1.0
    shift: float = 0.0
    decoder_widths: tuple[int, ...] = ()

    @property
    def factor(self) -> int:
        """Pixels per latent cell, each way."""
        return int(PATCH * 2 ** (len(self.widths) - 1))

    @classmethod
    def tiny(cls, **changes: object) -> Config:
        """Small enough for a test, nothing left out: a level that widens, one that does not, another decoder."""
        small = cls(widths=(8, 16, 16), layers=1, groups=4, latent=16, sample_size=32, decoder_widths=(8, 8, 16))
        return replace(small, **changes)  # type: ignore[arg-type]


class Statistics(nn.Module):
    """Mean and variance of each channel, as a batch norm without weights keeps them: (C,) each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def mean_and_spread(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (C, 1, 1), where and as `like` is."""
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        spread = torch.sqrt(variance + EPSILON)
        return mean.to(like)[:, None, None], spread.to(like)[:, None, None]


class Autoencoder(kl.Autoencoder):
    """Pictures in −1…1 to latents of 2 × 2 cells in one, and back; `scaled`/`unscaled` lead to what is sampled."""

    def __init__(self, config: Config) -> None:
        nn.Module.__init__(self)
        self.config = config
        cells = config.latent // PATCH**2
        plain = kl.Config(config.channels, cells, config.widths, config.layers, config.groups, quant=config.quant)
        self.encoder = kl.Encoder(plain)
        self.decoder = kl.Decoder(replace(plain, widths=config.decoder_widths or config.widths))
        if config.quant:
            self.quant_conv = nn.Conv2d(2 * cells, 2 * cells, 1)
            self.post_quant_conv = nn.Conv2d(cells, cells, 1)
        self.bn = Statistics(config.latent)

    def moments(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, 2·C, h, w): mean, then log-variance as the network gives it."""
        return patchify(super().moments(x))

    def decode(self, z: Tensor) -> Tensor:
        """(B, C, h, w), unscaled → (B, 3, H, W), about −1…1."""
        return super().decode(unpatchify(z))

    def encode_tiled(
        self, x: Tensor, tile: int = 0, overlap: float = 0.25, done: Done | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `encode`, in tiles of about `tile` pixels; seams are blended before 2 × 2 cells become one."""
        size = max(1, (tile or self.config.sample_size) // self.config.factor) * self.config.factor
        moments = tiled(super().moments, x, size, size * PATCH // self.config.factor, overlap, done)
        mean, logvar = patchify(moments).chunk(2, dim=1)
        return mean, logvar.clamp(-30.0, 20.0)

    def scaled(self, z: Tensor) -> Tensor:
        """The latent that is sampled: (z − mean) / √(variance + ε), channel by channel."""
        mean, spread = self.bn.mean_and_spread(z)
        return (z - mean) / spread

    def unscaled(self, latent: Tensor) -> Tensor:
        """What `decode` takes: latent · √(variance + ε) + mean."""
        mean, spread = self.bn.mean_and_spread(latent)
        return latent * spread + mean


def patchify(z: Tensor) -> Tensor:
    """2 × 2 cells become one: (B, C, 2h, 2w) → (B, 4·C, h, w), channels in the order channel, row, column."""
    b, c, h, w = z.shape
    cells = z.view(b, c, h // PATCH, PATCH, w // PATCH, PATCH).permute(0, 1, 3, 5, 2, 4)
    return cells.reshape(b, c * PATCH**2, h // PATCH, w // PATCH)


def unpatchify(z: Tensor) -> Tensor:
    """The way back: (B, 4·C, h, w) → (B, C, 2h, 2w)."""
    b, c, h, w = z.shape
    cells = z.view(b, c // PATCH**2, PATCH, PATCH, h, w).permute(0, 1, 4, 2, 5, 3)
    return cells.reshape(b, c // PATCH**2, h * PATCH, w * PATCH)
