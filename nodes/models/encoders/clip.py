"""CLIP's text encoder as Flux.1 uses it: one vector for the whole text, taken at the first end-of-text.

Knows no tokenizer, file or family. Radford et al. 2021, arXiv:2103.00020.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

LARGE: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
"""openai/clip-vit-large-patch14, as CLIPTextConfig names it: 123,060,480 parameters."""


def build(config: Mapping[str, Any] = LARGE) -> CLIPTextModel:
    """The encoder on `meta`, without weights, in evaluation mode. `config` holds CLIPTextConfig's sizes."""
    ids = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}  # as published; `pooled` does not read them
    with torch.device("meta"):
        model = CLIPTextModel(CLIPTextConfig(**config, **ids)).eval()
    # Not a weight: no file need have it.
    model.embeddings.position_ids = torch.arange(int(config["max_position_embeddings"]))[None]
    return model


def pooled(model: CLIPTextModel, ids: Tensor, end: int) -> Tensor:
    """The final layer norm's output at the first id equal to `end`, unprojected: ids (B, L) → (B, D).

    `end` is the tokenizer's: published configs say 2, which no text contains; transformers then takes the largest id,
    and CLIP's largest is its end-of-text.
    """
    with torch.no_grad():
        features: Tensor = model(input_ids=ids.to(model.device)).last_hidden_state
    first = (ids == end).int().argmax(dim=-1).to(features.device)
    return features[torch.arange(len(ids), device=features.device), first].to(model.dtype)
