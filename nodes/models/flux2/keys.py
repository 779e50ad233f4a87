"""How a file says it is Flux.2, how large it is, and where each parameter is in it.

In memory a transformer has the names of the original files. A file has those, or diffusers', under a prefix or none.
Flux.2 is told from its relatives by the modulation that its blocks share. Reads headers only; knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graph_runtime.problem import Problem, Refused
from nodes.models.flux2.config import Config
from nodes.models.weights.naming import Naming, numbered
from nodes.models.weights.part import Part, count, given, matrix
from nodes.models.weights.pieces import Source, Target, same_names
from nodes.models.weights.tensor import Header, bad_file, shown

PREFIXES = ("model.diffusion_model.", "diffusion_model.", "model.", "transformer.", "net.", "")
ORIGINAL = (
    "double_stream_modulation_img.lin.weight",
    "img_in.weight",
    "txt_in.weight",
    "single_blocks.0.linear1.weight",
)
DIFFUSERS = (
    "double_stream_modulation_img.linear.weight",
    "x_embedder.weight",
    "context_embedder.weight",
    "single_transformer_blocks.0.attn.to_qkv_mlp_proj.weight",
)
MAX_BLOCKS = 512
# Text features → what a person calls a model that reads so many.
VARIANTS = {15360: "dev", 7680: "klein-4b", 12288: "klein-9b"}

# Never packed: the ends of the network and the modulation that all blocks share; every token passes them.
KEPT = ("img_in", "txt_in", "time_in.", "guidance_in.", "double_stream_", "single_stream_", "final_layer.")

# original → diffusers, one below the other where there are several.
ENDS = {
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in.in_layer": ("time_guidance_embed.timestep_embedder.linear_1",),
    "time_in.out_layer": ("time_guidance_embed.timestep_embedder.linear_2",),
    "guidance_in.in_layer": ("time_guidance_embed.guidance_embedder.linear_1",),
    "guidance_in.out_layer": ("time_guidance_embed.guidance_embedder.linear_2",),
    "double_stream_modulation_img.lin": ("double_stream_modulation_img.linear",),
    "double_stream_modulation_txt.lin": ("double_stream_modulation_txt.linear",),
    "single_stream_modulation.lin": ("single_stream_modulation.linear",),
    "final_layer.linear": ("proj_out",),
}
SWAPPED = ("final_layer.adaLN_modulation.1", "norm_out.linear")  # [shift, scale] here, [scale, shift] there
DOUBLE = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "img_attn.proj": ("attn.to_out.0",),
    "txt_attn.proj": ("attn.to_add_out",),
    "img_mlp.0": ("ff.linear_in",),
    "img_mlp.2": ("ff.linear_out",),
    "txt_mlp.0": ("ff_context.linear_in",),
    "txt_mlp.2": ("ff_context.linear_out",),
}
SINGLE = {"linear1": ("attn.to_qkv_mlp_proj",), "linear2": ("attn.to_out",)}
DOUBLE_NORMS = {
    "img_attn.norm.query_norm": ("attn.norm_q",),
    "img_attn.norm.key_norm": ("attn.norm_k",),
    "txt_attn.norm.query_norm": ("attn.norm_added_q",),
    "txt_attn.norm.key_norm": ("attn.norm_added_k",),
}
SINGLE_NORMS = {"norm.query_norm": ("attn.norm_q",), "norm.key_norm": ("attn.norm_k",)}
NORMS = tuple(f".{name}.weight" for name in (*DOUBLE_NORMS, *SINGLE_NORMS))


def match(header: Header) -> Part | None:
    """The Flux.2 transformer in this file, or None when there is none.

    Raises Refused when it is Flux.2 and its sizes cannot be known, or blocks are left out.
    """
    for prefix in PREFIXES:
        layout = _layout(header, prefix)
        if layout:
            inner = header.under(prefix)
            config = _config(inner, layout)
            variant = VARIANTS.get(config.text_width, "dev" if config.guidance else "klein")
            return Part("transformer", inner, layout, config, prefix, variant)
    return None


def rename(part: Part) -> dict[str, Source]:
    """Where each parameter is: original name → pieces of the file."""
    if part.layout == "diffusers":
        return dict(naming(part.config).sources(part.header))
    found = same_names(part.header)
    # Some tools write the norms of queries and keys as `weight`, where the original says `scale`.
    return {_scale(name): source for name, source in found.items()}


def naming(config: Config) -> Naming:
    """What diffusers calls each part."""
    double = "double_blocks", "transformer_blocks", config.double_blocks
    single = "single_blocks", "single_transformer_blocks", config.single_blocks
    return Naming(
        ENDS | numbered(DOUBLE, *double) | numbered(SINGLE, *single),
        rows=(config.width,) * 3,
        scales=numbered(DOUBLE_NORMS, *double) | numbered(SINGLE_NORMS, *single),
        swapped=SWAPPED,
    )


def aliases(config: Config) -> dict[str, Target]:
    """Every name that a Linear may have in a LoRA's file beside its own: diffusers'."""
    return naming(config).targets()


def _scale(name: str) -> str:
    return name.removesuffix("weight") + "scale" if name.endswith(NORMS) else name


def _layout(header: Header, prefix: str) -> str:
    for layout, names in (("original", ORIGINAL), ("diffusers", DIFFUSERS)):
        if all(prefix + name in header for name in names):
            return "" if any(".lora_" in name or "controlnet" in name for name in header.tensors) else layout
    return ""


def _config(header: Header, layout: str) -> Config:
    """The sizes, from the shapes."""
    original = layout == "original"
    rows, columns = matrix(header, "img_in.weight" if original else "x_embedder.weight")
    text = matrix(header, "txt_in.weight" if original else "context_embedder.weight")[1]
    out = matrix(header, "final_layer.linear.weight" if original else "proj_out.weight")[0]
    head = _head(header, original)
    double = count(header, "double_blocks" if original else "transformer_blocks")
    single = count(header, "single_blocks" if original else "single_transformer_blocks")
    mlp = matrix(header, "double_blocks.0.img_mlp.0.weight" if original else "transformer_blocks.0.ff.linear_in.weight")
    guidance = any(name.startswith(("guidance_in.", "time_guidance_embed.guidance_")) for name in header.tensors)
    if min(rows, columns, text, out, head, mlp[0]) < 1 or rows % head or mlp[0] % 2 or text % 3:
        raise bad_file(header.path, f"Its shapes are not Flux.2's: width {rows}, heads of {head}, {columns} → {out}.")
    if not 0 < double <= MAX_BLOCKS or not 0 < single <= MAX_BLOCKS:
        raise bad_file(header.path, "Its blocks are not numbered 0, 1, 2, … without a gap.")
    return Config(
        in_channels=columns,
        out_channels=out,
        width=rows,
        heads=rows // head,
        double_blocks=double,
        single_blocks=single,
        text_width=text,
        axes=_axes(header, head),
        theta=_theta(header.config),
        guidance=guidance,
        mlp=mlp[0] // 2,
    )


def _head(header: Header, original: bool) -> int:
    """Features of a head: the length of a norm over them."""
    stem = "single_blocks.0.norm.key_norm" if original else "single_transformer_blocks.0.attn.norm_k"
    names = (f"{stem}.scale", f"{stem}.weight")
    return next((shape[-1] for name in names if (shape := header.shape(name))), 0)


def _axes(header: Header, head: int) -> tuple[int, ...]:
    """How many features of a head each position axis turns: a quarter each, in every release."""
    axes = given(header.config, "axes_dims_rope", "axes_dim", "axes")
    if isinstance(axes, list) and len(axes) == 4 and all(type(n) is int and 0 < n <= head for n in axes):
        return tuple(axes)
    if head % 8 == 0:
        return (head // 4,) * 4
    what = f"Its heads have {head} features, which do not divide into four position axes of pairs."
    fix = 'Give it a config.json with "axes_dims_rope", or the diffusers folder of this model.'
    raise Refused(Problem("unknown-axes", shown(header.path.name), what, fix))


def _theta(config: Mapping[str, Any]) -> int:
    theta = given(config, "rope_theta", "theta")
    return theta if type(theta) is int and theta > 0 else Config().theta
