"""A diffusers folder with a tiny Flux.1 of random weights, written by diffusers itself."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789,.-"


def write_checkpoint(folder: Path, seed: int = 0, guidance: bool = True) -> Path:
    """Save it and return the folder. The same seed gives the same weights."""
    torch.manual_seed(seed)
    pieces = [*LETTERS, *(c + "</w>" for c in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    clip_tokenizer = CLIPTokenizer(vocab={p: i for i, p in enumerate(pieces)}, merges=[], model_max_length=77)
    scored = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -4.0), *((c, -6.0) for c in LETTERS)]
    t5_tokenizer = T5TokenizerFast(vocab=scored, extra_ids=0, model_max_length=512)
    clip = CLIPTextConfig(
        vocab_size=len(clip_tokenizer), hidden_size=32, intermediate_size=48, projection_dim=32, num_hidden_layers=1,
        num_attention_heads=2, hidden_act="quick_gelu", bos_token_id=0, eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    t5 = T5Config(
        vocab_size=len(t5_tokenizer), d_model=48, d_kv=16, d_ff=64, num_layers=1, num_heads=3,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, pooled_projection_dim=32, guidance_embeds=guidance, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16), down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4, layers_per_block=1, latent_channels=16, norm_num_groups=4,
        sample_size=64, scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip
    scheduler = {"shift": 3.0, "use_dynamic_shifting": True} if guidance else {}
    pipe = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**scheduler), vae=vae, text_encoder=CLIPTextModel(clip),
        tokenizer=clip_tokenizer, text_encoder_2=T5EncoderModel(t5), tokenizer_2=t5_tokenizer, transformer=transformer,
    )  # fmt: skip
    pipe.save_pretrained(folder)
    return folder
