"""The Flux.2 starter's folder: a klein pipeline as diffusers lays it out, weights in float16, and the way back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import Qwen3ForCausalLM

from nodes.models.autoencoders import flux2, kl
from nodes.models.autoencoders.keys import match as match_vae
from nodes.models.autoencoders.keys import rename as rename_vae
from nodes.models.flux2 import keys
from nodes.models.flux2.config import Config
from nodes.models.flux2.transformer import Transformer
from nodes.models.starter.checkpoint import WEIGHTS, vae_to_diffusers
from nodes.models.starter.flux2_flow import Parts
from nodes.models.starter.flux2_text import LENGTH, Words
from nodes.models.starter.sampling import Settings
from nodes.models.weights.fill import fill
from nodes.models.weights.header import read_header

PROMPTS = (
    "a large red circle on the left and a small blue square on the right, on a yellow background",
    "three green triangles in a row",
    "a purple ring above a black cross",
    "five orange diamonds on a light blue background",
)
INSTRUCTIONS = ("make the circle green", "make the square large", "remove the square", "make the background pink")
"""What can be asked of the first of the prompts' pictures."""


def autoencoder_from(vae: kl.Autoencoder) -> flux2.Autoencoder:
    """Flux.1's autoencoder as Flux.2's, with the same latents: convolutions around the latent that change nothing, and
    statistics that are its scale and shift, alike for all channels.
    """
    c = vae.config
    config = flux2.Config(
        widths=c.widths,
        layers=c.layers,
        groups=c.groups,
        latent=flux2.PATCH**2 * c.latent,
        sample_size=c.sample_size,
        decoder_widths=c.widths,
    )
    new = flux2.Autoencoder(config)
    weights = dict(vae.state_dict())
    for name, channels in (("quant_conv", 2 * c.latent), ("post_quant_conv", c.latent)):
        weights |= {f"{name}.weight": torch.eye(channels)[..., None, None], f"{name}.bias": torch.zeros(channels)}
    weights["bn.running_mean"] = torch.full((config.latent,), c.shift)
    weights["bn.running_var"] = torch.full((config.latent,), 1 / c.scale**2 - flux2.EPSILON)
    new.load_state_dict(weights)
    return new.eval().requires_grad_(False)


def transformer_to_diffusers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The original names to diffusers': fused projections cut apart, the last modulation's halves swapped."""
    out: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        kind, _, rest = name.partition(".")
        index, _, inner = rest.partition(".")
        stem = inner.rsplit(".", 1)[0]
        if name == keys.SWAPPED[0]:
            out[keys.SWAPPED[1]] = torch.cat(tensor.chunk(2)[::-1])
        elif kind == "double_blocks":
            norm = keys.DOUBLE_NORMS.get(stem)
            stems = (norm,) if norm else keys.DOUBLE[stem]
            out |= _cut(f"transformer_blocks.{index}.", stems, tensor)
        elif kind == "single_blocks":
            norm = keys.SINGLE_NORMS.get(stem)
            stems = (norm,) if norm else keys.SINGLE[stem]
            out |= _cut(f"single_transformer_blocks.{index}.", stems, tensor)
        else:
            out |= _cut("", keys.OUTSIDE[name.rsplit(".", 1)[0]], tensor)
    return out


def _cut(prefix: str, stems: tuple[str, ...], tensor: Tensor) -> dict[str, Tensor]:
    """A weight under one name or, in equal rows, under several."""
    return {f"{prefix}{s}.weight": part for s, part in zip(stems, tensor.chunk(len(stems)), strict=True)}


def configs(net: Config, vae: flux2.Config, settings: Settings) -> dict[str, dict]:
    """The JSON files of the folder, except those that transformers writes."""
    n = len(vae.widths)
    return {
        "starter.json": {
            "title": "Latent Loom starter, Flux.2 architecture",
            "width": vae.sample_size,
            "height": vae.sample_size,
            "steps": settings.steps,
            "true_cfg_scale": settings.guidance,
            "shift": settings.shift,
            "max_sequence_length": LENGTH,
            "prompts": list(PROMPTS),
            "instructions": list(INSTRUCTIONS),
        },
        "model_index.json": {
            "_class_name": "Flux2KleinPipeline",
            "_diffusers_version": "0.37.0",
            "is_distilled": False,
            "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
            "text_encoder": ["transformers", "Qwen3ForCausalLM"],
            "tokenizer": ["transformers", "Qwen2TokenizerFast"],
            "transformer": ["diffusers", "Flux2Transformer2DModel"],
            "vae": ["diffusers", "AutoencoderKLFlux2"],
        },
        "transformer/config.json": {
            "_class_name": "Flux2Transformer2DModel",
            "attention_head_dim": net.width // net.heads,
            "axes_dims_rope": list(net.axes),
            "eps": 1e-6,
            "guidance_embeds": net.guidance,
            "in_channels": net.in_channels,
            "joint_attention_dim": net.text_width,
            "mlp_ratio": net.mlp / net.width,
            "num_attention_heads": net.heads,
            "num_layers": net.double_blocks,
            "num_single_layers": net.single_blocks,
            "out_channels": None,
            "patch_size": 1,
            "rope_theta": net.theta,
            "timestep_guidance_channels": 256,
        },
        "vae/config.json": {
            "_class_name": "AutoencoderKLFlux2",
            "act_fn": "silu",
            "batch_norm_eps": flux2.EPSILON,
            "batch_norm_momentum": 0.1,
            "block_out_channels": list(vae.widths),
            "down_block_types": ["DownEncoderBlock2D"] * n,
            "up_block_types": ["UpDecoderBlock2D"] * n,
            "force_upcast": True,
            "in_channels": 3,
            "out_channels": 3,
            "latent_channels": vae.latent // flux2.PATCH**2,
            "layers_per_block": vae.layers,
            "mid_block_add_attention": True,
            "norm_num_groups": vae.groups,
            "patch_size": [flux2.PATCH, flux2.PATCH],
            "sample_size": vae.sample_size,
            "use_quant_conv": True,
            "use_post_quant_conv": True,
        },
        "scheduler/scheduler_config.json": {
            "_class_name": "FlowMatchEulerDiscreteScheduler",
            "num_train_timesteps": 1000,
            "shift": settings.shift,
            "use_dynamic_shifting": False,
            "base_shift": 0.5,
            "max_shift": 1.15,
            "base_image_seq_len": 256,
            "max_image_seq_len": 4096,
        },
    }


def save(parts: Parts, folder: Path, settings: Settings) -> None:
    """Writes the pipeline folder; a folder that is there is replaced. The tokenizer must lie outside it.

    The statistics of the latent stay in float32: they are 128 numbers that everything is multiplied by.
    """
    shutil.rmtree(folder, ignore_errors=True)
    net, vae = parts.transformer, parts.vae
    for name, content in configs(net.config, vae.config, settings).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    weights = {
        "transformer": transformer_to_diffusers(net.state_dict()),
        "vae": vae_to_diffusers(vae.state_dict(), len(vae.config.widths)),
    }
    for name, tensors in weights.items():
        kept = {k: (v if k.startswith("bn.") else v.half()).cpu().contiguous() for k, v in tensors.items()}
        if name == "vae":
            kept["bn.num_batches_tracked"] = torch.tensor(0)
        save_file(kept, folder / name / WEIGHTS, metadata={"format": "pt"})
    language = Qwen3ForCausalLM(parts.qwen.config)
    language.model.load_state_dict(parts.qwen.state_dict())
    language.half().save_pretrained(folder / "text_encoder")
    shutil.copytree(parts.words.folder / "tokenizer", folder / "tokenizer")


def load(folder: Path, device: str = "cpu") -> Parts:
    """The folder as the training and the score use it, in float32."""
    transformer_part = keys.match(read_header(folder / "transformer"))
    vae_part = match_vae(read_header(folder / "vae"))
    assert transformer_part and vae_part, folder
    with torch.device("meta"):
        net = Transformer(transformer_part.config)
        vae = flux2.Autoencoder(flux2.Config(**vae_part.config))
    fill(net, transformer_part.header, keys.rename(transformer_part), torch.float32, device)
    fill(vae, vae_part.header, rename_vae(vae_part), torch.float32, device)
    qwen = Qwen3ForCausalLM.from_pretrained(folder / "text_encoder", dtype=torch.float32).model.to(device)
    for module in (net, vae, qwen):
        module.eval().requires_grad_(False)
    return Parts(Words(folder), qwen, net, vae)
