"""T5's encoder as Flux.1 uses it: no attention mask, so padding is read like text and its length is part of the result.

Knows no tokenizer, file or family. Raffel et al. 2020, arXiv:1910.10683; Shazeer 2020, arXiv:2002.05202 (gated GELU).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import T5Config, T5EncoderModel

from nodes.models.layers.blocks import Iterated

XXL: dict[str, Any] = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "gated-gelu",
}
"""google/t5-v1_1-xxl, as T5Config names it: 4,762,310,656 parameters."""

FLOAT32_IN_FLOAT16 = (".wo.weight",)
"""Ends of the names that stay float32 when the rest is float16: these layers' outputs leave float16's range."""


def build(config: Mapping[str, Any] = XXL) -> T5EncoderModel:
    """The encoder on `meta`, without weights, in evaluation mode. `config` holds T5Config's sizes."""
    with torch.device("meta"):
        model = T5EncoderModel(T5Config(**config, is_encoder_decoder=False, use_cache=False)).eval()
    model.encoder.block = Iterated(model.encoder.block)
    return model


def encode(model: T5EncoderModel, ids: Tensor) -> Tensor:
    """Features of every token, padding included: ids (B, L) → (B, L, D) in the model's dtype."""
    with torch.no_grad():
        features: Tensor = model(input_ids=ids.to(model.device)).last_hidden_state
    return features.to(model.dtype)
