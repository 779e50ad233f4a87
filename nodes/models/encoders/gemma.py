"""Gemma as Lumina reads it: the features before the last layer, and nothing of what padding says.

The last layer and the norm behind it are never built or loaded. Knows no tokenizer, file or family.
Gemma Team 2024, arXiv:2403.08295.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GemmaConfig, GemmaModel

from nodes.models.layers.blocks import Iterated

TWO_B: dict[str, Any] = {
    "vocab_size": 256000,
    "hidden_size": 2048,
    "intermediate_size": 16384,
    "num_hidden_layers": 17,
    "num_attention_heads": 8,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "rms_norm_eps": 1e-6,
}
"""google/gemma-2b without its 18th layer, as GemmaConfig names it: of 2,506,172,416 parameters 2,396,065,792."""


def build(config: Mapping[str, Any] = TWO_B) -> GemmaModel:
    """The encoder on `meta`, without weights and the last norm, in evaluation mode. `config` has GemmaConfig's names.

    What is no weight is computed here: the angles of positions, and what embeddings are multiplied by.
    """
    sizes = GemmaConfig(**config, use_cache=False)
    with torch.device("meta"):
        model = GemmaModel(sizes).eval()
    model.norm = nn.Identity()
    model.layers = Iterated(model.layers)
    model.rotary_emb = type(model.rotary_emb)(sizes)
    if hasattr(model.embed_tokens, "embed_scale"):  # older transformers multiply without one
        model.embed_tokens.embed_scale = torch.tensor(model.embed_tokens.scalar_embed_scale)
    return model


def encode(model: GemmaModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Features of the tokens, zeroes for padding: ids and mask (B, L) → (B, L, D) in the model's dtype."""
    mask = mask.to(model.device)
    with torch.no_grad():
        features: Tensor = model(input_ids=ids.to(model.device), attention_mask=mask).last_hidden_state
    return (features * mask.unsqueeze(-1)).to(model.dtype)
