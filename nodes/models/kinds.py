"""What a file holds when no family claims it, so that a refusal can say so.

A table of names that only one kind of file has. It never decides what is loaded.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from nodes.models.weights.gguf import BLOCKS
from nodes.models.weights.quantized import quantisation
from nodes.models.weights.tensor import Header, shown


class Kind(NamedTuple):
    """A kind of file, known by any of these marks inside a tensor's name; `fix` says where it belongs."""

    title: str
    marks: tuple[str, ...]
    fix: str = "Choose a model of a family that is listed in the README."


LORA = "A LoRA changes a model: load the model first, then put the LoRA on it."
ADDED = "It is added to a model and is none by itself; load the model first."
VAE = "Load it as a VAE, beside a transformer."
ENCODER = "Load it as a text encoder, beside a transformer."

KINDS = (
    Kind("a LoRA", (".lora_A.", ".lora_B.", ".lora_down.", ".lora_up."), LORA),
    Kind("a LoRA", (".lora.down.", ".lora.up.", "_lora1.", "_lora2."), LORA),
    Kind("a LoKr or LoHa", (".lokr_w", ".hada_w", ".oft_blocks", ".glora_"), LORA),
    Kind("an IP-adapter", ("ip_adapter_proj_model.", "ip_adapter."), ADDED),
    Kind("a ControlNet", ("controlnet_blocks.", "controlnet_x_embedder", "control_model."), ADDED),
    Kind("a ControlNet", ("input_hint_block.", "pos_embed_input."), ADDED),
    Kind("a Flux Redux adapter", ("redux_up.weight",), ADDED),
    Kind("a Chroma transformer", ("distilled_guidance_layer.",)),
    Kind("a Flux.2 transformer", ("single_stream_modulation.", "double_stream_modulation_")),
    Kind("a HunyuanVideo transformer", ("txt_in.individual_token_refiner.",)),
    Kind("an AuraFlow transformer", ("double_layers.0.attn.w1q.", "joint_transformer_blocks.0.attn.add_k_proj.")),
    Kind("a Lumina-Image 2.0 transformer", ("context_refiner.0.",)),
    Kind("a part of a Lumina-T2I 5B transformer (Flag-DiT)", ("eol_token",)),
    Kind("a Lumina transformer", ("cap_embedder.", "time_caption_embed.caption_embedder.")),
    Kind("a Stable Diffusion 3 transformer", ("joint_blocks.0.context_block.", "pos_embed.proj.")),
    Kind("a Stable Diffusion UNet", ("input_blocks.0.0.", "down_blocks.0.resnets.0.time_emb_proj.")),
    Kind("a T5 text encoder", ("SelfAttention.relative_attention_bias.", "enc.blk.0.attn_rel_b."), ENCODER),
    Kind("a CLIP text encoder", ("embeddings.token_embedding.",), ENCODER),
    Kind("a picture encoder", ("vision_model.", "visual.transformer."), ADDED),
    Kind("an autoencoder", ("decoder.conv_in.", "taesd_decoder.", "decoder.layers.0."), VAE),
    Kind("a language model", ("self_attn.q_proj.", "blk.0.attn_q.", "h.0.attn.c_attn."), ENCODER),
)


def kind_of(header: Header) -> Kind | None:
    """The first kind whose marks the file has; None when it has those of none."""
    names = "\n".join(header.tensors)
    return next((kind for kind in KINDS if any(mark in names for mark in kind.marks)), None)


def statistics(header: Header) -> str:
    """A file in one line: how many tensors and numbers, in what, under which names."""
    groups = Counter(name.split(".")[0] for name in header.tensors)
    some = ", ".join(f"{shown(name, 40)} ({count})" for name, count in groups.most_common(4))
    packing = quantisation(header)
    return (
        f"{len(header.tensors):,} tensors, {header.parameters:,} numbers, mostly {main_dtype(header)}"
        f"{', packed as ' + packing if packing else ''}; names begin with {some or 'nothing'}"
    )


def blocks(header: Header) -> str:
    """How many tensors are in which of GGUF's blocks: "Q4_K × 304, Q6_K × 38"; "" when none is."""
    found = Counter(info.dtype for info in header.tensors.values() if BLOCKS.get(info.dtype, (1, 0))[0] > 1)
    return ", ".join(f"{name} × {number}" for name, number in found.most_common())


def main_dtype(header: Header) -> str:
    """The dtype that most bytes are in; "" for no tensors."""
    sizes: Counter[str] = Counter()
    for info in header.tensors.values():
        sizes[info.dtype] += info.nbytes
    return sizes.most_common(1)[0][0] if sizes else ""
