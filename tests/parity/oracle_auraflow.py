"""The oracle for AuraFlow: tiny pipelines of diffusers, saved as a folder, and ours loaded from that folder."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel, AutoencoderKL, FlowMatchEulerDiscreteScheduler
from oracle import WORDS, Pair, randomise
from transformers import LlamaTokenizerFast, UMT5Config, UMT5EncoderModel

from nodes.models.auraflow.defaults import RELEASED
from nodes.models.family import find
from nodes.models.load import load_autoencoder, load_text_encoder, load_transformer
from nodes.models.sampling.schedule import Schedule


def tokenizer() -> LlamaTokenizerFast:
    """Letters and their pairs, ended and never begun, as AuraFlow's repository has it."""
    letters = sorted({*WORDS, *"abcdefghijklmnopqrstuvwxyz,.!?"} - {" "})
    merges = [("t", "h"), ("th", "e"), ("o", "n"), ("a", "n"), ("▁", "a"), ("▁", "the"), ("i", "n"), ("in", "g")]
    pieces = ["<unk>", "<s>", "</s>", "▁", *letters, *(a + b for a, b in merges)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    return LlamaTokenizerFast(
        vocab=vocabulary, merges=merges, add_bos_token=False, add_eos_token=True, pad_token="<s>",
        model_max_length=4096, padding_side="right",
    )  # fmt: skip


def transformer(seed: int, vary: bool = False, text: int = 48, **changes: Any) -> AuraFlowTransformer2DModel:
    """A tiny transformer; `vary` draws depths, heads and the grid from the seed."""
    r = random.Random(seed * 1000003 + 11)
    sizes = {"num_mmdit_layers": 2, "num_single_dit_layers": 3, "num_attention_heads": 4, "attention_head_dim": 16}
    grid = 8
    if vary:
        sizes = {
            "num_mmdit_layers": r.choice([1, 2, 3]), "num_single_dit_layers": r.choice([0, 1, 4]),
            "num_attention_heads": r.choice([2, 3, 4]), "attention_head_dim": r.choice([16, 32]),
        }  # fmt: skip
        grid = r.choice([8, 9])
    sizes |= changes
    grid = sizes.pop("grid", grid)
    model = AuraFlowTransformer2DModel(
        sample_size=2 * grid, joint_attention_dim=text, pos_embed_max_size=grid**2,
        caption_projection_dim=sizes["num_attention_heads"] * sizes["attention_head_dim"], **sizes,
    )  # fmt: skip
    randomise(model, seed)
    with torch.no_grad():
        model.register_tokens.mul_(0.5 * model.register_tokens[0].numel() ** 0.5)
        model.pos_embed.pos_embed.mul_(0.3 * model.pos_embed.pos_embed[0].numel() ** 0.5)
    return model


def sdxl_autoencoder(seed: int) -> AutoencoderKL:
    """SDXL's autoencoder, narrow."""
    model = AutoencoderKL(
        block_out_channels=(32, 32, 64, 64), down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4, layers_per_block=1, latent_channels=4, norm_num_groups=32,
        sample_size=64, scaling_factor=0.13025, force_upcast=True,
    )  # fmt: skip
    return randomise(model, seed)


def pair(folder: Path, seed: int, vary: bool = False) -> Pair:
    """Build diffusers' pipeline, save it, and load ours from the folder."""
    r, words = random.Random(seed), tokenizer()
    text, layers = (r.choice([32, 64]), r.choice([1, 3])) if vary else (48, 2)
    config = UMT5Config(
        vocab_size=len(words), d_model=text, d_kv=16, d_ff=80, num_layers=max(2, layers), num_heads=3,
        feed_forward_proj="gated-gelu", is_encoder_decoder=False, pad_token_id=1, eos_token_id=2,
    )  # fmt: skip
    pipe = AuraFlowPipeline(
        tokenizer=words,
        text_encoder=randomise(UMT5EncoderModel(config), seed),
        vae=sdxl_autoencoder(seed),
        transformer=transformer(seed, vary, text),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.73),
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.save_pretrained(folder, max_shard_size="100KB")
    found = find(folder)
    encoder = load_text_encoder(found.family, {"umt5": found.parts["umt5"]}, torch.float32)
    net, vae = load_transformer(found, torch.float32), load_autoencoder(found.parts["vae"], torch.float32)
    schedule = Schedule.from_config(pipe.scheduler.config, RELEASED.schedule.spacing)
    return Pair(pipe, folder, net, encoder, vae, schedule)
