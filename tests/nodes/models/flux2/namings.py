"""Flux.2's names in the files of others, written out a second time from the published files."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]

TOP = {
    "img_in": "x_embedder", "txt_in": "context_embedder", "final_layer.linear": "proj_out",
    "time_in.in_layer": "time_guidance_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_guidance_embed.timestep_embedder.linear_2",
    "guidance_in.in_layer": "time_guidance_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_guidance_embed.guidance_embedder.linear_2",
    "double_stream_modulation_img.lin": "double_stream_modulation_img.linear",
    "double_stream_modulation_txt.lin": "double_stream_modulation_txt.linear",
    "single_stream_modulation.lin": "single_stream_modulation.linear",
}  # fmt: skip
BLOCK = {
    "img_attn.norm.query_norm": "attn.norm_q", "img_attn.norm.key_norm": "attn.norm_k",
    "img_attn.proj": "attn.to_out.0", "img_mlp.0": "ff.linear_in", "img_mlp.2": "ff.linear_out",
    "txt_attn.norm.query_norm": "attn.norm_added_q", "txt_attn.norm.key_norm": "attn.norm_added_k",
    "txt_attn.proj": "attn.to_add_out", "txt_mlp.0": "ff_context.linear_in", "txt_mlp.2": "ff_context.linear_out",
    "linear1": "attn.to_qkv_mlp_proj", "linear2": "attn.to_out", "norm.query_norm": "attn.norm_q",
    "norm.key_norm": "attn.norm_k",
}  # fmt: skip


def to_diffusers(state: State, config: Any = None) -> State:
    """A transformer's original names → diffusers'."""
    out: State = {}
    for name, tensor in state.items():
        stem, leaf = name.rsplit(".", 1)
        if stem == "final_layer.adaLN_modulation.1":
            shift, scale = tensor.chunk(2)
            out["norm_out.linear.weight"] = torch.cat((scale, shift))
        elif stem in TOP:
            out[f"{TOP[stem]}.{leaf}"] = tensor
        else:
            kind, number, inner = stem.split(".", 2)
            block = f"{'single_' * (kind == 'single_blocks')}transformer_blocks.{number}."
            if inner.endswith(".qkv"):
                names = [f"attn.to_{x}" if inner[0] == "i" else f"attn.add_{x}_proj" for x in "qkv"]
                out |= {f"{block}{n}.weight": part for n, part in zip(names, tensor.chunk(3), strict=True)}
            else:
                out[f"{block}{BLOCK[inner]}.weight"] = tensor
    return out


def to_ae(state: State) -> State:
    """An autoencoder's names in memory → those of ae.safetensors."""
    out = {}
    for name, tensor in state.items():
        name = name.replace("post_quant_conv", "decoder.post_quant_conv")
        out["encoder." + name if name.startswith("quant_conv") else name] = tensor
    return {**out, "bn.num_batches_tracked": torch.tensor(7)}
