"""How a file says it is AuraFlow, how large it is, and where each parameter is in it.

In memory a transformer has the names of the original files. A file has those, or diffusers', under a prefix or none;
GGUF files have the original ones. Reads headers only; knows nothing of torch.
"""

from __future__ import annotations

from math import isqrt

from graph_runtime.problem import Problem, Refused
from nodes.models.auraflow.config import Config
from nodes.models.weights.naming import Naming, numbered
from nodes.models.weights.part import Part, count, given, matrix
from nodes.models.weights.pieces import Source, Target, same_names
from nodes.models.weights.tensor import Header, bad_file, shown

PREFIXES = ("model.diffusion_model.", "model.", "transformer.", "diffusion_model.", "")
ORIGINAL = ("double_layers.0.attn.w1q.weight", "cond_seq_linear.weight", "positional_encoding")
DIFFUSERS = ("joint_transformer_blocks.0.attn.add_k_proj.weight", "register_tokens", "pos_embed.pos_embed")
HEAD = 256
"""Features of a head in every release. The norms of queries and keys have no weights, so no tensor tells it."""
MAX_BLOCKS = 512
LARGEST_GRID = 1024

# Never packed, as in published GGUF files: the ends of the network, which every token passes.
KEPT = ("init_x_linear", "t_embedder.", "cond_seq_linear", "modF.", "final_linear")

# original → diffusers.
ENDS = {
    "init_x_linear": ("pos_embed.proj",),
    "t_embedder.mlp.0": ("time_step_proj.linear_1",),
    "t_embedder.mlp.2": ("time_step_proj.linear_2",),
    "cond_seq_linear": ("context_embedder",),
    "final_linear": ("proj_out",),
}
TABLES = {"register_tokens": "register_tokens", "positional_encoding": "pos_embed.pos_embed"}
SWAPPED = ("modF.1", "norm_out.linear")  # [shift, scale] here, [scale, shift] there
DOUBLE = {
    "attn.w2q": ("attn.to_q",),
    "attn.w2k": ("attn.to_k",),
    "attn.w2v": ("attn.to_v",),
    "attn.w2o": ("attn.to_out.0",),
    "attn.w1q": ("attn.add_q_proj",),
    "attn.w1k": ("attn.add_k_proj",),
    "attn.w1v": ("attn.add_v_proj",),
    "attn.w1o": ("attn.to_add_out",),
    "modX.1": ("norm1.linear",),
    "modC.1": ("norm1_context.linear",),
    "mlpX.c_fc1": ("ff.linear_1",),
    "mlpX.c_fc2": ("ff.linear_2",),
    "mlpX.c_proj": ("ff.out_projection",),
    "mlpC.c_fc1": ("ff_context.linear_1",),
    "mlpC.c_fc2": ("ff_context.linear_2",),
    "mlpC.c_proj": ("ff_context.out_projection",),
}
SINGLE = {
    "attn.w1q": ("attn.to_q",),
    "attn.w1k": ("attn.to_k",),
    "attn.w1v": ("attn.to_v",),
    "attn.w1o": ("attn.to_out.0",),
    "modCX.1": ("norm1.linear",),
    "mlp.c_fc1": ("ff.linear_1",),
    "mlp.c_fc2": ("ff.linear_2",),
    "mlp.c_proj": ("ff.out_projection",),
}


def match(header: Header) -> Part | None:
    """The AuraFlow transformer in this file, or None when there is none.

    Raises Refused when it is AuraFlow and its sizes cannot be known, or blocks are left out.
    """
    for prefix in PREFIXES:
        for layout, names in (("original", ORIGINAL), ("diffusers", DIFFUSERS)):
            if all(prefix + name in header for name in names):
                inner = header.under(prefix)
                if any(".lora_" in name for name in inner.tensors):
                    return None
                return Part("transformer", inner, layout, _config(inner, layout), prefix, "AuraFlow")
    return None


def rename(part: Part) -> dict[str, Source]:
    """Where each parameter is: original name → pieces of the file."""
    return same_names(part.header) if part.layout == "original" else dict(naming(part.config).sources(part.header))


def naming(config: Config) -> Naming:
    """What diffusers calls each part."""
    double = numbered(DOUBLE, "double_layers", "joint_transformer_blocks", config.double_blocks)
    single = numbered(SINGLE, "single_layers", "single_transformer_blocks", config.single_blocks)
    return Naming(ENDS | double | single, swapped=SWAPPED, bare=TABLES)


def aliases(config: Config) -> dict[str, Target]:
    """Every name that a Linear may have in a LoRA's file beside its own: diffusers'."""
    return naming(config).targets()


def _config(header: Header, layout: str) -> Config:
    """The sizes, from the shapes; the heads from config.json, or as wide as in every release."""
    original = layout == "original"
    rows, columns = matrix(header, "init_x_linear.weight" if original else "pos_embed.proj.weight")
    text = matrix(header, "cond_seq_linear.weight" if original else "context_embedder.weight")[1]
    first = "double_layers.0.mlpX.c_fc1.weight" if original else "joint_transformer_blocks.0.ff.linear_1.weight"
    mlp = matrix(header, first)[0]
    positions = header.shape("positional_encoding" if original else "pos_embed.pos_embed")
    registers = header.shape("register_tokens")
    double = count(header, "double_layers" if original else "joint_transformer_blocks")
    single = count(header, "single_layers" if original else "single_transformer_blocks")
    places, tokens = positions[-2:-1], registers[-2:-1]  # GGUF drops the leading axis of one
    sound = min(rows, columns, text, mlp, *(places or (0,)), *(tokens or (0,))) > 0
    if not sound or columns % 4 or isqrt(places[0]) ** 2 != places[0] or not places[0] <= LARGEST_GRID**2:
        what = f"Its shapes are not AuraFlow's: width {rows}, {columns} in, {list(positions)} positions, mlp {mlp}."
        raise bad_file(header.path, what)
    if not 0 < double <= MAX_BLOCKS or not 0 <= single <= MAX_BLOCKS:
        raise bad_file(header.path, "Its blocks are not numbered 0, 1, 2, … without a gap.")
    if tokens[0] > MAX_BLOCKS:
        raise bad_file(header.path, f"It has {tokens[0]:,} registers, which no AuraFlow has.")
    return Config(
        latent_channels=columns // 4,
        width=rows,
        heads=_heads(header, rows),
        double_blocks=double,
        single_blocks=single,
        text_width=text,
        mlp=mlp,
        grid=isqrt(places[0]),
        registers=tokens[0],
    )


def _heads(header: Header, width: int) -> int:
    """How many heads share the width. Refused when no config.json says and they are not of the usual size."""
    heads = given(header.config, "num_attention_heads")
    if type(heads) is int and heads > 0 and width % heads == 0:
        return heads
    if width % HEAD == 0:
        return width // HEAD
    what = f"Its width is {width}, which is no multiple of {HEAD}; how many heads it has is not in the file."
    fix = 'Give it a config.json with "num_attention_heads", or the diffusers folder of this model.'
    raise Refused(Problem("unknown-heads", shown(header.path.name), what, fix))
