"""UMT5's encoder as AuraFlow uses it (Pile-T5): padding is masked, and its features are zeroes.

T5's with a table of relative positions in every block; read as plain T5, all but the first table are lost. Knows no
tokenizer, file or family. Chung et al. 2023, arXiv:2304.09151; Sutawika et al. 2024, blog.eleuther.ai/pile-t5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import UMT5Config, UMT5EncoderModel

from nodes.models.layers.blocks import Iterated

PILE_XL: dict[str, Any] = {
    "vocab_size": 32128,
    "d_model": 2048,
    "d_kv": 64,
    "d_ff": 5120,
    "num_layers": 24,
    "num_heads": 32,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "gated-gelu",
}
"""EleutherAI/pile-t5-xl, as UMT5Config names it: 1,223,550,976 parameters."""


def build(config: Mapping[str, Any] = PILE_XL) -> UMT5EncoderModel:
    """The encoder on `meta`, without weights, in evaluation mode. `config` holds UMT5Config's sizes."""
    with torch.device("meta"):
        model = UMT5EncoderModel(UMT5Config(**config, is_encoder_decoder=False, use_cache=False)).eval()
    model.encoder.block = Iterated(model.encoder.block)
    return model


def encode(model: UMT5EncoderModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Features of the tokens, zeroes for padding: ids and mask (B, L) → (B, L, D) in the model's dtype."""
    mask = mask.to(model.device)
    with torch.no_grad():
        features: Tensor = model(input_ids=ids.to(model.device), attention_mask=mask).last_hidden_state
    return (features * mask.unsqueeze(-1)).to(model.dtype)
