"""The blocks of both Luminas, and what follows the last one: Lumina-Next's, and Lumina-T2I's before it.

The attention is one and the same: the image's queries ask the image and, apart from it, the text, whose answer is gated
head by head. What is around it is not. Lumina-Next has a norm before and one behind every part, scales, and gates that
a tanh holds inside −1…1. Lumina-T2I (Flag-DiT) has a norm before each part alone; shifts, scales and gates as any DiT.

Zhuo et al. 2024, arXiv:2406.18583 §2; Gao et al. 2024, arXiv:2405.05945 §2; Alpha-VLLM/Lumina-T2X
`lumina_next_t2i/models/model.py` and `lumina_t2i/models/model.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodes.models.layers.attention import attend
from nodes.models.layers.modulation import gated
from nodes.models.layers.norm import plain_norm
from nodes.models.layers.rope import rotate
from nodes.models.lumina.config import Config


class Read(NamedTuple):
    """The text as one block reads it: keys and values (B, kv heads, L, d)."""

    k: Tensor
    v: Tensor


class Attention(nn.Module):
    """Attention of the image to itself and to the text, with the same queries."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, head = config.width, config.width // config.heads
        self.head, shared = head, config.kv_heads * head
        self.wq = nn.Linear(width, width, bias=False)
        self.wk = nn.Linear(width, shared, bias=False)
        self.wv = nn.Linear(width, shared, bias=False)
        self.wk_y = nn.Linear(config.text_width, shared, bias=False)
        self.wv_y = nn.Linear(config.text_width, shared, bias=False)
        self.wo = nn.Linear(width, width, bias=False)
        self.gate = nn.Parameter(torch.zeros(config.heads))
        # Over all heads together, with weight and bias.
        self.q_norm = nn.LayerNorm(width, eps=1e-5) if config.qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(shared, eps=1e-5) if config.qk_norm else nn.Identity()
        self.ky_norm = nn.LayerNorm(shared, eps=1e-5) if config.qk_norm else nn.Identity()

    def heads(self, x: Tensor) -> Tensor:
        """(B, L, heads·d) → (B, heads, L, d)."""
        return x.unflatten(-1, (-1, self.head)).transpose(1, 2)

    def read(self, text: Tensor) -> Read:
        """Keys and values of the text, normed already: (B, L, Dt)."""
        return Read(self.heads(self.ky_norm(self.wk_y(text))), self.heads(self.wv_y(text)))

    def forward(self, x: Tensor, turns: Tensor, scale: float, text: Read, mask: Tensor | None) -> Tensor:
        """(B, N, D) → (B, N, D); scale of attention to the image, mask (B, 1, 1, L) of the text."""
        q = rotate(self.heads(self.q_norm(self.wq(x))), turns)
        k = rotate(self.heads(self.k_norm(self.wk(x))), turns)
        here = attend(q, k, self.heads(self.wv(x)), scale=scale)
        said = attend(q, text.k, text.v, mask)
        gate = self.gate.tanh().repeat_interleave(self.head)  # a head's features lie together
        return self.wo(torch.addcmul(here, said, gate))


class FeedForward(nn.Module):
    """W₂ (silu(W₁ x) · W₃ x): (B, L, D) → (B, L, D). Shazeer 2020, arXiv:2002.05202."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, inner, bias=False)
        self.w2 = nn.Linear(inner, width, bias=False)
        self.w3 = nn.Linear(width, inner, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    """One block of Lumina-Next, a norm before and behind each part.

    x       (B, N, D),  mod (B, 4·D)        from `Transformer.modulation`
    turns   (N, d/2)                        of each position
    text    this block's keys and values,  mask (B, 1, 1, L) of tokens, or None for all
    →       (B, N, D)

    x ← x + tanh(gate₁) · norm(attention(norm(x)(1 + scale₁))),  x ← x + tanh(gate₂) · norm(mlp(norm(x)(1 + scale₂)))
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config.width, config.mlp)
        self.attention_norm1 = nn.RMSNorm(config.width, eps=config.eps)
        self.attention_norm2 = nn.RMSNorm(config.width, eps=config.eps)
        self.attention_y_norm = nn.RMSNorm(config.text_width, eps=config.eps)
        self.ffn_norm1 = nn.RMSNorm(config.width, eps=config.eps)
        self.ffn_norm2 = nn.RMSNorm(config.width, eps=config.eps)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.condition, 4 * config.width))

    def modulation(self, c: Tensor) -> Tensor:
        """(…, condition) → (…, 4·D): scale₁, tanh gate₁, scale₂, tanh gate₂."""
        scale1, gate1, scale2, gate2 = self.adaLN_modulation(c).chunk(4, dim=-1)
        return torch.cat((1 + scale1, gate1.tanh(), 1 + scale2, gate2.tanh()), dim=-1)

    def read(self, text: Tensor) -> Read:
        return self.attention.read(self.attention_y_norm(text))

    def forward(self, x: Tensor, mod: Tensor, turns: Tensor, scale: float, text: Read, mask: Tensor | None) -> Tensor:
        scale1, gate1, scale2, gate2 = mod.unsqueeze(1).chunk(4, dim=-1)
        mixed = self.attention(self.attention_norm1(x) * scale1, turns, scale, text, mask)
        x = gated(x, gate1, self.attention_norm2(mixed))
        return gated(x, gate2, self.ffn_norm2(self.feed_forward(self.ffn_norm1(x) * scale2)))


class FlagBlock(nn.Module):
    """One block of Lumina-T2I; the arguments are those of `Block`, but for mod (B, 6·D).

    x ← x + gate₁ · attention(norm(x)(1 + scale₁) + shift₁),  x ← x + gate₂ · mlp(norm(x)(1 + scale₂) + shift₂)
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config.width, config.mlp)
        self.attention_norm = nn.RMSNorm(config.width, eps=config.eps)
        self.attention_y_norm = nn.RMSNorm(config.text_width, eps=config.eps)
        self.ffn_norm = nn.RMSNorm(config.width, eps=config.eps)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.condition, 6 * config.width))

    def modulation(self, c: Tensor) -> Tensor:
        """(…, condition) → (…, 6·D): shift₁, 1 + scale₁, gate₁, shift₂, 1 + scale₂, gate₂."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).chunk(6, dim=-1)
        return torch.cat((shift1, 1 + scale1, gate1, shift2, 1 + scale2, gate2), dim=-1)

    def read(self, text: Tensor) -> Read:
        return self.attention.read(self.attention_y_norm(text))

    def forward(self, x: Tensor, mod: Tensor, turns: Tensor, scale: float, text: Read, mask: Tensor | None) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = mod.unsqueeze(1).chunk(6, dim=-1)
        h = torch.addcmul(shift1, self.attention_norm(x), scale1)
        x = gated(x, gate1, self.attention(h, turns, scale, text, mask))
        return gated(x, gate2, self.feed_forward(torch.addcmul(shift2, self.ffn_norm(x), scale2)))


class FinalLayer(nn.Module):
    """norm(x)(1 + scale), then to the features of a token: (B, N, D), (B, D) → (B, N, 4·C)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.linear = nn.Linear(config.width, 4 * config.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.condition, config.width))

    def modulation(self, c: Tensor) -> Tensor:
        """(…, condition) → (…, D): 1 + scale."""
        return 1 + self.adaLN_modulation(c)

    def forward(self, x: Tensor, mod: Tensor) -> Tensor:
        return self.linear(plain_norm(x) * mod.unsqueeze(1))


class FlagFinalLayer(nn.Module):
    """norm(x)(1 + scale) + shift, then to the features of a token: (B, N, D), (B, 2·D) → (B, N, 4·C)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.linear = nn.Linear(config.width, 4 * config.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.condition, 2 * config.width))

    def modulation(self, c: Tensor) -> Tensor:
        """(…, condition) → (…, 2·D): shift, 1 + scale."""
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=-1)
        return torch.cat((shift, 1 + scale), dim=-1)

    def forward(self, x: Tensor, mod: Tensor) -> Tensor:
        shift, scale = mod.unsqueeze(1).chunk(2, dim=-1)
        return self.linear(torch.addcmul(shift, plain_norm(x), scale))
