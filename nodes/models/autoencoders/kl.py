"""The convolutional autoencoder of latent diffusion, as Flux.1, SD3 and AuraFlow use it.

Parameters have the names of the original files (`encoder.down.0.block.1.conv1.weight`). Decoder levels count from the
full resolution: `decoder.up.0` runs last. Knows no file, no picture format and no sampler.
Rombach et al. 2022, arXiv:2112.10752; CompVis/latent-diffusion `ldm/modules/diffusionmodules/model.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodes.models.autoencoders.tiles import Done, tiled


@dataclass(frozen=True, slots=True)
class Config:
    """The defaults are Flux.1's `ae.safetensors`.

    widths        channels per level, full resolution first; every level but the last halves the picture
    layers        residual blocks per level of the encoder (the decoder has one more)
    scale, shift  what the sampled latent is: (z − shift) · scale
    sample_size   pixels of a side the model was trained on: the size of a tile
    quant         1 × 1 convolutions around the latent (AuraFlow's SDXL autoencoder; not Flux)
    """

    channels: int = 3
    latent: int = 16
    widths: tuple[int, ...] = (128, 256, 512, 512)
    layers: int = 2
    groups: int = 32
    scale: float = 0.3611
    shift: float = 0.1159
    sample_size: int = 1024
    quant: bool = False

    @property
    def factor(self) -> int:
        """Pixels per latent cell, each way."""
        return int(2 ** (len(self.widths) - 1))

    def decode_bytes(self, pixels: int, itemsize: int) -> int:
        """What decoding so many pixels takes beside the weights, at the most: at full resolution, what goes into a
        convolution, its norm and what comes out. 1.5 GiB for a megapixel in bfloat16.
        """
        widths = getattr(self, "decoder_widths", ()) or self.widths
        return 3 * max(widths[:2]) * pixels * itemsize

    @classmethod
    def tiny(cls, **changes: object) -> Config:
        """Small enough for a test, nothing left out: a level that widens, one that does not."""
        small = cls(widths=(8, 16, 16), layers=1, groups=4, latent=4, sample_size=32)
        return replace(small, **changes)  # type: ignore[arg-type]


class ResnetBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))): (B, C, h, w) → (B, C', h, w). He et al. 2016, arXiv:1603.05027."""

    def __init__(self, given: int, width: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, given, eps=1e-6)
        self.conv1 = nn.Conv2d(given, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, width, eps=1e-6)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        if given != width:
            self.nin_shortcut = nn.Conv2d(given, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x) + h


class AttnBlock(nn.Module):
    """x + attention over all cells, one head: (B, C, h, w) → (B, C, h, w)."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=1e-6)
        self.q = nn.Conv2d(width, width, 1)
        self.k = nn.Conv2d(width, width, 1)
        self.v = nn.Conv2d(width, width, 1)
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (one(h).flatten(2).transpose(1, 2).unsqueeze(1) for one in (self.q, self.k, self.v))  # (B, 1, hw, C)
        mixed = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2).reshape(x.shape)
        return x + self.proj_out(mixed)


class Downsample(nn.Module):
    """Half the size. The picture is padded right and below only, as TensorFlow did."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Twice the size, nearest, then a convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """Residual blocks of one resolution, and the change to the next where there is one."""

    def __init__(self, given: int, width: int, layers: int, groups: int) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResnetBlock(given if first == 0 else width, width, groups) for first in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        if hasattr(self, "downsample"):
            return self.downsample(x)
        return self.upsample(x) if hasattr(self, "upsample") else x


class Middle(nn.Module):
    """Residual block, attention, residual block, at the lowest resolution."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(width, width, groups)
        self.attn_1 = AttnBlock(width, groups)
        self.block_2 = ResnetBlock(width, width, groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Encoder(nn.Module):
    """(B, 3, H, W) → mean and log-variance (B, 2·C, H/f, W/f)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths = config.widths
        self.conv_in = nn.Conv2d(config.channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            Level(given, width, config.layers, config.groups)
            for given, width in zip((widths[0], *widths), widths, strict=False)
        )
        for level, width in zip(self.down, widths[:-1], strict=False):
            level.downsample = Downsample(width)
        self.mid = Middle(widths[-1], config.groups)
        self.norm_out = nn.GroupNorm(config.groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 2 * config.latent, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    """(B, C, h, w) → (B, 3, h·f, w·f). `up` counts from the full resolution and runs from its end."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths = config.widths
        self.conv_in = nn.Conv2d(config.latent, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1], config.groups)
        self.up = nn.ModuleList(
            Level(given, width, config.layers + 1, config.groups)
            for given, width in zip((*widths[1:], widths[-1]), widths, strict=True)
        )
        for level, width in zip(self.up[1:], widths[1:], strict=True):
            level.upsample = Upsample(width)
        self.norm_out = nn.GroupNorm(config.groups, widths[0], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[0], config.channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Autoencoder(nn.Module):
    """Pictures in −1…1 to latents as the network gives them, and back; `scaled`/`unscaled` lead to what is sampled."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        if config.quant:
            self.quant_conv = nn.Conv2d(2 * config.latent, 2 * config.latent, 1)
            self.post_quant_conv = nn.Conv2d(config.latent, config.latent, 1)

    def moments(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, 2·C, h, w): mean, then log-variance as the network gives it."""
        h = self.encoder(x)
        return self.quant_conv(h) if self.config.quant else h

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) in −1…1 → mean and log-variance (B, C, h, w), the latter clamped to −30…20."""
        mean, logvar = self.moments(x).chunk(2, dim=1)
        return mean, logvar.clamp(-30.0, 20.0)

    def decode(self, z: Tensor) -> Tensor:
        """(B, C, h, w), unscaled → (B, 3, H, W), about −1…1."""
        return self.decoder(self.post_quant_conv(z) if self.config.quant else z)

    def decode_tiled(self, z: Tensor, tile: int = 0, overlap: float = 0.25, done: Done | None = None) -> Tensor:
        """As `decode`, in tiles of `tile` latent cells (0: what the model was trained on): memory of one tile."""
        size = tile or self.config.sample_size // self.config.factor
        return tiled(self.decode, z, size, size * self.config.factor, overlap, done)

    def encode_tiled(
        self, x: Tensor, tile: int = 0, overlap: float = 0.25, done: Done | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `encode`, in tiles of about `tile` pixels (0: what the model was trained on): memory of one tile."""
        size = max(1, (tile or self.config.sample_size) // self.config.factor) * self.config.factor
        mean, logvar = tiled(self.moments, x, size, size // self.config.factor, overlap, done).chunk(2, dim=1)
        return mean, logvar.clamp(-30.0, 20.0)

    def scaled(self, z: Tensor) -> Tensor:
        """The latent that is sampled: (z − shift) · scale."""
        return (z - self.config.shift) * self.config.scale

    def unscaled(self, latent: Tensor) -> Tensor:
        """What `decode` takes: latent / scale + shift."""
        return latent / self.config.scale + self.config.shift


def drawn(mean: Tensor, logvar: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A sample of the posterior: mean + exp(logvar/2) · ε, ε drawn on the generator's device. All (B, C, h, w)."""
    device = generator.device if generator is not None else mean.device
    noise = torch.randn(mean.shape, generator=generator, device=device, dtype=mean.dtype).to(mean.device)
    return mean + torch.exp(0.5 * logvar) * noise
