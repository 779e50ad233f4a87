"""The oracle: tiny Flux.1 pipelines of diffusers, saved as a folder, and ours loaded from that folder.

Every weight is drawn by its name, norms are not 1 and biases not 0, so that a tensor in another's place shows.
"""

from __future__ import annotations

import math
import random
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

from nodes.models.family import find
from nodes.models.flux1.text import TextEncoder
from nodes.models.load import load_autoencoder, load_text_encoder, load_transformer
from nodes.models.sampling.schedule import Schedule

WORDS = (
    "an astronaut hatches from egg on the moon oil painting of two sailing boats warm palette blurry low quality "
    "watermark cropped out frame a red fox sits beside cold mountain stream holding sign that says hello world"
)
DEV = {"shift": 3.0, "use_dynamic_shifting": True}


@dataclass
class Pair:
    """The same weights twice: diffusers' pipeline, and our parts loaded from the folder it saved."""

    pipe: Any
    folder: Path
    net: Any
    text: Any
    vae: Any
    schedule: Schedule


def relative(ours: Tensor, theirs: Tensor) -> float:
    """‖ours − theirs‖ / ‖theirs‖, computed in float64; shapes must agree."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm())


@torch.no_grad()
def randomise(module: nn.Module, seed: int) -> Any:
    """Draw every parameter from a generator keyed by seed, class and name."""
    for name, p in module.named_parameters():
        key = zlib.crc32(f"{seed}/{type(module).__name__}/{name}".encode())
        draw = torch.randn(p.shape, generator=torch.Generator().manual_seed(key), dtype=torch.float64)
        if name.endswith("bias") and "relative" not in name:
            p.copy_(draw * 0.05)
        elif p.ndim == 1:
            p.copy_(1 + draw * 0.1)
        elif "relative_attention_bias" in name:
            p.copy_(draw * 0.7)
        elif "shared" in name or "embed_tokens" in name:
            p.copy_(draw)
        elif "embedding" in name and "time" not in name:
            p.copy_(draw * 0.2)
        else:
            gain = 0.35 if name.endswith("SelfAttention.q.weight") else 0.5 if "norm" in name else 1.0
            p.copy_(draw * gain / math.sqrt(p[0].numel()))
    return module.eval().requires_grad_(False)


def tokenizers() -> tuple[CLIPTokenizer, T5TokenizerFast]:
    """Letters and a few words: enough to cut, to pad and to differ."""
    words = sorted(set(WORDS.split()))
    letters = sorted(set("abcdefghijklmnopqrstuvwxyz0123456789,.!?:;'-()"))
    merges = [("t", "h"), ("th", "e</w>"), ("o", "n</w>"), ("a", "n</w>"), ("i", "n"), ("in", "g</w>"), ("e", "r")]
    pieces = [*letters, *(c + "</w>" for c in letters), *(a + b for a, b in merges), "<|startoftext|>", "<|endoftext|>"]
    bpe = CLIPTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges, model_max_length=77)
    scored = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -4.0)]
    scored += [(f"▁{word}", -3.0 - len(word) / 10) for word in words] + [(c, -6.0) for c in letters]
    unigram = T5TokenizerFast(vocab=scored, extra_ids=0, model_max_length=512)
    return bpe, unigram


def flux(seed: int, guidance: bool, vary: bool, text: int, pooled: int, wide: bool = False) -> FluxTransformer2DModel:
    """A tiny transformer; `vary` draws depths, heads and axes from the seed, `wide` has the real axes."""
    r = random.Random(seed * 1000003 + 11)
    axes = r.choice([(4, 6, 6), (8, 4, 4), (8, 12, 12), (2, 6, 8)]) if vary else (16, 56, 56) if wide else (4, 6, 6)
    double, single, heads = (r.choice([1, 2, 3]), r.choice([1, 2, 3]), r.choice([2, 3, 4])) if vary else (2, 3, 4)
    double, single, heads = (1, 1, 2) if wide else (double, single, heads)
    model = FluxTransformer2DModel(
        patch_size=1, in_channels=64, num_layers=double, num_single_layers=single, attention_head_dim=sum(axes),
        num_attention_heads=heads, joint_attention_dim=text, pooled_projection_dim=pooled, guidance_embeds=guidance,
        axes_dims_rope=axes,
    )  # fmt: skip
    return randomise(model, seed)


def autoencoder(seed: int, layers: int = 1) -> AutoencoderKL:
    """Flux.1's autoencoder, narrow."""
    widths = (32, 32, 64, 64)
    model = AutoencoderKL(
        block_out_channels=widths, down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4, layers_per_block=layers, latent_channels=16, norm_num_groups=32,
        sample_size=64, scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip
    return randomise(model, seed)


def pair(folder: Path, seed: int, guidance: bool, vary: bool = False) -> Pair:
    """Build diffusers' pipeline, save it, and load ours from the folder."""
    clip_tokenizer, t5_tokenizer = tokenizers()
    r = random.Random(seed)
    text, pooled, layers = (r.choice([32, 64]), r.choice([32, 48]), r.choice([1, 3])) if vary else (48, 32, 2)
    clip_config = CLIPTextConfig(
        vocab_size=len(clip_tokenizer), hidden_size=pooled, intermediate_size=64, projection_dim=pooled,
        num_hidden_layers=layers, num_attention_heads=2, hidden_act="quick_gelu", bos_token_id=0, eos_token_id=2,
        pad_token_id=1,
    )  # fmt: skip  # the ids upstream really publishes
    t5_config = T5Config(
        vocab_size=len(t5_tokenizer), d_model=text, d_kv=16, d_ff=80, num_layers=layers, num_heads=3,
        feed_forward_proj="gated-gelu", dropout_rate=0.1,
    )  # fmt: skip
    pipe = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**(DEV if guidance else {})),
        vae=autoencoder(seed, r.choice([1, 2]) if vary else 1),
        text_encoder=randomise(CLIPTextModel(clip_config), seed),
        tokenizer=clip_tokenizer,
        text_encoder_2=randomise(T5EncoderModel(t5_config), seed),
        tokenizer_2=t5_tokenizer,
        transformer=flux(seed, guidance, vary, text, pooled),
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.save_pretrained(folder)
    return Pair(pipe, folder, *ours(folder), Schedule.from_config(pipe.scheduler.config))


def ours(folder: Path) -> tuple[Any, TextEncoder, Any]:
    """Our transformer, text encoder and autoencoder from a pipeline folder, in float32."""
    found = find(folder)
    encoders = {kind: found.parts[kind] for kind in ("clip", "t5")}
    text = load_text_encoder(found.family, encoders, torch.float32)
    return load_transformer(found, torch.float32), text, load_autoencoder(found.parts["vae"], torch.float32)
