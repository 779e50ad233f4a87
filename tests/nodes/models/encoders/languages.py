"""Tiny language models of random weights, in every naming that files have. Names are written out a second time here."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, LlamaTokenizerFast

from nodes.models.encoders import decoder, pixtral
from nodes.models.encoders.language import Language
from nodes.models.encoders.tekken import PATTERN

from ..checkpoints import drawn

State = dict[str, Tensor]
SPECIAL = [
    "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
    "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
]  # fmt: skip
KLEIN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
TEXT = """A hermit crab uses an empty soda can as its shell on a sunlit beach with soft shadows. You are an AI.
Zwei Grüße, 42 山中有一座 cats and THREE dogs' houses; put it there!"""
VOCABULARY = 340
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,.-"
MISTRAL = {"model_type": "mistral3", "text_config": {"hidden_size": 32, "head_dim": 12, "rope_theta": 1e6}}
MISTRAL |= {"vision_config": {"head_dim": 16, "image_size": 64, "hidden_act": "silu"}}


def words(special: list[str] = SPECIAL, size: int = VOCABULARY) -> Tokenizer:
    """A byte-level tokenizer that divides texts as Mistral's does."""
    inner = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in special],
    )  # fmt: skip
    inner.train_from_iterator(TEXT.splitlines(), trainer)
    return inner


def byte_of() -> dict[str, int]:
    """The character that stands for each byte in a byte-level vocabulary, as GPT-2 chose them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(others)}


def tekken(inner: Tokenizer) -> dict[str, Any]:
    """The same tokenizer as Mistral writes it, with entries beyond the vocabulary, as the published files have."""
    count, table = len(SPECIAL), byte_of()
    ordered = sorted((id, token) for token, id in inner.get_vocab().items() if id >= count)
    vocab = [
        {"rank": id - count, "token_bytes": base64.b64encode(bytes(table[c] for c in token)).decode()}
        for id, token in ordered
    ]
    config = {"pattern": PATTERN, "default_vocab_size": len(vocab) + count, "default_num_special_tokens": count}
    unused = [{"rank": len(vocab), "token_bytes": base64.b64encode(b"never used").decode()}]
    special = [{"rank": i, "token_str": token, "is_control": True} for i, token in enumerate(SPECIAL)]
    return {"config": config, "vocab": vocab + unused, "special_tokens": special}


def bytes_of(given: dict[str, Any]) -> Tensor:
    return torch.frombuffer(bytearray(json.dumps(given).encode()), dtype=torch.uint8).clone()


def mistral(layers: int = 4, seed: int = 0) -> State:
    """All of a Mistral 3, as it is called in memory."""
    config = decoder.Config.tiny(layers=layers, vocabulary=VOCABULARY, writes=True)
    with torch.device("meta"):
        module = Language("mistral", layers, config, pixtral.Config.tiny())
    return drawn(module, seed)


def qwen3(layers: int = 4, seed: int = 1) -> State:
    config = decoder.Config.tiny(layers=layers, vocabulary=VOCABULARY, qk_norm=True)
    with torch.device("meta"):
        return drawn(Language("qwen3", layers, config), seed)


def on_disk(state: State) -> State:
    """transformers' names in a folder."""
    seen = ("vision_tower.", "multi_modal_projector.")
    inside = {"lm_head.weight": "language_model.lm_head.weight"}
    return {inside.get(n, n if n.startswith(seen) else f"language_model.model.{n}"): t for n, t in state.items()}


def in_memory(state: State) -> State:
    """transformers' names since 4.52, which some tools write."""
    seen = ("vision_tower.", "multi_modal_projector.")
    return {
        n if n == "lm_head.weight" else f"model.{n}" if n.startswith(seen) else f"model.language_model.{n}": t
        for n, t in state.items()
    }


def comfy(state: State, cut: int = 0) -> State:
    """ComfyUI's text encoder file: no output layer, no eye; cut to so many layers it has no last norm either."""
    left = ("vision_tower.", "multi_modal_projector.", "lm_head.")
    kept = {n: t for n, t in state.items() if not n.startswith(left)}
    if cut:
        kept = {n: t for n, t in kept.items() if not n.startswith("norm.") and below(n, cut)}
    return {f"model.{n}": t for n, t in kept.items()} | {"tekken_model": bytes_of(tekken(words()))}


def below(name: str, layers: int) -> bool:
    return not name.startswith("layers.") or int(name.split(".")[1]) < layers


def llama_cpp(state: State, heads: int, kv_heads: int) -> State:
    """llama.cpp's names; rows of queries and keys in its order, neighbours turning against each other."""
    names = {
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    }  # fmt: skip
    out = {}
    for name, tensor in state.items():
        if name.startswith("layers."):
            _, number, rest = name.split(".", 2)
            stem = rest.removesuffix(".weight")
            if stem.endswith(("q_proj", "k_proj")):
                count = heads if stem.endswith("q_proj") else kv_heads
                tensor = tensor.view(count, 2, -1, tensor.shape[1]).transpose(1, 2).reshape(tensor.shape)
            out[f"blk.{number}.{names[stem]}.weight"] = tensor
        elif name in ("embed_tokens.weight", "norm.weight", "lm_head.weight"):
            short = {"embed_tokens.weight": "token_embd", "norm.weight": "output_norm", "lm_head.weight": "output"}
            out[f"{short[name]}.weight"] = tensor
    return out


def tokenizer_folder(folder: Path, special: list[str] = SPECIAL) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    words(special).save(str(folder / "tokenizer.json"))
    return folder


def write_llama(folder: Path, beside: bool = True, **changes: Any) -> Path:
    """A folder as meta-llama's: weights, config.json and the tokenizer, which neither begins nor ends a text."""
    torch.manual_seed(0)
    pieces = ["<unk>", "<s>", "</s>", "▁", *LETTERS, "▁a", "▁an"]
    sizes: dict[str, Any] = {
        "vocab_size": len(pieces), "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 4, "rms_norm_eps": 1e-5, "max_position_embeddings": 64,
    }  # fmt: skip
    model = LlamaForCausalLM(LlamaConfig(**(sizes | changes)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6) if parameter.ndim > 1 else parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer = LlamaTokenizerFast(
        vocab={piece: i for i, piece in enumerate(pieces)}, merges=[("▁", "a"), ("▁a", "n")], add_bos_token=False,
    )  # fmt: skip
    tokenizer.save_pretrained(folder if beside else folder.parent / "tokenizer")
    return folder
