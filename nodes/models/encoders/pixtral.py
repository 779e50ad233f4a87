"""Pixtral's eye: a picture as tokens that Mistral 3 can read. Parameters have the names of transformers' model.

Knows no tokenizer, file or family. Agrawal et al. 2024, arXiv:2410.07073 §2.2; Mistral 3 merges 2 × 2 patches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodes.models.encoders.decoder import FeedForward, turned

MEAN = (0.48145466, 0.4578275, 0.40821073)
SPREAD = (0.26862954, 0.26130258, 0.27577711)
"""Of red, green and blue, by which pictures are normalised: CLIP's."""


@dataclass(frozen=True, slots=True)
class Config:
    """The defaults are Mistral-Small-3.1's.

    side    longest side of a picture in pixels;  patch  pixels of a patch's side;  merge  patches of a token's side
    text    width of the language model
    gelu    whether the patches' feed-forward networks gate with gelu in the place of silu
    """

    width: int = 1024
    inner: int = 4096
    layers: int = 24
    heads: int = 16
    patch: int = 14
    side: int = 1540
    merge: int = 2
    theta: float = 10000.0
    text: int = 5120
    text_eps: float = 1e-5
    gelu: bool = False

    @property
    def cell(self) -> int:
        """Pixels of a token's side."""
        return self.patch * self.merge

    @classmethod
    def tiny(cls, **changes: object) -> Config:
        """Small enough for a test, nothing left out."""
        small = cls(width=32, inner=48, layers=2, heads=2, patch=4, side=64, text=32)
        return replace(small, **changes)  # type: ignore[arg-type]

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tokens for a picture of that size: scaled down to `side`, sides rounded up to tokens."""
        ratio = max(height / self.side, width / self.side, 1.0)
        if ratio > 1:
            height, width = int(height / ratio), int(width / ratio)
        return (height - 1) // self.cell + 1, (width - 1) // self.cell + 1


class Attention(nn.Module):
    """Every patch attends to every other: (1, L, D) → (1, L, D)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            nn.Linear(config.width, config.width, bias=False) for _ in range(4)
        )

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = F.scaled_dot_product_attention(turned(q, *angles), turned(k, *angles), v)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class Gelu(FeedForward):
    """The same with gelu: W_down (gelu(W_gate x) · W_up x)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.gelu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """x ← x + attention(norm(x)),  then  x ← x + mlp(norm(x)): (1, L, D) → (1, L, D)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.width, 1e-5)
        self.attention = Attention(config)
        self.ffn_norm = nn.RMSNorm(config.width, 1e-5)
        self.feed_forward = (Gelu if config.gelu else FeedForward)(config.width, config.inner)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.attention(self.attention_norm(x), angles)
        return x + self.feed_forward(self.ffn_norm(x))


class Tower(nn.Module):
    """Patches of a picture, each having looked at all others: (1, 3, H, W) → (1, D, H/patch, W/patch)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.patch_conv = nn.Conv2d(3, config.width, config.patch, config.patch, bias=False)
        self.ln_pre = nn.RMSNorm(config.width, 1e-5)
        self.transformer = nn.ModuleDict({"layers": nn.ModuleList(Layer(config) for _ in range(config.layers))})

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_conv(pixels)
        rows, columns = patches.shape[2:]
        x = self.ln_pre(patches.flatten(2).transpose(1, 2))
        angles = self.angles(rows, columns, x)
        for layer in self.transformer["layers"].children():
            x = layer(x, angles)
        return x.transpose(1, 2).unflatten(2, (rows, columns))

    def angles(self, rows: int, columns: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines (rows·columns, d): even frequencies turn by row, odd ones by column."""
        head = self.config.width // self.config.heads
        half = torch.arange(0, head, 2, dtype=torch.float32, device=like.device)
        frequencies = 1.0 / self.config.theta ** (half / head)
        row, column = torch.meshgrid(
            torch.arange(rows, device=like.device), torch.arange(columns, device=like.device), indexing="ij"
        )
        by_row, by_column = row.reshape(-1, 1) * frequencies[0::2], column.reshape(-1, 1) * frequencies[1::2]
        turns = torch.cat((by_row, by_column, by_row, by_column), dim=-1)
        return turns.cos().to(like.dtype), turns.sin().to(like.dtype)


class Projector(nn.Module):
    """Patches as tokens of the language model: (1, D, h, w) → (h/merge · w/merge, text)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.merge = config.merge
        self.norm = nn.RMSNorm(config.width, config.text_eps)
        merging = nn.Linear(config.width * config.merge**2, config.width, bias=False)
        self.patch_merger = nn.ModuleDict({"merging_layer": merging})
        self.linear_1 = nn.Linear(config.width, config.text, bias=False)
        self.linear_2 = nn.Linear(config.text, config.text, bias=False)

    def forward(self, patches: Tensor) -> Tensor:
        x = self.norm(patches.transpose(1, 3)).transpose(1, 3)
        x = F.unfold(x, self.merge, stride=self.merge)[0].transpose(0, 1)
        x = self.patch_merger["merging_layer"](x)
        projected: Tensor = self.linear_2(F.gelu(self.linear_1(x)))
        return projected


def normalised(pixels: Tensor) -> Tensor:
    """A picture (H, W, 3) from 0 to 1, already of whole tokens → (1, 3, H, W) as the tower takes it."""
    return ((pixels - torch.tensor(MEAN)) / torch.tensor(SPREAD)).permute(2, 0, 1)[None]
