"""Attention over (B, heads, L, d), and the way from packed projections to heads and back."""

import torch.nn.functional as F
from torch import Tensor


def heads_of(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B, L, 3·D), queries then keys then values → three (B, heads, L, D/heads)."""
    q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    return q, k, v


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, scale: float | None = None) -> Tensor:
    """softmax(q kᵀ · scale + bias) v, heads joined again: (B, heads, L, d) → (B, L, heads·d).

    k and v may have fewer heads, each for as many neighbouring ones of q (Ainslie et al. 2023, arXiv:2305.13245). The
    scale is 1 / √d when not given; a bias of truth values is a mask.
    """
    shared = q.shape[1] != k.shape[1]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale, enable_gqa=shared)
    return mixed.transpose(1, 2).flatten(2)
