"""Attention over (B, heads, L, d), and the way from packed projections to heads and back."""

import torch.nn.functional as F
from torch import Tensor


def heads_of(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B, L, 3·D), queries then keys then values → three (B, heads, L, D/heads)."""
    q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    return q, k, v


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(q kᵀ / √d + bias) v, heads joined again: (B, heads, L, d) → (B, L, heads·d)."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2)
