"""How a file says it holds a language model that a family reads prompts with, and where each parameter is in it.

Known are Mistral 3 (Flux.2 dev), Qwen3 (Flux.2 klein) and LLaMA 2 (Lumina-T2I). A file has transformers' names under
one of several prefixes, or llama.cpp's (GGUF); it may hold more than is used: layers above the last one that is read,
an output layer, an eye.
`within` cuts a part down to what is. Sizes come from shapes; what no shape tells comes from config.json or is the
published model's. Reads headers only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from graph_runtime.problem import Problem, Refused
from nodes.models.weights.part import Part, count, given, matrix
from nodes.models.weights.pieces import Source, same_names, whole
from nodes.models.weights.tensor import Header, bad_file, shown

ANCHOR = "layers.0.self_attn.q_proj.weight"
ANCHOR_GGUF = "blk.0.attn_q.weight"
# What stands before `layers.` in a file, the longest first; what stands before that is the file's own prefix.
INSIDE = ("language_model.model.", "model.language_model.", "model.", "")
TEKKEN = "tekken_model"
ASIDE = (TEKKEN, "spiece_model", "tokenizer_json", "rotary_emb.inv_freq", "logit_scale")
VISION = ("vision_tower.", "multi_modal_projector.")
MAX_LAYERS = 512
MISTRAL_WORDS = 131072  # of every Mistral vocabulary that Flux.2 was made with

LLAMA_WORDS = 32000  # of LLaMA 1 and 2; those that were trained further have a few more, and LLaMA 3 four times as many

KINDS = ("language", "llama")
"""The kinds of part. LLaMA is one of its own, because what reads with it does so otherwise."""

# type → what a person calls it, and the numbers no shape tells: features of a head, epsilon, base of the turns.
KNOWN: dict[str, tuple[str, int, float, float]] = {
    "mistral": ("Mistral", 128, 1e-5, 1e9),
    "qwen3": ("Qwen3", 128, 1e-6, 1e6),
    "llama": ("LLaMA", 128, 1e-5, 1e4),
}
# The layers that are read: those of Flux.2's published models, or the same quarters of a smaller one; else the last.
PUBLISHED = {"mistral": (10, 20, 30), "qwen3": (9, 18, 27)}

# llama.cpp → transformers, inside block i and outside.
GGUF_BLOCK = {
    **{f"attn_{short}": f"self_attn.{short}_proj" for short in "qkv"},
    **{"attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"},
    **{f"ffn_{short}": f"mlp.{short}_proj" for short in ("gate", "up", "down")},
    **{"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"},
}
GGUF_OUTSIDE = {
    "token_embd.weight": "embed_tokens.weight",
    "output_norm.weight": "norm.weight",
    "output.weight": "lm_head.weight",
}


def match(header: Header) -> Part | None:
    """The language model in this file, or None when there is none that a family reads with.

    Raises Refused when its sizes cannot be known.
    """
    for name in header.tensors:
        if name == ANCHOR or name.endswith("." + ANCHOR):
            before = name.removesuffix(ANCHOR)
            inside = next(one for one in INSIDE if before.endswith(one))
            outer = before.removesuffix(inside)
            inner = header.under(outer)
            kind = "" if before.endswith("encoder.") else _type(inner, inside)
            if kind:
                found = _named(inner).without(lambda inside: inside.endswith(ASIDE))
                return _part(found, kind, "original", outer, header)
        elif name == ANCHOR_GGUF:
            inner = header.renamed(_from_gguf)
            kind = _type(inner, "")
            if kind:
                return _part(inner.without(lambda inside: inside.startswith("rope_freqs")), kind, "gguf", "", header)
    return None


def usual_layers(kind: str, total: int) -> tuple[int, ...]:
    """The layers that are read when nobody says: of a model too small for the published ones, its quarters."""
    if kind not in PUBLISHED:
        return (total,)
    published = PUBLISHED[kind]
    return published if total >= published[-1] else tuple(max(i, total * i // 4) for i in (1, 2, 3))


def within(part: Part, reach: int) -> Part:
    """The part with its first `reach` layers only: 0 is as many as are read, −1 all, with all that it writes with.

    Raises Refused when there are not so many, or nothing to write with.
    """
    decoder = part.config["decoder"]
    total, writes = decoder["layers"], reach < 0
    reach = total if writes else reach or max(usual_layers(part.config["type"], total))
    if reach > total:
        what = f"its layer {reach} was asked for, but it has {total}."
        raise bad_file(part.header.path, f"Of {part.variant}, {what}", "Ask for lower layers, or use the whole model.")
    tied = "lm_head.weight" not in part.header
    if writes and (not decoder["final_norm"] or (tied and not decoder["tied"])):
        what = f"This {part.variant} only reads: its output layer was left out of the file."
        raise bad_file(part.header.path, what, "Use the text encoder of the diffusers folder, which can also write.")
    normed = decoder["final_norm"] and reach == total
    changed = {"layers": reach, "writes": writes, "final_norm": normed, "tied": tied}
    vision = part.config["vision"] if writes else None
    config = {**part.config, "decoder": {**decoder, **changed}, "vision": vision}
    config["total"] = total
    header = part.header.without(lambda name: not _needed(name, reach, normed, writes, vision is not None))
    return replace(part, header=header, config=config)


def rename(part: Part) -> dict[str, Source]:
    """Where each parameter is: transformers' name → piece of the file."""
    found = same_names(part.header)
    if part.config["decoder"]["writes"] and part.config["decoder"]["tied"]:
        found["lm_head.weight"] = whole("embed_tokens.weight")
    return found


def _needed(name: str, reach: int, normed: bool, writes: bool, sees: bool) -> bool:
    if name.startswith("layers."):
        number = name.split(".")[1]
        return not number.isdecimal() or int(number) < reach
    if name.startswith("norm."):
        return normed
    if name.startswith("lm_head."):
        return writes
    return sees if name.startswith(VISION) else True


def _type(header: Header, inside: str) -> str:
    """ "mistral", "qwen3", "llama", or "" for a language model that no family reads with.

    Where no config.json says it, LLaMA is told from Mistral's first models, of as many words, by heads that share no
    keys.
    """
    if any(mark in name for name in header.tensors for mark in ("feedforward_layernorm", "q_proj.bias", "experts.")):
        return ""
    if any(name.endswith("layers.0.self_attn.q_norm.weight") for name in header.tensors):
        return "qwen3"
    says = header.config.get("model_type")
    text = header.config.get("text_config")
    says = text.get("model_type", says) if isinstance(text, Mapping) else says
    words = next((info.shape[0] for name, info in header.tensors.items() if _is_embedding(name) and info.shape), 0)
    heads = {header.shape(f"{inside}layers.0.self_attn.{one}_proj.weight") for one in "qk"}
    if says == "llama" or (says is None and words == LLAMA_WORDS and len(heads) == 1):
        return "llama" if words < 2 * LLAMA_WORDS else ""
    known = says in ("mistral", "mistral3") or TEKKEN in header or words == MISTRAL_WORDS
    return "mistral" if known or inside.startswith("language_model") else ""


def _is_embedding(name: str) -> bool:
    return name == "embed_tokens.weight" or name.endswith(".embed_tokens.weight")


def _named(header: Header) -> Header:
    """Names as they are in memory: no prefix for the language model, the eye's own for the eye."""

    def named(name: str) -> str:
        for prefix in (*INSIDE[:2], "language_model.", "model."):
            if name.startswith(prefix):
                return name.removeprefix(prefix)
        return name

    return header.renamed(named)


def _from_gguf(name: str) -> str:
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in GGUF_BLOCK:
        return f"layers.{parts[1]}.{GGUF_BLOCK[parts[2]]}.{parts[3]}"
    return GGUF_OUTSIDE.get(name, name)


def _part(header: Header, kind: str, layout: str, prefix: str, stored: Header) -> Part:
    config = _own(header.config)
    vocabulary, width = matrix(header, "embed_tokens.weight")
    queries, keys = (matrix(header, f"layers.0.self_attn.{one}_proj.weight")[0] for one in "qk")
    inner = matrix(header, "layers.0.mlp.gate_proj.weight")[0]
    total = count(header, "layers")
    title, head, eps, theta = KNOWN[kind]
    told = (header.shape("layers.0.self_attn.q_norm.weight") or (config.get("head_dim") or head,))[-1]
    head = told if type(told) is int and told > 0 else head
    sound = min(vocabulary, width, queries, keys, inner, total) > 0 and total <= MAX_LAYERS and not head % 2
    if not sound or queries % head or keys % head or queries % keys:
        what = f"Its shapes are not {title}'s: width {width}, {total} layers, {queries} and {keys} in heads of {head}."
        raise bad_file(header.path, what, 'Give it the config.json of its model, for "head_dim" above all.')
    decoder = {
        "vocabulary": vocabulary, "width": width, "inner": inner, "layers": total, "heads": queries // head,
        "kv_heads": keys // head, "head": head, "theta": _theta(config, theta), "eps": _small(config, eps),
        "qk_norm": kind == "qwen3", "final_norm": "norm.weight" in header,
        "tied": bool(config) and header.config.get("tie_word_embeddings", config.get("tie_word_embeddings")) is True,
        "interleaved": layout == "gguf" and kind != "qwen3",
    }  # fmt: skip
    sees = all(any(name.startswith(start) for name in header.tensors) for start in VISION)
    vision = _vision(header, width, decoder["eps"]) if sees else None
    sizes = {"type": kind, "vocab_size": vocabulary, "decoder": decoder, "vision": vision, "total": total}
    tekken = next((info.path for name, info in stored.tensors.items() if name.endswith(TEKKEN)), None)
    billions = f"{title} {round(sum(info.elements for name, info in header.tensors.items()) / 1e9)}B"
    if kind == "llama" and not decoder["final_norm"]:
        what = "Of this LLaMA the norm after the last layer was left out, and it is read through that."
        raise bad_file(header.path, what, "Use the whole model.")
    part = "llama" if kind == "llama" else "language"
    return Part(part, header, layout, sizes, prefix, billions if width >= 1024 else title, tekken)


def _own(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a config.json says of the language model; {} when it is of another model, such as the transformer."""
    said = config.get("text_config")
    found = said if isinstance(said, Mapping) else config
    return found if "hidden_size" in found or "num_hidden_layers" in found else {}


def _vision(header: Header, text: int, eps: Any) -> dict[str, Any] | None:
    """Sizes of the eye; None when they are not Pixtral's."""
    said = header.config.get("vision_config")
    config: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    conv = header.shape("vision_tower.patch_conv.weight")
    merging = matrix(header, "multi_modal_projector.patch_merger.merging_layer.weight")
    inner = matrix(header, "vision_tower.transformer.layers.0.feed_forward.gate_proj.weight")[0]
    layers = count(header, "vision_tower.transformer.layers")
    if len(conv) != 4 or min(*conv, *merging, inner, layers) < 1 or layers > MAX_LAYERS or merging[1] % merging[0]:
        return None
    head, side = config.get("head_dim"), config.get("image_size")
    head = head if type(head) is int and head > 0 else 64
    merge = int((merging[1] // merging[0]) ** 0.5)
    if conv[0] % head or head % 4 or merge**2 * merging[0] != merging[1]:
        return None
    return {
        "width": conv[0], "inner": inner, "layers": layers, "heads": conv[0] // head, "patch": conv[2], "merge": merge,
        "side": side if type(side) is int and side >= conv[2] * merge else 1540, "theta": _theta(config, 1e4),
        "text": text, "text_eps": eps, "gelu": bool(config) and config.get("hidden_act", "gelu") != "silu",
    }  # fmt: skip


def _theta(config: Mapping[str, Any], usual: float) -> float:
    """Base of the turns; transformers 5 keeps it in a table of its own."""
    table = config.get("rope_parameters")
    value: Any = given(table if isinstance(table, Mapping) else {}, "rope_theta") or config.get("rope_theta")
    return float(value) if type(value) in (int, float) and 1 < value < 1e15 else usual


def _small(config: Mapping[str, Any], usual: float) -> float:
    value = config.get("rms_norm_eps")
    return value if type(value) is float and 0 < value < 1 else usual


def check_layers(part: Part, layers: Sequence[int]) -> None:
    """Raise Refused when a layer is asked for that the model has not; 0 is the embeddings."""
    total = part.config["total"]
    if not layers or min(layers) < 0 or max(layers) > total or list(layers) != sorted(set(layers)):
        what = f"layers {list(layers)} were asked for; {part.variant} has 0 to {total}, each can be read once."
        fix = f"Give rising numbers; {', '.join(map(str, usual_layers(part.config['type'], total)))} is usual."
        raise Refused(Problem("no-such-layer", shown(part.header.path.name), what, fix))
