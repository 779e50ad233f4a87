"""The starter of AuraFlow's architecture. The real ones have 4 latent channels; this one shares Flux.1's 16."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodes.models.auraflow.config import Config
from nodes.models.auraflow.text import TextEncoder
from nodes.models.auraflow.transformer import Transformer, shortened
from nodes.models.layers.embed import sinusoid
from nodes.models.starter.tokenizers import T5_LENGTH

NAME, TITLE = "auraflow", "AuraFlow"
CONFIG = Config(
    latent_channels=16,
    width=160,
    heads=5,
    double_blocks=1,
    single_blocks=5,
    text_width=128,
    mlp=512,
    grid=8,
    registers=8,
)
EARLY = ("init_x", "cond_seq", "t_embedder.mlp.0", "register", "positional", "final_linear")
SIDE = 8  # tokens
LENGTH = T5_LENGTH


def fresh(seed: int) -> Transformer:
    """A transformer whose blocks and output begin at zero, and whose positions know rows from columns."""
    torch.manual_seed(seed)
    net = Transformer(CONFIG)
    for name, p in net.named_parameters():
        if ".mod" in name or name.startswith(("modF", "final_linear")):
            torch.nn.init.zeros_(p)
    with torch.no_grad():
        places = torch.cartesian_prod(*[torch.arange(CONFIG.grid) / CONFIG.grid] * 2)
        features = [sinusoid(axis, CONFIG.width // 2, 2 * torch.pi) for axis in places.mT]
        net.positional_encoding.copy_(0.3 * torch.cat(features, dim=-1))
    return net


def velocity(net: Transformer, x: Tensor, t: Tensor, told: Mapping[str, Tensor]) -> Tensor:
    """(B, 64, 64) packed latents at times t (B,) → their velocity, same shape."""
    text, bias = shortened(told["text"], x.shape[1])
    if bias is not None:
        bias = F.pad(bias, (net.config.registers, 0)).to(x.dtype)
    modulation = net.modulation(net.t_embedder(t))
    v = net(x, net.tokens(text.to(x.dtype)), net.places(SIDE, SIDE), modulation, bias)
    return v.unflatten(-1, (4, -1)).mT.flatten(-2)  # row, column, channel → channel, row, column


def index() -> dict[str, object]:
    """What model_index.json says of its components."""
    return {
        "_class_name": "AuraFlowPipeline",
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "LlamaTokenizerFast"],
        "transformer": ["diffusers", "AuraFlowTransformer2DModel"],
    }


def config(sizes: Config) -> dict[str, object]:
    """The transformer's config.json."""
    return {
        "_class_name": "AuraFlowTransformer2DModel",
        "attention_head_dim": sizes.width // sizes.heads,
        "caption_projection_dim": sizes.width,
        "in_channels": sizes.latent_channels,
        "joint_attention_dim": sizes.text_width,
        "num_attention_heads": sizes.heads,
        "num_mmdit_layers": sizes.double_blocks,
        "num_single_dit_layers": sizes.single_blocks,
        "out_channels": sizes.latent_channels,
        "patch_size": 2,
        "pos_embed_max_size": sizes.grid**2,
        "sample_size": 2 * sizes.grid,
    }


def encoders(text: TextEncoder) -> dict[str, nn.Module]:
    return {"text_encoder": text.umt5}


def tokenizers(text: TextEncoder) -> dict[str, object]:
    return {"tokenizer": text.umt5_tokenizer.inner}
