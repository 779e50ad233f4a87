"""How a file says it holds a text encoder, which kind, how large it is, and where each parameter is in it.

In memory both have the names of transformers' encoders: T5 `encoder.block.0…` with `shared.weight`, CLIP without
`text_model.`. A file may have a prefix, ComfyUI's or its own, or llama.cpp's names (GGUF). Sizes come from shapes; what
no shape tells comes from config.json or is the published model's. Reads headers only.
"""

from __future__ import annotations

from typing import Any

from nodes.models.encoders import language_keys
from nodes.models.weights.part import Part, count, given, matrix
from nodes.models.weights.pieces import Source, same_names, whole
from nodes.models.weights.tensor import Header, bad_file

CLIP = "embeddings.token_embedding.weight"
T5 = "encoder.block.0.layer.0.SelfAttention.q.weight"
T5_GGUF = "enc.blk.0.attn_q.weight"
GEMMA = "embed_tokens.weight"
GEMMA_VOCABULARY = 256000
EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight")
MAX_LAYERS = 128

# What a text encoder's file may hold beside it: buffers, the other half of CLIP or of T5, training's leftovers.
CLIP_ASIDE = ("position_ids", "logit_scale", "text_projection", "text_projection.weight")
T5_ASIDE = ("decoder.", "lm_head.", "logit_scale", "spiece_model", "tokenizer")

# llama.cpp → transformers, inside block i.
GGUF_NAMES = {
    "attn_q": "layer.0.SelfAttention.q",
    "attn_k": "layer.0.SelfAttention.k",
    "attn_v": "layer.0.SelfAttention.v",
    "attn_o": "layer.0.SelfAttention.o",
    "attn_norm": "layer.0.layer_norm",
    "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias",
    "ffn_gate": "layer.1.DenseReluDense.wi_0",
    "ffn_up": "layer.1.DenseReluDense.wi_1",
    "ffn_down": "layer.1.DenseReluDense.wo",
    "ffn_norm": "layer.1.layer_norm",
}


# Where the tokenizer of each kind lies beside its file, when it is not in a diffusers folder.
TOKENIZERS = {
    "clip": ("clip_tokenizer", "tokenizer"),
    "t5": ("t5_tokenizer", "tokenizer_2"),
    "umt5": ("umt5_tokenizer", "tokenizer"),
    "gemma": ("gemma_tokenizer", "tokenizer"),
    "language": ("language_tokenizer", "tokenizer"),
    "llama": ("llama_tokenizer", "tokenizer"),
}


def match(header: Header, clip_width: int = 0) -> list[Part]:
    """The text encoders in this file, one of each kind; of several CLIPs the first, or the one of that width.

    Raises Refused when one's sizes cannot be known.
    """
    clips = sorted(match_clip(header), key=lambda part: bool(part.config["hidden_size"] != clip_width))
    found = [*clips[:1], match_t5(header), match_gemma(header), language_keys.match(header)]
    return [part for part in found if part is not None]


def loaded(part: Part, reach: int = 0) -> Part:
    """The part as it is loaded: of a language model only what is read (`language_keys.within`), of others all."""
    return language_keys.within(part, reach) if part.kind in language_keys.KINDS else part


def match_clip(header: Header) -> list[Part]:
    """Every CLIP text encoder in this file. Raises Refused when one's sizes cannot be known."""
    found = []
    for name in header.tensors:
        prefix = name.removesuffix(CLIP)
        if prefix != name and f"{prefix}encoder.layers.0.self_attn.q_proj.weight" in header:
            # logit_scale and text_projection lie beside `text_model.`, not inside it.
            inner = header.under(prefix).without(lambda inside: inside.endswith(CLIP_ASIDE))
            found.append(_clip(inner, prefix))
    return found


def match_t5(header: Header) -> Part | None:
    """The T5 encoder in this file, or None when there is none. Raises Refused when its sizes cannot be known."""
    for name in header.tensors:
        for anchor, layout in ((T5, "original"), (T5_GGUF, "gguf")):
            if name == anchor or name.endswith("." + anchor):
                inner = header.under(name.removesuffix(anchor))
                return _t5(_t5_named(inner) if layout == "gguf" else inner, layout, name.removesuffix(anchor))
    return None


def match_gemma(header: Header) -> Part | None:
    """The first Gemma in this file, without its last layer, or None when there is none.

    Its relatives have the same names: it is Gemma by its config.json, or by the size of its vocabulary. Raises Refused
    when its sizes cannot be known.
    """
    for name in header.tensors:
        prefix = name.removesuffix(GEMMA)
        relative = f"{prefix}layers.0.pre_feedforward_layernorm.weight" in header  # Gemma 2 and later
        if prefix == name or relative or f"{prefix}layers.0.self_attn.q_proj.weight" not in header:
            continue
        if header.config.get("model_type") == "gemma" or matrix(header, name)[0] == GEMMA_VOCABULARY:
            return _gemma(header.under(prefix), prefix)
    return None


def rename(part: Part) -> dict[str, Source]:
    """Where each parameter is: transformers' name → piece of the file. T5's two embeddings are one tensor."""
    if part.kind in language_keys.KINDS:
        return language_keys.rename(part)
    found = same_names(part.header)
    if part.kind in ("t5", "umt5"):
        stored = next((name for name in EMBEDDINGS if name in part.header), EMBEDDINGS[0])
        found |= dict.fromkeys(EMBEDDINGS, whole(stored))
    return found


def _clip(header: Header, prefix: str) -> Part:
    """Sizes as CLIPTextConfig names them."""
    vocabulary, width = matrix(header, CLIP)
    positions = matrix(header, "embeddings.position_embedding.weight")[0]
    inner = matrix(header, "encoder.layers.0.mlp.fc1.weight")[0]
    layers = count(header, "encoder.layers")
    heads = given(header.config, "num_attention_heads") or max(1, width // 64)
    if min(vocabulary, width, positions, inner, layers) < 1 or layers > MAX_LAYERS or width % _whole(heads):
        raise bad_file(header.path, f"Its shapes are not CLIP's: width {width}, {layers} layers, {heads} heads.")
    config = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "max_position_embeddings": positions,
        "hidden_act": _text(header, "hidden_act", "quick_gelu" if width <= 768 else "gelu"),
        "layer_norm_eps": _small(header, "layer_norm_eps", 1e-5),
    }
    return Part("clip", header, "original", config, prefix, {768: "CLIP-L", 1280: "CLIP-G"}.get(width, f"CLIP {width}"))


def _t5(header: Header, layout: str, prefix: str) -> Part:
    """Sizes as T5Config names them."""
    header = header.without(lambda name: name.startswith(T5_ASIDE))
    stored = next((name for name in EMBEDDINGS if name in header), "")
    vocabulary, width = matrix(header, stored)
    buckets, heads = matrix(header, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight")
    inner = matrix(header, T5)[0]
    gated = "encoder.block.0.layer.1.DenseReluDense.wi_1.weight" in header
    hidden = matrix(header, "encoder.block.0.layer.1.DenseReluDense.wo.weight")[1]
    layers = count(header, "encoder.block")
    if min(vocabulary, width, buckets, heads, inner, hidden, layers) < 1 or layers > MAX_LAYERS or inner % heads:
        raise bad_file(header.path, f"Its shapes are not T5's: width {width}, {layers} layers, {heads} heads.")
    own_bias = "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight" in header
    config = {
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": inner // heads,
        "d_ff": hidden,
        "num_layers": layers,
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": 128,
        "layer_norm_epsilon": _small(header, "layer_norm_epsilon", 1e-6),
        "feed_forward_proj": "gated-gelu" if gated else "relu",
    }
    title = {4096: "T5-XXL", 2048: "T5-XL"}.get(width, f"T5 {width}")
    # UMT5 has a bias table in every block; T5 shares that of the first.
    return Part("umt5" if own_bias else "t5", header, layout, config, prefix, f"UM{title}" if own_bias else title)


def _gemma(header: Header, prefix: str) -> Part:
    """Sizes as GemmaConfig names them."""
    vocabulary, width = matrix(header, GEMMA)
    queries = matrix(header, "layers.0.self_attn.q_proj.weight")[0]
    keys = matrix(header, "layers.0.self_attn.k_proj.weight")[0]
    hidden = matrix(header, "layers.0.mlp.gate_proj.weight")[0]
    layers = count(header, "layers")
    head = _whole(given(header.config, "head_dim") or 256)
    if min(vocabulary, width, queries, keys, hidden, layers - 1) < 1 or layers > MAX_LAYERS or queries % head:
        raise bad_file(header.path, f"Its shapes are not Gemma's: width {width}, {layers} layers, queries {queries}.")
    if keys % head or queries % keys:
        raise bad_file(header.path, f"Its shapes are not Gemma's: {queries} queries share {keys} keys.")
    config = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_hidden_layers": layers - 1,
        "num_attention_heads": queries // head,
        "num_key_value_heads": keys // head,
        "head_dim": head,
        "rms_norm_eps": _small(header, "rms_norm_eps", 1e-6),
    }
    last = (f"layers.{layers - 1}.", "norm.weight", "lm_head.")
    inner = header.without(lambda name: name.startswith(last) or name.endswith("rotary_emb.inv_freq"))
    return Part("gemma", inner, "original", config, prefix, {2048: "Gemma 2B"}.get(width, f"Gemma {width}"))


def _t5_named(header: Header) -> Header:
    """llama.cpp's names as transformers'; what it does not know stays, and will be left over."""
    outside = {"token_embd.weight": EMBEDDINGS[0], "enc.output_norm.weight": "encoder.final_layer_norm.weight"}

    def named(name: str) -> str:
        parts = name.split(".")
        if len(parts) == 5 and parts[:2] == ["enc", "blk"] and parts[3] in GGUF_NAMES:
            return f"encoder.block.{parts[2]}.{GGUF_NAMES[parts[3]]}.{parts[4]}"
        return outside.get(name, name)

    return header.renamed(named)


def _whole(value: Any) -> int:
    """A positive integer out of a config; anything else divides nothing."""
    return value if type(value) is int and value > 0 else 1 << 62


def _small(header: Header, name: str, usual: float) -> float:
    value = header.config.get(name)
    return value if type(value) is float and 0 < value < 1 else usual


def _text(header: Header, name: str, usual: str) -> str:
    value = header.config.get(name)
    return value if isinstance(value, str) and value in ("quick_gelu", "gelu") else usual
