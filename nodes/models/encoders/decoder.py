"""A language model as a text encoder: causal attention with shared keys, and what its inner layers made of the text.

Mistral 3, LLaMA 2 and Qwen3 are the same network, but for Qwen3's norms of queries and keys. Only as many layers are
built as are read; the final norm and the output layer only where they are needed. Parameters have the names of
transformers' models. Knows no tokenizer, file or family.
Touvron et al. 2023, arXiv:2302.13971; Ainslie et al. 2023, arXiv:2305.13245 (grouped queries); Yang et al. 2025,
arXiv:2505.09388 (Qwen3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodes.models.layers.blocks import Blocks


@dataclass(frozen=True, slots=True)
class Config:
    """The defaults are Mistral-Small-3.2's language model.

    layers      that are built
    head        features of a head, which need not be width / heads
    qk_norm     norms over the features of a head (Qwen3)
    final_norm  whether the norm after the last layer is there
    writes      whether the output layer is there; `tied` when it is the embedding
    interleaved  queries and keys are stored so that neighbours turn against each other, as llama.cpp keeps them
    """

    vocabulary: int = 131072
    width: int = 5120
    inner: int = 32768
    layers: int = 40
    heads: int = 32
    kv_heads: int = 8
    head: int = 128
    theta: float = 1e9
    eps: float = 1e-5
    qk_norm: bool = False
    final_norm: bool = True
    writes: bool = False
    tied: bool = False
    interleaved: bool = False

    @classmethod
    def tiny(cls, **changes: object) -> Config:
        """Small enough for a test, nothing left out: heads that share keys, a head that is not width / heads."""
        small = cls(vocabulary=64, width=32, inner=48, layers=4, heads=4, kv_heads=2, head=12)
        return replace(small, **changes)  # type: ignore[arg-type]


class Cache:
    """Keys and values of every layer, of the tokens read so far: (1, kv_heads, `most`, head) each."""

    def __init__(self, config: Config, most: int, like: Tensor) -> None:
        shape = (config.layers, 1, config.kv_heads, most, config.head)
        self.keys, self.values = like.new_empty(shape), like.new_empty(shape)
        self.length = 0

    def extended(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values up to the new ones, (1, kv_heads, L, head) each."""
        end = self.length + k.shape[2]
        self.keys[layer][:, :, self.length : end] = k
        self.values[layer][:, :, self.length : end] = v
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]


class Attention(nn.Module):
    """Each token attends to itself and those before it; several heads of queries share keys and values."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.head = config.head
        self.turned = turned_neighbours if config.interleaved else turned
        self.q_proj = nn.Linear(config.width, config.heads * config.head, bias=False)
        self.k_proj = nn.Linear(config.width, config.kv_heads * config.head, bias=False)
        self.v_proj = nn.Linear(config.width, config.kv_heads * config.head, bias=False)
        self.o_proj = nn.Linear(config.heads * config.head, config.width, bias=False)
        if config.qk_norm:
            self.q_norm = nn.RMSNorm(config.head, config.eps)
            self.k_norm = nn.RMSNorm(config.head, config.eps)

    def queries_keys_values(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, D) → q (B, heads, L, d), k and v (B, kv_heads, L, d), q and k turned."""
        q, k, v = (
            project(x).unflatten(-1, (-1, self.head)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        if hasattr(self, "q_norm"):
            q, k = self.q_norm(q), self.k_norm(k)
        return self.turned(q, *angles), self.turned(k, *angles), v

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """Mixed and projected: → (B, L, D). `mask` (L, keys) is true where a key may be seen."""
        mixed = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """W_down (silu(W_gate x) · W_up x): (…, D) → (…, D). Shazeer 2020, arXiv:2002.05202."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """x ← x + attention(norm(x)),  then  x ← x + mlp(norm(x)): (B, L, D) → (B, L, D)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = FeedForward(config.width, config.inner)
        self.input_layernorm = nn.RMSNorm(config.width, config.eps)
        self.post_attention_layernorm = nn.RMSNorm(config.width, config.eps)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], seen: int) -> Tensor:
        """Tokens from `seen` on attend to the first `seen` ones only, and nobody to them: filling at the end."""
        q, k, v = self.self_attn.queries_keys_values(self.input_layernorm(x), angles)
        length = x.shape[1]
        mask = torch.ones(length, seen, dtype=torch.bool, device=x.device).tril() if seen < length else None
        x = x + self.self_attn(q, k[:, :, :seen], v[:, :, :seen], mask, mask is None)
        return self.without_attention(x)

    def next(self, x: Tensor, angles: tuple[Tensor, Tensor], cache: Cache, number: int) -> Tensor:
        """The first tokens (L) or the next one (1) of a text that is being written: (1, L, D) → (1, L, D)."""
        q, k, v = self.self_attn.queries_keys_values(self.input_layernorm(x), angles)
        k, v = cache.extended(number, k, v)
        return self.without_attention(x + self.self_attn(q, k, v, None, x.shape[1] > 1))

    def without_attention(self, x: Tensor) -> Tensor:
        """The second half alone: what a token becomes that may attend to nothing."""
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """A language model of `config.layers` layers."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocabulary, config.width)
        self.layers = Blocks(Layer(config) for _ in range(config.layers))
        if config.final_norm:
            self.norm = nn.RMSNorm(config.width, config.eps)
        if config.writes:
            self.lm_head = nn.Linear(config.width, config.vocabulary, bias=False)
            if config.tied:
                self.lm_head.weight = self.embed_tokens.weight

    def hidden(self, ids: Tensor, taps: Sequence[int], start: int = 0, seen: int = 0) -> Tensor:
        """What the layers of these numbers made of the text, side by side.

        ids    (L,)   tokens, at positions start, start + 1, …
        taps          0 is the embeddings, k the output of layer k; the last one's is normed where the norm is there
        seen          how many of the tokens may be attended to; the others are filling. 0 is all
        →      (L, taps·D)
        """
        x = self.embed_tokens(ids.to(self.embed_tokens.weight.device))[None]
        angles = self.angles(torch.arange(start, start + len(ids), device=x.device), x.dtype)
        return self._tapped(x, taps, lambda layer, x: layer(x, angles, seen or len(ids)))

    def alone(self, token: int, taps: Sequence[int]) -> Tensor:
        """As `hidden`, for a token that may attend to nothing, not even itself: (taps·D,).

        A softmax over no keys is taken as zero, as `scaled_dot_product_attention` does with a mask that is all false.
        """
        x = self.embed_tokens(torch.tensor([token], device=self.embed_tokens.weight.device))[None]
        return self._tapped(x, taps, lambda layer, x: layer.without_attention(x))[0]

    def _tapped(self, x: Tensor, taps: Sequence[int], step: object) -> Tensor:
        states = {0: x}
        for number, layer in enumerate(islice(self.layers.in_order(), max(taps)), start=1):
            x = step(layer, x)  # type: ignore[operator]
            states[number] = x
            if number not in taps:
                del states[number]
        last = self.config.layers
        if last in states and self.config.final_norm:
            states[last] = self.norm(states[last])
        return torch.cat([states[tap] for tap in taps], dim=-1)[0]

    def scores(self, x: Tensor, cache: Cache) -> Tensor:
        """How likely each token is to come next, unnormalised: embedded tokens (1, L, D) → (V,), float32."""
        angles = self.angles(torch.arange(cache.length, cache.length + x.shape[1], device=x.device), x.dtype)
        length = x.shape[1]
        for number, layer in enumerate(self.layers.in_order()):
            x = layer.next(x, angles, cache, number)
        cache.length += length
        scores: Tensor = self.lm_head(self.norm(x[:, -1:]))[0, 0]
        return scores.float()

    def angles(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and sines (L, d) of each feature's turn, both halves of a head alike; angles in float32."""
        half = torch.arange(0, self.config.head, 2, dtype=torch.float32, device=positions.device)
        turns = positions[:, None].float() * (1.0 / self.config.theta ** (half / self.config.head))
        turns = torch.cat((turns, turns), dim=-1)
        return turns.cos().to(dtype), turns.sin().to(dtype)


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn feature i against feature i + d/2: (…, L, d), cos and sin (L, d). Su et al. 2021, arXiv:2104.09864."""
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-high, low), dim=-1) * sin


def turned_neighbours(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The same for features 2i against 2i + 1: scores come out equal when queries and keys are both stored so."""
    half = x.shape[-1] // 2
    cos, sin = cos[..., :half].repeat_interleave(2, -1), sin[..., :half].repeat_interleave(2, -1)
    even, odd = x[..., 0::2], x[..., 1::2]
    return x * cos + torch.stack((-odd, even), dim=-1).flatten(-2) * sin


def chosen(scores: Tensor, temperature: float, generator: torch.Generator, most: int = 50) -> int:
    """One token drawn from the `most` likeliest: scores (V,), drawn on the generator's device.

    Temperature first, then the cut, as transformers' generate does by default. Fan et al. 2018, arXiv:1805.04833.
    """
    scores = scores.to(generator.device) / temperature
    least = scores.topk(min(most, len(scores))).values[-1]
    shares = torch.softmax(scores.masked_fill(scores < least, -torch.inf), dim=-1)
    return int(torch.multinomial(shares[None], 1, generator=generator))
