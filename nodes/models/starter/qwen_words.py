"""Writes the tokenizer of a Flux.2 klein folder for the words of the grammar and of the instructions.

Qwen's byte-level byte-pair encoding: each word is one token, with and without a space before it; what it does not know
it spells byte by byte. The chat that klein puts around a prompt is three tokens before it and nine after it.
"""

from __future__ import annotations

import json
from pathlib import Path

from nodes.models.starter.edits import instruction_words
from nodes.models.starter.grammar import vocabulary
from nodes.models.starter.tokenizers import merges

END, FILLING = "<|im_end|>", "<|endoftext|>"
SPECIAL = (FILLING, "<|im_start|>", END, "<think>", "</think>")
SPACE, BREAK = "Ġ", "Ċ"  # what a space and a line break are called in a vocabulary of bytes
MAX_LENGTH = 512
FIRST = ("a", "an", "two", "three", "four", "five", "on", "at", "in", "make", "paint", "turn", "change", "remove",
         "delete", "erase", "take")  # fmt: skip
"""Words that a prompt may begin with: they are known with a capital too."""
CHAT = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{%- endif %}"
)
"""Qwen3's template, without what it says of tools."""


def pieces() -> list[str]:
    """The words that are to be one token, as they are spelled in a vocabulary of bytes."""
    known = sorted({w for w in (*vocabulary(), *instruction_words()) if w.isalpha()})
    known += [w.capitalize() for w in FIRST] + ["user", "assistant"]
    return [*known, *(SPACE + w for w in known if w.islower()), BREAK + BREAK]


def write(folder: Path) -> None:
    """vocab.json, merges.txt, tokenizer.json and the configuration with the chat template."""
    from tokenizers import AddedToken, pre_tokenizers
    from transformers import Qwen2Tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    found = merges(pieces(), end="")
    vocab = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *dict.fromkeys("".join(p) for p in found)]
    tokenizer = Qwen2Tokenizer(
        vocab={v: i for i, v in enumerate(vocab)},
        merges=found,
        unk_token=None,
        eos_token=END,
        pad_token=FILLING,
        model_max_length=MAX_LENGTH,
        padding_side="right",
        chat_template=CHAT,
        additional_special_tokens=[SPECIAL[1]],
    )
    tokenizer.add_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({v: i for i, v in enumerate(vocab)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(p) for p in found) + "\n")
