"""How a file says it is Flux.1, how large it is, and where each parameter is in it.

In memory a transformer has the names of the original files. A file has those, or diffusers', under a prefix or none.
Flux.1 is told from its relatives by tensors that only they have. Reads headers only; knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graph_runtime.problem import Problem, Refused
from nodes.models.flux1.config import Config
from nodes.models.weights.naming import Naming, numbered
from nodes.models.weights.part import Part, count, given, matrix
from nodes.models.weights.pieces import Source, Target, same_names
from nodes.models.weights.tensor import Header, bad_file, shown

PREFIXES = ("model.diffusion_model.", "model.", "transformer.", "diffusion_model.", "")
ORIGINAL = ("double_blocks.0.img_attn.norm.key_norm.scale", "img_in.weight", "vector_in.in_layer.weight")
DIFFUSERS = (
    "x_embedder.weight",
    "transformer_blocks.0.attn.norm_added_k.weight",
    "single_transformer_blocks.0.proj_mlp.weight",
    "time_text_embed.text_embedder.linear_1.weight",
)
# Beginnings of names that a relative has and Flux.1 has not.
RELATIVES = (
    "distilled_guidance_layer.",  # Chroma
    "single_stream_modulation.",  # Flux.2
    "double_stream_modulation_",  # Flux.2
    "early_stream_modulations.",  # Flux 3
    "txt_in.individual_token_refiner.",  # HunyuanVideo
    "pos_embed.",  # SD3
    "controlnet_",  # a ControlNet for Flux.1
    "pos_embed_input.",
    "input_hint_block.",
)
FIRST = "transformer_blocks.0"
USUAL_AXES = {128: (16, 56, 56)}
MAX_BLOCKS = 512
# Input features over output features: what else the input holds beside the latent.
VARIANTS = {1: "", 2: "-control", 6: "-fill"}

# Never packed, as in published GGUF files: the ends of the network, a hundredth of it, which every token passes.
KEPT = ("img_in", "txt_in", "time_in.", "vector_in.", "guidance_in.", "final_layer.")

# original → diffusers, one below the other where there are several.
ENDS = {
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in.in_layer": ("time_text_embed.timestep_embedder.linear_1",),
    "time_in.out_layer": ("time_text_embed.timestep_embedder.linear_2",),
    "guidance_in.in_layer": ("time_text_embed.guidance_embedder.linear_1",),
    "guidance_in.out_layer": ("time_text_embed.guidance_embedder.linear_2",),
    "vector_in.in_layer": ("time_text_embed.text_embedder.linear_1",),
    "vector_in.out_layer": ("time_text_embed.text_embedder.linear_2",),
    "final_layer.linear": ("proj_out",),
}
SWAPPED = ("final_layer.adaLN_modulation.1", "norm_out.linear")  # [shift, scale] here, [scale, shift] there
DOUBLE = {
    "img_mod.lin": ("norm1.linear",),
    "txt_mod.lin": ("norm1_context.linear",),
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "img_attn.proj": ("attn.to_out.0",),
    "txt_attn.proj": ("attn.to_add_out",),
    "img_mlp.0": ("ff.net.0.proj",),
    "img_mlp.2": ("ff.net.2",),
    "txt_mlp.0": ("ff_context.net.0.proj",),
    "txt_mlp.2": ("ff_context.net.2",),
}
SINGLE = {
    "modulation.lin": ("norm.linear",),
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    "linear2": ("proj_out",),
}
DOUBLE_NORMS = {
    "img_attn.norm.query_norm": ("attn.norm_q",),
    "img_attn.norm.key_norm": ("attn.norm_k",),
    "txt_attn.norm.query_norm": ("attn.norm_added_q",),
    "txt_attn.norm.key_norm": ("attn.norm_added_k",),
}
SINGLE_NORMS = {"norm.query_norm": ("attn.norm_q",), "norm.key_norm": ("attn.norm_k",)}


def match(header: Header) -> Part | None:
    """The Flux.1 transformer in this file, or None when there is none.

    Raises Refused when it is Flux.1 and its sizes cannot be known, or blocks are left out.
    """
    for prefix in PREFIXES:
        layout = _layout(header, prefix)
        if layout:
            inner = header.under(prefix)
            config = _config(inner, layout)
            variant = ("dev" if config.guidance else "schnell") + VARIANTS[config.in_channels // config.out_channels]
            return Part("transformer", inner, layout, config, prefix, variant)
    return None


def rename(part: Part) -> dict[str, Source]:
    """Where each parameter is: original name → pieces of the file."""
    return same_names(part.header) if part.layout == "original" else dict(naming(part.config).sources(part.header))


def naming(config: Config) -> Naming:
    """What diffusers calls each part."""
    double = "double_blocks", "transformer_blocks", config.double_blocks
    single = "single_blocks", "single_transformer_blocks", config.single_blocks
    return Naming(
        ENDS | numbered(DOUBLE, *double) | numbered(SINGLE, *single),
        rows=(config.width,) * 3 + (config.mlp_ratio * config.width,),
        scales=numbered(DOUBLE_NORMS, *double) | numbered(SINGLE_NORMS, *single),
        swapped=SWAPPED,
    )


def aliases(config: Config) -> dict[str, Target]:
    """Every name that a Linear may have in a LoRA's file beside its own: diffusers', and x-labs'."""
    found = naming(config).targets()
    for i in range(config.double_blocks):
        for number, stream in (("1", "img"), ("2", "txt")):
            for name in ("qkv", "proj"):
                theirs = f"double_blocks.{i}.processor.{name}_lora{number}"
                found[theirs] = Target(f"double_blocks.{i}.{stream}_attn.{name}")
    for i in range(config.single_blocks):
        found[f"single_blocks.{i}.processor.qkv_lora"] = Target(f"single_blocks.{i}.linear1", 0, 3 * config.width)
        found[f"single_blocks.{i}.processor.proj_lora"] = Target(f"single_blocks.{i}.linear2")
    return found


def _layout(header: Header, prefix: str) -> str:
    for layout, names in (("original", ORIGINAL), ("diffusers", DIFFUSERS)):
        if all(prefix + name in header for name in names):
            relatives = tuple(prefix + name for name in RELATIVES)
            foreign = any(name.startswith(relatives) or ".lora_" in name for name in header.tensors)
            return "" if foreign else layout
    return ""


def _config(header: Header, layout: str) -> Config:
    """The sizes, from the shapes; the axes from config.json unless the heads have the usual size."""
    original = layout == "original"
    rows, columns = matrix(header, "img_in.weight" if original else "x_embedder.weight")
    text = matrix(header, "txt_in.weight" if original else "context_embedder.weight")[1]
    pooled = matrix(header, "vector_in.in_layer.weight" if original else DIFFUSERS[3])[1]
    out = matrix(header, "final_layer.linear.weight" if original else "proj_out.weight")[0]
    head = (header.shape(ORIGINAL[0] if original else DIFFUSERS[1]) or (0,))[-1]
    double = count(header, "double_blocks" if original else "transformer_blocks")
    single = count(header, "single_blocks" if original else "single_transformer_blocks")
    mlp = matrix(header, "double_blocks.0.img_mlp.0.weight" if original else f"{FIRST}.ff.net.0.proj.weight")
    guidance = any(name.startswith(("guidance_in.", "time_text_embed.guidance_embedder.")) for name in header.tensors)
    if min(rows, columns, text, pooled, out, head, mlp[0]) < 1 or rows % head or mlp[0] % rows:
        raise bad_file(header.path, f"Its shapes are not Flux.1's: width {rows}, heads of {head}, {columns} → {out}.")
    if not 0 < double <= MAX_BLOCKS or not 0 < single <= MAX_BLOCKS:
        raise bad_file(header.path, "Its blocks are not numbered 0, 1, 2, … without a gap.")
    if columns % out or columns // out not in VARIANTS:
        raise bad_file(header.path, f"Its input has {columns} features and its output {out}; that is no Flux.1 known.")
    return Config(
        in_channels=columns,
        out_channels=out,
        width=rows,
        heads=rows // head,
        double_blocks=double,
        single_blocks=single,
        text_width=text,
        pooled_width=pooled,
        axes=_axes(header, head),
        theta=_theta(header.config),
        guidance=guidance,
        mlp_ratio=mlp[0] // rows,
    )


def _axes(header: Header, head: int) -> tuple[int, ...]:
    """How many features of a head each position axis turns. No tensor tells it."""
    axes = given(header.config, "axes_dims_rope", "axes_dim", "axes")
    if isinstance(axes, list) and len(axes) == 3 and all(type(n) is int and 0 < n <= head for n in axes):
        return tuple(axes)
    if head in USUAL_AXES:
        return USUAL_AXES[head]
    what = f"Its heads have {head} features; how they divide into position axes is not in the file."
    fix = 'Give it a config.json with "axes_dims_rope", or the diffusers folder of this model.'
    raise Refused(Problem("unknown-axes", shown(header.path.name), what, fix))


def _theta(config: Mapping[str, Any]) -> int:
    theta = config.get("theta")
    return theta if type(theta) is int and theta > 0 else Config().theta
