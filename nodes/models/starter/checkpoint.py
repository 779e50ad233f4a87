"""The starter's folder: a Flux.1 pipeline as diffusers lays it out, weights in float16, and the way back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextModel, T5EncoderModel

from nodes.models.autoencoders.keys import match as match_vae
from nodes.models.autoencoders.keys import rename as rename_vae
from nodes.models.autoencoders.kl import Autoencoder
from nodes.models.autoencoders.kl import Config as VaeConfig
from nodes.models.flux1 import keys
from nodes.models.flux1.config import Config
from nodes.models.flux1.transformer import Transformer
from nodes.models.starter.sampling import Parts, Settings
from nodes.models.starter.text_stage import Words
from nodes.models.starter.tokenizers import T5_LENGTH
from nodes.models.weights.fill import fill
from nodes.models.weights.header import read_header

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


def _cut(name: str, stems: tuple[str, ...], tensor: Tensor, width: int) -> dict[str, Tensor]:
    """One Linear's weight or bias under one name or, by rows, under several; the first three are `width` high."""
    leaf = name.rsplit(".", 1)[1]
    if len(stems) == 1:
        return {f"{stems[0]}.{leaf}": tensor}
    heights = [width] * 3 + [tensor.shape[0] - 3 * width] * (len(stems) - 3)
    return {f"{stem}.{leaf}": part for stem, part in zip(stems, tensor.split(heights), strict=True)}


def transformer_to_diffusers(weights: dict[str, Tensor], width: int) -> dict[str, Tensor]:
    """Flux.1's original names to diffusers': fused projections cut apart, the last modulation's halves swapped."""
    out: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        kind, _, rest = name.partition(".")
        if name.startswith(keys.SWAPPED[0]):
            shift, scale = tensor.chunk(2)
            out[f"{keys.SWAPPED[1]}.{name.rsplit('.', 1)[1]}"] = torch.cat((scale, shift))
        elif kind in ("double_blocks", "single_blocks"):
            linears, norms = (
                (keys.DOUBLE, keys.DOUBLE_NORMS) if kind == "double_blocks" else (keys.SINGLE, keys.SINGLE_NORMS)
            )
            index, _, inner = rest.partition(".")
            stem = inner.rsplit(".", 1)[0]
            prefix = f"{'transformer' if kind == 'double_blocks' else 'single_transformer'}_blocks.{index}."
            found = {f"{norms[stem]}.weight": tensor} if stem in norms else _cut(name, linears[stem], tensor, width)
            out |= {prefix + n: t for n, t in found.items()}
        else:
            out |= _cut(name, keys.ENDS[name.rsplit(".", 1)[0]], tensor, width)
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


def configs(net: Config, vae: VaeConfig, settings: Settings) -> dict[str, dict]:
    """The JSON files of the folder, except those that transformers writes."""
    n = len(vae.widths)
    return {
        "starter.json": {
            "title": "Latent Loom starter, Flux.1 architecture",
            "width": vae.sample_size,
            "height": vae.sample_size,
            "steps": settings.steps,
            "true_cfg_scale": settings.guidance,
            "shift": settings.shift,
            "max_sequence_length": T5_LENGTH,
            "prompts": list(PROMPTS[:4]),
        },
        "model_index.json": {
            "_class_name": "FluxPipeline",
            "_diffusers_version": "0.32.0",
            "feature_extractor": [None, None],
            "image_encoder": [None, None],
            "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "text_encoder_2": ["transformers", "T5EncoderModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "tokenizer_2": ["transformers", "T5TokenizerFast"],
            "transformer": ["diffusers", "FluxTransformer2DModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
        "transformer/config.json": {
            "_class_name": "FluxTransformer2DModel",
            "attention_head_dim": net.width // net.heads,
            "axes_dims_rope": list(net.axes),
            "guidance_embeds": net.guidance,
            "in_channels": net.in_channels,
            "joint_attention_dim": net.text_width,
            "num_attention_heads": net.heads,
            "num_layers": net.double_blocks,
            "num_single_layers": net.single_blocks,
            "patch_size": 1,
            "pooled_projection_dim": net.pooled_width,
        },
        "vae/config.json": {
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
            "shift_factor": vae.shift,
            "use_quant_conv": False,
            "use_post_quant_conv": False,
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
    """Writes the pipeline folder; a folder that is there is replaced. The tokenizers must lie outside it."""
    shutil.rmtree(folder, ignore_errors=True)
    net, vae = parts.transformer, parts.vae
    for name, content in configs(net.config, vae.config, settings).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    weights = {
        "transformer": transformer_to_diffusers(net.state_dict(), net.config.width),
        "vae": vae_to_diffusers(vae.state_dict(), len(vae.config.widths)),
    }
    for name, tensors in weights.items():
        save_file(
            {k: v.half().cpu().contiguous() for k, v in tensors.items()},
            folder / name / WEIGHTS,
            metadata={"format": "pt"},
        )
    _half(parts.clip).save_pretrained(folder / "text_encoder")
    _half(parts.t5).save_pretrained(folder / "text_encoder_2")
    for name in ("tokenizer", "tokenizer_2"):
        shutil.copytree(parts.words.folder / name, folder / name)


def _half(encoder: CLIPTextModel | T5EncoderModel) -> CLIPTextModel | T5EncoderModel:
    """A float16 copy on the processor."""
    copy = type(encoder)(encoder.config)
    copy.load_state_dict(encoder.state_dict())
    return copy.half().cpu()


def load(folder: Path, device: str = "cpu") -> Parts:
    """The folder as the training and the score use it, in float32."""
    transformer_part = keys.match(read_header(folder / "transformer"))
    vae_part = match_vae(read_header(folder / "vae"))
    assert transformer_part and vae_part, folder
    with torch.device("meta"):
        net, vae = Transformer(transformer_part.config), Autoencoder(VaeConfig(**vae_part.config))
    fill(net, transformer_part.header, keys.rename(transformer_part), torch.float32, device)
    fill(vae, vae_part.header, rename_vae(vae_part), torch.float32, device)
    t5 = T5EncoderModel.from_pretrained(folder / "text_encoder_2", dtype=torch.float32).to(device)
    clip = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).to(device)
    for module in (net, vae, t5, clip):
        module.eval().requires_grad_(False)
    return Parts(Words(folder), t5, clip, net, vae)
