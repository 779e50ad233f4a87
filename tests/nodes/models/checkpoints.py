"""Tiny Flux.1 checkpoints in every layout a loader meets, written from random weights under the original names.

Names and orders are written out here a second time, from the published files, so that a mistake in the code under test
does not cancel out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nodes.models.autoencoders import kl
from nodes.models.encoders import clip, t5
from nodes.models.flux1.config import Config
from nodes.models.flux1.transformer import Transformer

State = dict[str, Tensor]
E4 = torch.float8_e4m3fn

FLUX = Config.tiny()
AXES = {"axes_dims_rope": list(FLUX.axes)}
VAE = kl.Config.tiny(widths=(32, 32, 64), groups=32, latent=16)
CLIP = {**clip.LARGE, "vocab_size": 50, "hidden_size": 128, "intermediate_size": 64, "num_hidden_layers": 2}
CLIP |= {"num_attention_heads": 2}
T5 = {**t5.XXL, "vocab_size": 60, "d_model": 48, "d_kv": 16, "d_ff": 80, "num_layers": 2, "num_heads": 3}


def drawn(module: nn.Module, seed: int = 0) -> State:
    """Random weights for a module: no two tensors alike, no halves alike. Tied ones once, under their first name."""
    g = torch.Generator().manual_seed(seed)
    return {name: torch.randn(p.shape, generator=g, device="cpu") * 0.5 for name, p in module.named_parameters()}


@cache
def _flux_state(config: Config) -> State:
    with torch.device("meta"):
        return drawn(Transformer(config))


@cache
def _vae_state() -> State:
    with torch.device("meta"):
        return drawn(kl.Autoencoder(VAE), 1)


@cache
def _clip_state() -> State:
    return drawn(clip.build(CLIP), 2)


@cache
def _t5_state() -> State:
    return drawn(t5.build(T5), 3)


def flux_state(config: Config = FLUX) -> State:
    return dict(_flux_state(config))


def vae_state() -> State:
    return dict(_vae_state())


def clip_state() -> State:
    return dict(_clip_state())


def t5_state() -> State:
    return dict(_t5_state())


def under(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def save(path: Path, state: State, metadata: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path, metadata)
    return path


TOP = {
    "img_in": "x_embedder", "txt_in": "context_embedder", "final_layer.linear": "proj_out",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
}  # fmt: skip
BLOCK = {
    "img_mod.lin": "norm1.linear", "txt_mod.lin": "norm1_context.linear", "img_attn.proj": "attn.to_out.0",
    "txt_attn.proj": "attn.to_add_out", "img_mlp.0": "ff.net.0.proj", "img_mlp.2": "ff.net.2",
    "txt_mlp.0": "ff_context.net.0.proj", "txt_mlp.2": "ff_context.net.2", "modulation.lin": "norm.linear",
    "linear2": "proj_out", "img_attn.norm.query_norm": "attn.norm_q", "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q", "txt_attn.norm.key_norm": "attn.norm_added_k",
    "norm.query_norm": "attn.norm_q", "norm.key_norm": "attn.norm_k",
}  # fmt: skip


def flux_to_diffusers(state: State, width: int = FLUX.width) -> State:
    out: State = {}
    for name, tensor in state.items():
        stem, leaf = name.rsplit(".", 1)
        leaf = "weight" if leaf == "scale" else leaf
        if stem == "final_layer.adaLN_modulation.1":
            shift, scale = tensor.chunk(2)
            out[f"norm_out.linear.{leaf}"] = torch.cat((scale, shift))
            continue
        if stem in TOP:
            out[f"{TOP[stem]}.{leaf}"] = tensor
            continue
        kind, number, inner = stem.split(".", 2)
        block = f"{'single_' * (kind == 'single_blocks')}transformer_blocks.{number}."
        if inner == "linear1":
            parts = tensor.split((width, width, width, len(tensor) - 3 * width))
            names = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
        elif inner.endswith(".qkv"):
            parts = tensor.chunk(3)
            names = tuple(f"attn.to_{x}" if inner[0] == "i" else f"attn.add_{x}_proj" for x in "qkv")
        else:
            parts, names = (tensor,), (BLOCK[inner],)
        out |= {f"{block}{n}.{leaf}": part for n, part in zip(names, parts, strict=True)}
    return out


def vae_to_diffusers(state: State, levels: int = len(VAE.widths)) -> State:
    attention = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
    out: State = {}
    for name, tensor in state.items():
        parts = name.replace("nin_shortcut", "conv_shortcut").split(".")
        side, rest = parts[0], parts[1:]
        if rest[0] in ("down", "up"):
            level = int(rest[1]) if rest[0] == "down" else levels - 1 - int(rest[1])
            kind = {"block": "resnets", "downsample": "downsamplers.0", "upsample": "upsamplers.0"}[rest[2]]
            new = f"{side}.{rest[0]}_blocks.{level}.{kind}.{'.'.join(rest[3:])}"
        elif rest[:2] == ["mid", "attn_1"]:
            new = f"{side}.mid_block.attentions.0.{attention[rest[2]]}.{rest[3]}"
            tensor = tensor.flatten(1) if tensor.ndim == 4 else tensor
        elif rest[0] == "mid":
            new = f"{side}.mid_block.resnets.{int(rest[1][-1]) - 1}.{'.'.join(rest[2:])}"
        else:
            new = ".".join((side, rest[0].replace("norm_out", "conv_norm_out"), rest[1]))
        out[new] = tensor
    return out


def is_linear(name: str, tensor: Tensor) -> bool:
    return tensor.ndim == 2 and name.endswith(".weight") and not name.startswith("shared") and "bias" not in name


def scaled_fp8(state: State, marker: str = "scaled_fp8") -> tuple[State, State]:
    """ComfyUI's scaled fp8, and what it means."""
    out, truth = {marker: torch.zeros(0, dtype=E4)}, {}
    for name, tensor in state.items():
        if is_linear(name, tensor):
            scale = tensor.abs().max() / 448
            out[name] = (tensor / scale).to(E4)
            out[name.removesuffix("weight") + "scale_weight"] = scale.reshape(())
            out[name.removesuffix("weight") + "scale_input"] = torch.tensor(1.0)
            truth[name] = out[name].float() * scale
        else:
            out[name] = truth[name] = tensor
    return out, truth


def comfy_quant(state: State) -> tuple[State, State]:
    """The same in ComfyUI's later spelling, with a JSON of bytes beside each weight."""
    stored, truth = scaled_fp8(state)
    del stored["scaled_fp8"]
    out = {}
    for name, tensor in stored.items():
        out[name.replace(".scale_weight", ".weight_scale").replace(".scale_input", ".input_scale")] = tensor
        if name.endswith(".scale_weight"):
            words = json.dumps({"format": "float8_e4m3fn"}).encode()
            out[name.removesuffix("scale_weight") + "comfy_quant"] = torch.tensor(list(words), dtype=torch.uint8)
    return out, truth


def int8_rows(state: State) -> tuple[State, State]:
    """bitsandbytes' int8 rows, and what they mean."""
    out, truth = {}, {}
    for name, tensor in state.items():
        if is_linear(name, tensor):
            largest = tensor.abs().amax(1)
            out[name] = (tensor * (127 / largest)[:, None]).round().to(torch.int8)
            out[name.removesuffix("weight") + "SCB"] = largest
            out[name.removesuffix("weight") + "weight_format"] = torch.tensor(0, dtype=torch.uint8)
            truth[name] = out[name].float() * (largest / 127)[:, None]
        else:
            out[name] = truth[name] = tensor
    return out, truth


def save_gguf(
    path: Path, state: State, kind: str, named: Callable[[str], str] = str, arch: str = "flux"
) -> tuple[Path, State]:
    """A GGUF file with matrices in blocks of `kind` where they fit, and what it means."""
    writer, truth = gguf.GGUFWriter(path, arch), {}
    for name, tensor in state.items():
        fits = tensor.ndim == 2 and tensor.shape[1] % 32 == 0 and tensor.numel() > 1024
        kind_ = gguf.GGMLQuantizationType[kind if fits else "F32"]
        data = gguf.quants.quantize(tensor.numpy(), kind_)
        writer.add_tensor(named(name), data, raw_dtype=kind_)
        numbers = gguf.quants.dequantize(np.array(data), kind_)
        truth[name] = torch.from_numpy(numbers.astype(np.float32)).reshape(tensor.shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path, truth


def t5_gguf_name(name: str) -> str:
    """llama.cpp's name of a T5 parameter."""
    short = {
        "layer.0.SelfAttention.q": "attn_q", "layer.0.SelfAttention.k": "attn_k", "layer.0.SelfAttention.v": "attn_v",
        "layer.0.SelfAttention.o": "attn_o", "layer.0.layer_norm": "attn_norm", "layer.1.layer_norm": "ffn_norm",
        "layer.0.SelfAttention.relative_attention_bias": "attn_rel_b", "layer.1.DenseReluDense.wi_0": "ffn_gate",
        "layer.1.DenseReluDense.wi_1": "ffn_up", "layer.1.DenseReluDense.wo": "ffn_down",
    }  # fmt: skip
    if name == "shared.weight":
        return "token_embd.weight"
    if name == "encoder.final_layer_norm.weight":
        return "enc.output_norm.weight"
    _, _, number, rest = name.split(".", 3)
    body, leaf = rest.rsplit(".", 1)
    return f"enc.blk.{number}.{short[body]}.{leaf}"


def all_in_one(fp8: bool = False) -> tuple[State, State, State, State, State]:
    """ComfyUI's file of everything, and what its transformer, CLIP, T5 and autoencoder are."""
    flux, text, long, vae = flux_state(), clip_state(), t5_state(), vae_state()
    stored_flux, flux = scaled_fp8(flux) if fp8 else (flux, flux)
    stored_long, long = scaled_fp8(long) if fp8 else (long, long)
    file = {
        **under("model.diffusion_model.", stored_flux),
        **under("text_encoders.clip_l.transformer.text_model.", text),
        "text_encoders.clip_l.transformer.text_projection.weight": torch.eye(128),
        "text_encoders.clip_l.transformer.text_model.embeddings.position_ids": torch.arange(77)[None],
        "text_encoders.clip_l.logit_scale": torch.tensor(4.6),
        **under("text_encoders.t5xxl.transformer.", stored_long),
        "text_encoders.t5xxl.logit_scale": torch.tensor(4.6),
        **under("vae.", vae),
    }
    return file, flux, text, long, vae


def shards(folder: Path, state: State, count: int, stem: str, config: dict[str, object]) -> Path:
    """A component folder in several files with an index, as diffusers writes it."""
    weight_map: dict[str, str] = {}
    names = list(state)
    for i in range(count):
        file = f"{stem}-{i + 1:05d}-of-{count:05d}.safetensors"
        part = names[i::count]
        save(folder / file, {name: state[name] for name in part})
        weight_map |= dict.fromkeys(part, file)
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (folder / "config.json").write_text(json.dumps(config))
    return folder
