"""Folders with a tiny Flux.2 of random weights, written by diffusers itself: dev, and klein that is not distilled."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
)
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

SPECIAL = [
    "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
    "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
]  # fmt: skip
KLEIN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]


def tokenizer(special: list[str], **tokens: str) -> PreTrainedTokenizerFast:
    """Bytes and nothing else."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    marks = [AddedToken(token, special=True, normalized=False) for token in special]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator([], trainers.BpeTrainer(special_tokens=marks, initial_alphabet=alphabet))
    return PreTrainedTokenizerFast(tokenizer_object=inner, **tokens)


def autoencoder() -> AutoencoderKLFlux2:
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 8, 16, 16), layers_per_block=1, latent_channels=32, norm_num_groups=4, sample_size=64
    )
    vae.bn.running_mean.normal_(0, 0.1)
    vae.bn.running_var.uniform_(0.5, 1.5)
    return vae


def transformer(text: int, guidance: bool) -> Flux2Transformer2DModel:
    return Flux2Transformer2DModel(
        num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=3 * text,
        axes_dims_rope=(4, 4, 4, 4), guidance_embeds=guidance,
    )  # fmt: skip


def write_dev(folder: Path, seed: int = 0) -> Path:
    """Save a pipeline with a language model of 31 layers and return its folder."""
    torch.manual_seed(seed)
    words = tokenizer(SPECIAL, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    text = {
        "model_type": "mistral", "vocab_size": len(words), "hidden_size": 32, "intermediate_size": 32,
        "num_hidden_layers": 31, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
        "rms_norm_eps": 1e-5, "rope_theta": 1e9, "tie_word_embeddings": False,
    }  # fmt: skip
    eye = {
        "model_type": "pixtral", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 16,
        "intermediate_size": 32, "image_size": 112, "patch_size": 14, "hidden_act": "silu",
    }  # fmt: skip
    config = Mistral3Config(text_config=text, vision_config=eye, tie_word_embeddings=False)
    Flux2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True), vae=autoencoder(),
        text_encoder=Mistral3ForConditionalGeneration(config), tokenizer=words, transformer=transformer(32, True),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def write_klein_base(folder: Path, seed: int = 1) -> Path:
    torch.manual_seed(seed)
    words = tokenizer(KLEIN_SPECIAL, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    config = Qwen3Config(
        vocab_size=len(words), hidden_size=32, intermediate_size=32, num_hidden_layers=4, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, tie_word_embeddings=True,
    )  # fmt: skip
    Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True), vae=autoencoder(),
        text_encoder=Qwen3ForCausalLM(config), tokenizer=words, transformer=transformer(32, False), is_distilled=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder
