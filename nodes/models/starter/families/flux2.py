"""The starter of Flux.2's architecture: klein's, which reads with Qwen3 and has no distilled guidance.

The real ones have 32 channels in the autoencoder and 128 features in a token; this one shares the Flux.1 starter's
autoencoder, whose 16 make 64. Its statistics are that starter's scale and shift, so the latents are the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from nodes.models.flux2.config import Config
from nodes.models.flux2.text import TextEncoder
from nodes.models.flux2.tokens import APART, image_ids, pack, references_of, text_ids
from nodes.models.flux2.transformer import Transformer

NAME, TITLE = "flux2", "Flux.2"
CONFIG = Config(
    in_channels=64,
    out_channels=64,
    width=160,
    heads=5,
    double_blocks=2,
    single_blocks=4,
    text_width=384,
    axes=(4, 12, 12, 4),
    theta=100,
    guidance=False,
    mlp=480,
)
EARLY = ("img_in", "txt_in", "time_in.in_layer", "final_layer.linear")
SIDE = 8  # tokens
LENGTH = 44  # of a text: 3 tokens of the chat, at most 31 words and a full stop, 9 tokens of the chat
SHARP = 1.5  # what the norms of queries and keys begin at: to copy a picture, attention must find one token of 64


def fresh(seed: int) -> Transformer:
    """A transformer whose blocks and output begin at zero. Peebles & Xie 2022, arXiv:2212.09748 §3.2."""
    torch.manual_seed(seed)
    net = Transformer(CONFIG)
    for name, p in net.named_parameters():
        if "_modulation" in name or name.startswith("final_layer."):
            torch.nn.init.zeros_(p)
        elif name.endswith("norm.scale"):
            torch.nn.init.constant_(p, SHARP)
    return net


def velocity(net: Transformer, x: Tensor, t: Tensor, told: Mapping[str, Tensor]) -> Tensor:
    """(B, 64, 64) packed latents at times t (B,), shown the references in `told` or none → their velocity."""
    text, shown = told["text"].to(x.dtype), references_of(told)
    ids = [text_ids(text.shape[1], x.device), image_ids(SIDE, SIDE, 0, x.device)]
    ids += [image_ids(SIDE, SIDE, APART * (i + 1), x.device) for i in range(len(shown))]
    beside = net.img_in(torch.cat([pack(one.to(x.dtype)) for one in shown], dim=1)) if shown else None
    angles = torch.view_as_real(net.angles(torch.cat(ids)))  # in pairs, for a compiler
    return net(x, net.txt_in(text), net.modulation(net.vector(t)), angles, beside)


def index() -> dict[str, object]:
    """What model_index.json says of its components; distilled: the guidance of its teacher is built in."""
    return {
        "_class_name": "Flux2KleinPipeline",
        "_diffusers_version": "0.37.0",
        "is_distilled": True,
        "text_encoder": ["transformers", "Qwen3ForCausalLM"],
        "tokenizer": ["transformers", "Qwen2TokenizerFast"],
        "transformer": ["diffusers", "Flux2Transformer2DModel"],
    }


def config(sizes: Config) -> dict[str, object]:
    """The transformer's config.json."""
    return {
        "_class_name": "Flux2Transformer2DModel",
        "attention_head_dim": sizes.width // sizes.heads,
        "axes_dims_rope": list(sizes.axes),
        "eps": 1e-6,
        "guidance_embeds": sizes.guidance,
        "in_channels": sizes.in_channels,
        "joint_attention_dim": sizes.text_width,
        "mlp_ratio": sizes.mlp / sizes.width,
        "num_attention_heads": sizes.heads,
        "num_layers": sizes.double_blocks,
        "num_single_layers": sizes.single_blocks,
        "out_channels": None,
        "patch_size": 1,
        "rope_theta": sizes.theta,
        "timestep_guidance_channels": 256,
    }


def encoders(text: TextEncoder) -> dict[str, nn.Module]:
    """Qwen3 as transformers has it, its output layer tied to the embedding: nobody reads that, the class has it."""
    sizes = text.language.config
    given = {"vocab_size": sizes.vocabulary, "hidden_size": sizes.width, "intermediate_size": sizes.inner}
    given |= {"num_hidden_layers": sizes.layers, "num_attention_heads": sizes.heads, "head_dim": sizes.head}
    given |= {"num_key_value_heads": sizes.kv_heads, "rms_norm_eps": sizes.eps, "rope_theta": sizes.theta}
    full = Qwen3ForCausalLM(Qwen3Config(**given, max_position_embeddings=512, tie_word_embeddings=True))
    full.model.load_state_dict(text.language.state_dict())
    return {"text_encoder": full.requires_grad_(False)}


def tokenizers(text: TextEncoder) -> dict[str, object]:
    return {"tokenizer": text.words}
