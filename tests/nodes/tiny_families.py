"""Folders and files with tiny models of random weights, family by family, for graphs."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AuraFlowPipeline,
    AuraFlowTransformer2DModel,
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    LuminaNextDiT2DModel,
    LuminaPipeline,
)
from transformers import GemmaConfig, GemmaModel, GemmaTokenizerFast, LlamaTokenizerFast, UMT5Config, UMT5EncoderModel

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789,.-"


def llama_tokenizer() -> LlamaTokenizerFast:
    pieces = ["<pad>", "<s>", "</s>", "▁", *LETTERS, "<unk>"]
    return LlamaTokenizerFast(
        vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], add_bos_token=False, add_eos_token=True,
        pad_token="<pad>", padding_side="right",
    )  # fmt: skip


def gemma_tokenizer() -> GemmaTokenizerFast:
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *LETTERS]
    return GemmaTokenizerFast(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], add_bos_token=True)


def sdxl_autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 16, 16), down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4, layers_per_block=1, latent_channels=4, norm_num_groups=4,
        sample_size=64, scaling_factor=0.13025,
    )  # fmt: skip


def write_auraflow(folder: Path, seed: int = 0) -> Path:
    """Save a pipeline and return its folder."""
    torch.manual_seed(seed)
    tokenizer = llama_tokenizer()
    encoder = UMT5Config(
        vocab_size=len(tokenizer), d_model=48, d_kv=16, d_ff=64, num_layers=2, num_heads=3, is_encoder_decoder=False,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    transformer = AuraFlowTransformer2DModel(
        sample_size=16, num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, caption_projection_dim=32, pos_embed_max_size=64,
    )  # fmt: skip
    AuraFlowPipeline(
        tokenizer=tokenizer, text_encoder=UMT5EncoderModel(encoder), vae=sdxl_autoencoder(), transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.73),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def write_lumina(folder: Path, seed: int = 0) -> Path:
    """Save a pipeline and return its folder."""
    torch.manual_seed(seed)
    tokenizer = gemma_tokenizer()
    encoder = GemmaConfig(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=64, num_hidden_layers=2, head_dim=16,
        num_attention_heads=2, num_key_value_heads=1, pad_token_id=0, eos_token_id=1, bos_token_id=2,
    )  # fmt: skip
    transformer = LuminaNextDiT2DModel(
        sample_size=16, hidden_size=32, num_layers=1, num_attention_heads=2, num_kv_heads=1, multiple_of=16,
        cross_attention_dim=48,
    )  # fmt: skip
    with torch.no_grad():
        transformer.pad_token.zero_()
        for layer in transformer.layers:
            layer.gate.fill_(0.5)
            layer.attn2.to_q.load_state_dict(layer.attn1.to_q.state_dict())
    LuminaPipeline(
        tokenizer=tokenizer, text_encoder=GemmaModel(encoder), vae=sdxl_autoencoder(), transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


WRITERS = {"auraflow": write_auraflow, "lumina": write_lumina}
