"""The starter of Flux.1's architecture."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nodes.models.flux1.config import Config
from nodes.models.flux1.text import TextEncoder
from nodes.models.flux1.transformer import Transformer, image_ids, text_ids
from nodes.models.starter.tokenizers import T5_LENGTH

NAME, TITLE = "flux1", "Flux.1"
CONFIG = Config(
    width=160,
    heads=5,
    double_blocks=2,
    single_blocks=4,
    text_width=128,
    pooled_width=96,
    axes=(8, 12, 12),
    guidance=False,
)
EARLY = ("img_in", "txt_in", "time_in.in_layer", "vector_in.in_layer", "final_layer.linear")
SIDE = 8  # tokens
LENGTH = T5_LENGTH


def fresh(seed: int) -> Transformer:
    """A transformer whose blocks and output begin at zero. Peebles & Xie 2022, arXiv:2212.09748 §3.2."""
    torch.manual_seed(seed)
    net = Transformer(CONFIG)
    for name, p in net.named_parameters():
        if "_mod." in name or ".modulation." in name or name.startswith("final_layer."):
            torch.nn.init.zeros_(p)
    return net


def velocity(net: Transformer, x: Tensor, t: Tensor, told: Mapping[str, Tensor]) -> Tensor:
    """(B, 64, 64) packed latents at times t (B,) → their velocity, same shape."""
    text, pooled = told["text"].to(x.dtype), told["pooled"].to(x.dtype)
    angles = net.angles(image_ids(SIDE, SIDE, x.device), text_ids(text.shape[1], x.device))
    return net(x, net.txt_in(text), net.modulation(net.vector(t, pooled)), angles)


def index() -> dict[str, object]:
    """What model_index.json says of its components."""
    return {
        "_class_name": "FluxPipeline",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "FluxTransformer2DModel"],
    }


def config(sizes: Config) -> dict[str, object]:
    """The transformer's config.json."""
    return {
        "_class_name": "FluxTransformer2DModel",
        "attention_head_dim": sizes.width // sizes.heads,
        "axes_dims_rope": list(sizes.axes),
        "guidance_embeds": sizes.guidance,
        "in_channels": sizes.in_channels,
        "joint_attention_dim": sizes.text_width,
        "num_attention_heads": sizes.heads,
        "num_layers": sizes.double_blocks,
        "num_single_layers": sizes.single_blocks,
        "patch_size": 1,
        "pooled_projection_dim": sizes.pooled_width,
    }


def encoders(text: TextEncoder) -> dict[str, nn.Module]:
    return {"text_encoder": text.clip, "text_encoder_2": text.t5}


def tokenizers(text: TextEncoder) -> dict[str, object]:
    return {"tokenizer": text.clip_tokenizer.inner, "tokenizer_2": text.t5_tokenizer.inner}
