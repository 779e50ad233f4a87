"""How a file says it is Lumina-Next or Lumina-T2I, how large it is, and where each parameter is in it.

In memory a transformer has the names of the original files (`consolidated_ema.00-of-01.safetensors`). A file has
those, or diffusers', under a prefix or none. diffusers has no Lumina-T2I; of Lumina-Next it keeps the queries of
attention to the text a second time; they are copies, and that they are is made sure of when they are read. Reads
headers only; knows nothing of torch.
"""

from __future__ import annotations

from nodes.models.lumina.config import Config
from nodes.models.weights.naming import Naming, numbered
from nodes.models.weights.part import Part, count, given, matrix
from nodes.models.weights.pieces import Source, Target, same_names
from nodes.models.weights.tensor import Header, bad_file

PREFIXES = ("model.diffusion_model.", "model.", "transformer.", "diffusion_model.", "")
ORIGINAL = ("layers.0.attention.wk_y.weight", "layers.0.attention_norm1.weight", "cap_embedder.1.weight")
FLAG = ("layers.0.attention.wk_y.weight", "layers.0.attention_norm.weight", "eol_token", "cap_embedder.1.weight")
DIFFUSERS = ("layers.0.attn2.to_k.weight", "layers.0.gate", "time_caption_embed.caption_embedder.1.weight")
MAX_LAYERS = 512

# Never packed: the ends of the network, which every token passes.
KEPT = ("x_embedder", "t_embedder.", "cap_embedder.", "final_layer.")

# original → diffusers.
ENDS = {
    "x_embedder": ("patch_embedder.proj",),
    "t_embedder.mlp.0": ("time_caption_embed.timestep_embedder.linear_1",),
    "t_embedder.mlp.2": ("time_caption_embed.timestep_embedder.linear_2",),
    "cap_embedder.0": ("time_caption_embed.caption_embedder.0",),
    "cap_embedder.1": ("time_caption_embed.caption_embedder.1",),
    "final_layer.linear": ("norm_out.linear_2",),
    "final_layer.adaLN_modulation.1": ("norm_out.linear_1",),
}
BLOCK = {
    "attention.wq": ("attn1.to_q",),
    "attention.wk": ("attn1.to_k",),
    "attention.wv": ("attn1.to_v",),
    "attention.wk_y": ("attn2.to_k",),
    "attention.wv_y": ("attn2.to_v",),
    "attention.wo": ("attn2.to_out.0",),
    "attention.q_norm": ("attn1.norm_q",),
    "attention.k_norm": ("attn1.norm_k",),
    "attention.ky_norm": ("attn2.norm_k",),
    "attention_norm1": ("norm1.norm",),
    "attention_norm2": ("norm2",),
    "attention_y_norm": ("norm1_context",),
    "ffn_norm1": ("ffn_norm1",),
    "ffn_norm2": ("ffn_norm2",),
    "feed_forward.w1": ("feed_forward.linear_1",),
    "feed_forward.w2": ("feed_forward.linear_2",),
    "feed_forward.w3": ("feed_forward.linear_3",),
    "adaLN_modulation.1": ("norm1.linear",),
}
COPIES = {"attn2.to_q.weight": "attn1.to_q.weight", "attn2.norm_q.weight": "attn1.norm_q.weight"}
COPIES |= {"attn2.norm_q.bias": "attn1.norm_q.bias"}


def match(header: Header) -> Part | None:
    """The Lumina-Next or Lumina-T2I transformer in this file, or None when there is none.

    Raises Refused when it is one and its sizes cannot be known, or blocks are left out.
    """
    for prefix in PREFIXES:
        for layout, names in (("original", ORIGINAL), ("original", FLAG), ("diffusers", DIFFUSERS)):
            if all(prefix + name in header for name in names):
                inner = header.under(prefix)
                if any(".lora_" in name for name in inner.tensors):
                    return None
                config = _config(inner, layout, names is FLAG)
                return Part("transformer", inner, layout, config, prefix, _variant(config))
    return None


def _variant(config: Config) -> str:
    if config.flag:
        return "Lumina-T2I (Flag-DiT)"
    return "Lumina-Next" if config.kv_heads < config.heads else "Lumina-Next without shared heads"


def rename(part: Part) -> dict[str, Source]:
    """Where each parameter is: original name → pieces of the file."""
    return same_names(part.header) if part.layout == "original" else dict(naming(part.config).sources(part.header))


def naming(config: Config) -> Naming:
    """What diffusers calls each part."""
    bare = {f"layers.{i}.attention.gate": f"layers.{i}.gate" for i in range(config.layers)}
    return Naming(ENDS | numbered(BLOCK, "layers", "layers", config.layers), bare={"pad_token": "pad_token", **bare})


def copies(part: Part) -> dict[str, str]:
    """Stored tensors that are others once more: name → name of the one that is read."""
    found = {}
    for name in part.header.tensors:
        block, _, rest = name.partition(".attn2.")
        if f"attn2.{rest}" in COPIES:
            found[name] = f"{block}.{COPIES[f'attn2.{rest}']}"
    return found


def aliases(config: Config) -> dict[str, Target]:
    """Every name that a Linear may have in a LoRA's file beside its own: diffusers', which has no Lumina-T2I.

    What it has for the queries to the text must be what it has for those to the picture: they are one matrix here.
    """
    if config.flag:
        return {}
    found = naming(config).targets()
    for i in range(config.layers):
        found[f"layers.{i}.attn2.to_q"] = Target(f"layers.{i}.attention.wq", copy=True)
    return found


def _config(header: Header, layout: str, flag: bool) -> Config:
    """The sizes, from the shapes; what it was trained on, and the norms' ε, from config.json or as released."""
    original = layout == "original"
    width, columns = matrix(header, "x_embedder.weight" if original else "patch_embedder.proj.weight")
    block = "layers.0.attention." if original else "layers.0."
    heads = (header.shape(block + "gate") or (0,))[0]
    shared = matrix(header, block + ("wk.weight" if original else "attn1.to_k.weight"))[0]
    text = matrix(header, block + ("wk_y.weight" if original else "attn2.to_k.weight"))[1]
    mlp = matrix(header, "layers.0.feed_forward." + ("w1.weight" if original else "linear_1.weight"))[0]
    out = matrix(header, "final_layer.linear.weight" if original else "norm_out.linear_2.weight")[0]
    ends = "t_embedder.mlp.0.weight" if original else "time_caption_embed.timestep_embedder.linear_1.weight"
    condition = matrix(header, ends)[0]
    layers = count(header, "layers")
    sound = min(width, columns, heads, shared, text, mlp, out, condition) > 0 and heads <= width
    if not sound or columns % 4 or out % 4 or width % heads or shared % (width // heads):
        title = "Lumina-T2I" if flag else "Lumina-Next"
        what = f"Its shapes are not {title}'s: width {width}, {heads} heads, keys {shared}, {columns} → {out}."
        raise bad_file(header.path, what)
    if not 0 < layers <= MAX_LAYERS:
        raise bad_file(header.path, "Its blocks are not numbered 0, 1, 2, … without a gap.")
    eps, side = given(header.config, "norm_eps"), given(header.config, "sample_size")
    return Config(
        latent_channels=columns // 4,
        out_channels=out // 4,
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=shared // (width // heads),
        text_width=text,
        mlp=mlp,
        condition=condition,
        qk_norm=block + ("q_norm.weight" if original else "attn1.norm_q.weight") in header,
        eps=eps if type(eps) is float and 0 < eps < 1 else Config().eps,
        side=side if type(side) is int and 4 <= side <= 4096 else Config().side,
        flag=flag,
    )
