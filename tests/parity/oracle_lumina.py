"""The oracle for Lumina-Next: tiny pipelines of diffusers, saved as a folder, and ours loaded from that folder."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LuminaNextDiT2DModel, LuminaPipeline
from oracle import WORDS, Pair, randomise
from oracle_auraflow import sdxl_autoencoder
from transformers import GemmaConfig, GemmaModel, GemmaTokenizerFast

from nodes.models.family import find
from nodes.models.load import load_autoencoder, load_text_encoder, load_transformer
from nodes.models.lumina.defaults import RELEASED
from nodes.models.sampling.schedule import Schedule


def tokenizer() -> GemmaTokenizerFast:
    """Letters and their pairs, begun and never ended, as Gemma's repository has it."""
    letters = sorted({*WORDS, *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ,.!?"} - {" "})
    merges = [("t", "h"), ("th", "e"), ("o", "n"), ("a", "n"), ("▁", "a"), ("▁", "the"), ("i", "n"), ("in", "g")]
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *letters, *(a + b for a, b in merges)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    return GemmaTokenizerFast(vocab=vocabulary, merges=merges, add_bos_token=True)


def transformer(seed: int, vary: bool = False, text: int = 48, **changes: Any) -> LuminaNextDiT2DModel:
    """A tiny transformer; `vary` draws depths, heads and widths from the seed."""
    r = random.Random(seed * 1000003 + 11)
    sizes = {"num_layers": 3, "num_attention_heads": 4, "num_kv_heads": 2, "hidden_size": 64, "sample_size": 16}
    if vary:
        heads, shared = r.choice([(2, 2), (4, 1), (4, 4), (6, 3)])
        sizes = {
            "num_layers": r.choice([1, 2, 4]), "num_attention_heads": heads, "num_kv_heads": shared,
            "hidden_size": heads * r.choice([8, 16, 24]), "sample_size": r.choice([8, 16]),
        }  # fmt: skip
    model = LuminaNextDiT2DModel(cross_attention_dim=text, multiple_of=16, **(sizes | changes))
    with torch.no_grad():
        model.pad_token.zero_()
    randomise(model, seed)
    with torch.no_grad():
        for layer in model.layers:
            layer.gate.copy_(layer.gate - 0.5)  # gates were drawn around one
            for mine, copy in ((layer.attn1.to_q, layer.attn2.to_q), (layer.attn1.norm_q, layer.attn2.norm_q)):
                if copy is not None:  # the same weights twice, as every published file has them
                    copy.load_state_dict(mine.state_dict())
    return model


def pair(folder: Path, seed: int, vary: bool = False, shift: float = 1.0) -> Pair:
    """Build diffusers' pipeline, save it, and load ours from the folder."""
    r, words = random.Random(seed), tokenizer()
    text, layers = (r.choice([32, 64]), r.choice([2, 4])) if vary else (48, 3)
    config = GemmaConfig(
        vocab_size=len(words), hidden_size=text, intermediate_size=80, num_hidden_layers=layers, head_dim=16,
        num_attention_heads=2, num_key_value_heads=1, pad_token_id=0, eos_token_id=1, bos_token_id=2,
    )  # fmt: skip
    pipe = LuminaPipeline(
        tokenizer=words,
        text_encoder=randomise(GemmaModel(config), seed),
        vae=sdxl_autoencoder(seed),
        transformer=transformer(seed, vary, text),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=shift),
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.save_pretrained(folder)
    found = find(folder)
    encoder = load_text_encoder(found.family, {"gemma": found.parts["gemma"]}, torch.float32)
    net, vae = load_transformer(found, torch.float32), load_autoencoder(found.parts["vae"], torch.float32)
    schedule = Schedule.from_config(pipe.scheduler.config, RELEASED.schedule.spacing)
    return Pair(pipe, folder, net, encoder, vae, schedule)
