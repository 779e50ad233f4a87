"""A starter's folder: a pipeline as diffusers lays it out, weights in float16, and the way back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nodes.models.autoencoders import flux2
from nodes.models.autoencoders.kl import Autoencoder
from nodes.models.autoencoders.kl import Config as VaeConfig
from nodes.models.family import detect
from nodes.models.load import load_autoencoder, load_text_encoder, load_transformer
from nodes.models.starter.sampling import Parts, Settings

WEIGHTS = "diffusion_pytorch_model.safetensors"
PROMPTS = (
    "a large red circle on the left and a small blue square on the right, on a yellow background",
    "three green triangles in a row",
    "a purple ring above a black cross",
    "five orange diamonds on a light blue background",
    "four small pink rings in the corners on a black background",
    "a big yellow square to the left of a tiny purple triangle, grey background",
    "two blue crosses in a column, on a beige background",
    "a red diamond at the top left, a green circle in the middle and an orange square at the bottom right",
)
INSTRUCTIONS = ("make the circle green", "make the square large", "remove the square", "make the background pink")
"""What can be asked of the picture of the first prompt."""


def to_diffusers(weights: Mapping[str, Tensor], keys: ModuleType, sizes: Any) -> dict[str, Tensor]:
    """A transformer's weights under diffusers' names, by the `keys` of its family; what diffusers has twice, twice."""
    out = {}
    for name, target in keys.naming(sizes).parameters():
        if target.module in weights:
            tensor = weights[target.module]
            out[name] = torch.cat(tensor.chunk(2)[::-1]) if target.swapped else tensor[target.start : target.stop]
    for copy, source in getattr(keys, "COPIES", {}).items():
        out |= {name.removesuffix(source) + copy: out[name].clone() for name in list(out) if name.endswith(source)}
    return out


def vae_to_diffusers(weights: dict[str, Tensor], levels: int) -> dict[str, Tensor]:
    """Latent diffusion's original names to diffusers'; the attention's 1×1 convolutions become Linears."""
    out = {}
    for name, tensor in weights.items():
        parts = name.replace("nin_shortcut", "conv_shortcut").split(".")
        match parts:
            case ["encoder", "down", level, "block", *rest]:
                parts = ["encoder", "down_blocks", level, "resnets", *rest]
            case ["encoder", "down", level, "downsample", *rest]:
                parts = ["encoder", "down_blocks", level, "downsamplers", "0", *rest]
            case ["decoder", "up", level, "block", *rest]:
                parts = ["decoder", "up_blocks", str(levels - 1 - int(level)), "resnets", *rest]
            case ["decoder", "up", level, "upsample", *rest]:
                parts = ["decoder", "up_blocks", str(levels - 1 - int(level)), "upsamplers", "0", *rest]
            case [side, "mid", ("block_1" | "block_2") as block, *rest]:
                parts = [side, "mid_block", "resnets", str(int(block[-1]) - 1), *rest]
            case [side, "mid", "attn_1", kind, leaf]:
                new = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}[kind]
                parts = [side, "mid_block", "attentions", "0", new, leaf]
                tensor = tensor.squeeze() if kind != "norm" and leaf == "weight" else tensor
            case [side, "norm_out", leaf]:
                parts = [side, "conv_norm_out", leaf]
        out[".".join(parts)] = tensor
    return out


def in_sdxl_space(vae: Autoencoder) -> Autoencoder:
    """The same autoencoder without a shift, as families of SDXL's space have it: 1 × 1 convolutions around the latent
    that change nothing but its mean.
    """
    latent, shift = vae.config.latent, vae.config.shift
    moved = Autoencoder(replace(vae.config, shift=0.0, quant=True))
    moved.load_state_dict(vae.state_dict(), strict=False)
    with torch.no_grad():
        for conv, bias in ((moved.quant_conv, -shift), (moved.post_quant_conv, shift)):
            conv.weight.copy_(torch.eye(len(conv.weight))[:, :, None, None])
            conv.bias.zero_()[:latent] = bias
    return moved.eval().requires_grad_(False)


def in_flux2_space(vae: Autoencoder) -> flux2.Autoencoder:
    """The same autoencoder in Flux.2's form, its latents the same numbers: convolutions around the latent that change
    nothing, and statistics that are its scale and shift, alike for all channels.
    """
    c, cells = vae.config, vae.config.latent
    sizes = {"widths": c.widths, "layers": c.layers, "groups": c.groups, "sample_size": c.sample_size}
    moved = flux2.Autoencoder(flux2.Config(**sizes, latent=flux2.PATCH**2 * cells, decoder_widths=c.widths))
    weights = dict(vae.state_dict())
    for name, channels in (("quant_conv", 2 * cells), ("post_quant_conv", cells)):
        weights |= {f"{name}.weight": torch.eye(channels)[..., None, None], f"{name}.bias": torch.zeros(channels)}
    weights["bn.running_mean"] = torch.full((moved.config.latent,), c.shift)
    weights["bn.running_var"] = torch.full((moved.config.latent,), 1 / c.scale**2 - flux2.EPSILON)
    moved.load_state_dict(weights)
    return moved.eval().requires_grad_(False)


def vae_config(vae: VaeConfig) -> dict[str, object]:
    """The autoencoder's config.json."""
    n = len(vae.widths)
    if isinstance(vae, flux2.Config):
        plain = replace(vae, latent=vae.latent // flux2.PATCH**2)
        own = {"batch_norm_eps": flux2.EPSILON, "batch_norm_momentum": 0.1, "patch_size": [flux2.PATCH] * 2}
        found = vae_config(VaeConfig(**{field.name: getattr(plain, field.name) for field in fields(VaeConfig)}))
        kept = {k: v for k, v in found.items() if k not in ("scaling_factor", "shift_factor")}
        return kept | {"_class_name": "AutoencoderKLFlux2", **own}
    return {
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "block_out_channels": list(vae.widths),
        "down_block_types": ["DownEncoderBlock2D"] * n,
        "up_block_types": ["UpDecoderBlock2D"] * n,
        "force_upcast": True,
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": vae.latent,
        "layers_per_block": vae.layers,
        "mid_block_add_attention": True,
        "norm_num_groups": vae.groups,
        "sample_size": vae.sample_size,
        "scaling_factor": vae.scale,
        "shift_factor": vae.shift or None,
        "use_quant_conv": vae.quant,
        "use_post_quant_conv": vae.quant,
    }


def configs(parts: Parts, settings: Settings) -> dict[str, dict]:
    """The JSON files of the folder, except those that transformers writes."""
    starter, vae = parts.starter, parts.vae.config
    edits = getattr(parts.family.defaults, "REFERENCE_PIXELS", 0)
    return {
        "starter.json": {
            "title": f"Latent Loom starter, {starter.TITLE} architecture",
            "width": vae.sample_size,
            "height": vae.sample_size,
            "steps": settings.steps,
            "true_cfg_scale": settings.guidance,
            "shift": settings.shift,
            "max_sequence_length": starter.LENGTH,
            "prompts": list(PROMPTS[:4]),
            **({"instructions": list(INSTRUCTIONS)} if edits else {}),
        },
        "model_index.json": {
            "_diffusers_version": "0.32.0",
            **starter.index(),
            "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
            "vae": ["diffusers", vae_config(vae)["_class_name"]],
        },
        "transformer/config.json": starter.config(parts.transformer.config),
        "vae/config.json": vae_config(vae),
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


def save(parts: Parts, folder: Path, settings: Settings, words: Path | None = None) -> None:
    """Writes the pipeline folder; a folder that is there is replaced. The tokenizers must lie outside it.

    words  the folder with the tokenizers' folders, for those that do not know where they were read
    """
    shutil.rmtree(folder, ignore_errors=True)
    net, vae, starter = parts.transformer, parts.vae, parts.starter
    for name, content in configs(parts, settings).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    weights = {
        "transformer": to_diffusers(net.state_dict(), parts.family.keys, net.config),
        "vae": vae_to_diffusers(vae.state_dict(), len(vae.config.widths)),
    }
    for name, tensors in weights.items():
        kept = {k: (v if k.startswith("bn.") else v.half()).cpu().contiguous() for k, v in tensors.items()}
        if any(k.startswith("bn.") for k in kept):  # Flux.2's statistics: 128 numbers that all is multiplied by
            kept["bn.num_batches_tracked"] = torch.tensor(0)
        save_file(kept, folder / name / WEIGHTS, metadata={"format": "pt"})
    for name, encoder in starter.encoders(parts.encoder).items():
        _half(encoder).save_pretrained(folder / name)
    for name, tokenizer in starter.tokenizers(parts.encoder).items():
        place = words / name if words else tokenizer.name_or_path
        shutil.copytree(place, folder / name)  # byte by byte as it was read


def _half(encoder: nn.Module) -> nn.Module:
    """A float16 copy on the processor."""
    copy = type(encoder)(encoder.config)
    copy.load_state_dict(encoder.state_dict())
    return copy.half().cpu()


def load(folder: Path, device: str = "cpu") -> Parts:
    """The folder in float32, through the same doors as the nodes that load models."""
    found = detect(folder)
    family = found.family
    assert family, folder
    encoders = {kind: found.parts[kind] for kind in family.defaults.ENCODERS}
    parts = Parts(
        family,
        load_text_encoder(family, encoders, torch.float32, device),
        load_transformer(found, torch.float32, device),
        load_autoencoder(found.parts["vae"], torch.float32, device),
    )
    for module in (parts.encoder, parts.transformer, parts.vae):
        module.eval().requires_grad_(False)
    return parts
