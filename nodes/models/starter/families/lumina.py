"""The starter of Lumina-Next's architecture. The real ones have 4 latent channels; this one shares Flux.1's 16."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from transformers import GemmaConfig, GemmaModel

from nodes.models.lumina.config import Config
from nodes.models.lumina.positions import frequencies, table
from nodes.models.lumina.text import TextEncoder
from nodes.models.lumina.transformer import Transformer
from nodes.models.starter.tokenizers import T5_LENGTH

NAME, TITLE = "lumina", "Lumina-Next"
CONFIG = Config(
    latent_channels=16,
    out_channels=32,  # diffusers drops the second half without asking whether there is one
    width=192,
    layers=6,
    heads=6,
    kv_heads=2,
    text_width=128,
    mlp=512,
    condition=192,
    side=16,
)
EARLY = ("x_embedder", "t_embedder.mlp.0", "pad_token", "final_layer.linear")
SIDE = 8  # tokens
LENGTH = T5_LENGTH
MULTIPLE = 256  # of the feed-forward's width, by which diffusers computes it: 8 · 192 / 3 = 512


def fresh(seed: int) -> Transformer:
    """A transformer whose blocks and output begin at zero; the gate of the text is open, or nothing would open it."""
    torch.manual_seed(seed)
    net = Transformer(CONFIG)
    for name, p in net.named_parameters():
        if "adaLN" in name or name.startswith("final_layer."):
            torch.nn.init.zeros_(p)
        if name.endswith(".gate"):
            torch.nn.init.ones_(p)
    return net


def velocity(net: Transformer, x: Tensor, t: Tensor, told: Mapping[str, Tensor]) -> Tensor:
    """(B, 64, 64) packed latents at times t (B,) → their velocity, same shape. The net's own goes the other way."""
    text, mask = told["text"].to(x.dtype), told["mask"].ne(0)
    head = net.config.width // net.config.heads
    mean = (text * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    condition = net.t_embedder(1 - t) + net.cap_embedder(mean.to(x.dtype))
    turns = table(SIDE, SIDE, frequencies(head // 2, 1.0, 0.0, SIDE, "none", 1.0).to(x.device))
    v = net(x, net.modulation(condition), turns, head**-0.5, net.read(text), mask[:, None, None])
    kept = v.unflatten(-1, (4, -1))[..., : net.config.latent_channels]
    return -kept.mT.flatten(-2)  # row, column, channel → channel, row, column


def index() -> dict[str, object]:
    """What model_index.json says of its components."""
    return {
        "_class_name": "LuminaPipeline",
        "text_encoder": ["transformers", "GemmaModel"],
        "tokenizer": ["transformers", "GemmaTokenizerFast"],
        "transformer": ["diffusers", "LuminaNextDiT2DModel"],
    }


def config(sizes: Config) -> dict[str, object]:
    """The transformer's config.json."""
    return {
        "_class_name": "LuminaNextDiT2DModel",
        "cross_attention_dim": sizes.text_width,
        "ffn_dim_multiplier": None,
        "hidden_size": sizes.width,
        "in_channels": sizes.latent_channels,
        "learn_sigma": sizes.out_channels != sizes.latent_channels,
        "multiple_of": MULTIPLE,
        "norm_eps": sizes.eps,
        "num_attention_heads": sizes.heads,
        "num_kv_heads": sizes.kv_heads,
        "num_layers": sizes.layers,
        "patch_size": 2,
        "qk_norm": sizes.qk_norm,
        "sample_size": sizes.side,
        "scaling_factor": 1.0,
    }


def encoders(text: TextEncoder) -> dict[str, nn.Module]:
    """Gemma with the last layer and norm that nobody reads; they are not trained and change nothing."""
    given = {**text.gemma.config.to_dict(), "num_hidden_layers": text.gemma.config.num_hidden_layers + 1}
    full = GemmaModel(GemmaConfig(**given)).requires_grad_(False)
    found = full.load_state_dict(text.gemma.state_dict(), strict=False)
    for name in found.missing_keys:
        full.get_parameter(name).zero_()
    return {"text_encoder": full}


def tokenizers(text: TextEncoder) -> dict[str, object]:
    return {"tokenizer": text.gemma_tokenizer.inner}
