"""Writes the two tokenizers of a Flux.1 folder for the words of the grammar: each word is one token in both.

`tokenizer_2` (T5) is a sentencepiece unigram model that folds case; `tokenizer` (CLIP) is byte-pair merges that end in
whole words. Both spell words they do not know letter by letter, so any text is accepted.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter
from pathlib import Path

from nodes.models.starter.grammar import sample, vocabulary

T5_LENGTH = 32  # tokens, the end mark included
CLIP_LENGTH = 77
PRINTABLE = ("▁", *(chr(i) for i in range(33, 127)))
EXTRA_IDS = 4  # T5 always has some sentinels; four are enough for the format


def write_t5(folder: Path, seed: int) -> None:
    """A T5 tokenizer folder: spiece.model, tokenizer.json and their configuration."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as protobuf
    from transformers import T5TokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    r = random.Random(seed)
    alphabet = [" ".join(f"{a}{a} {a}" for a in "abcdefghijklmnopqrstuvwxyz0123456789.;:!?'\"-()")] * 20
    text, model = folder / "text.txt", folder / "spiece.model"
    rules = folder / "lower.tsv"
    rules.write_text("".join(f"{ord(a.upper()):X}\t{ord(a):X}\n" for a in "abcdefghijklmnopqrstuvwxyz"))
    text.write_text("\n".join([sample(r).text for _ in range(8000)] + alphabet))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "spiece"),
        vocab_size=240,
        hard_vocab_limit=False,
        num_threads=1,
        model_type="unigram",
        normalization_rule_tsv=str(rules),
        character_coverage=1.0,
        minloglevel=3,
        user_defined_symbols=[f"▁{w}" for w in vocabulary() if w.isalpha() and len(w) > 1],
        split_digits=True,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
    )
    text.unlink()
    rules.unlink()
    (folder / "spiece.vocab").unlink()
    proto = protobuf.ModelProto()
    proto.ParseFromString(model.read_bytes())
    proto.trainer_spec.ClearField("input")
    proto.normalizer_spec.ClearField("normalization_rule_tsv")
    proto.trainer_spec.model_prefix = ""  # the bytes depend on the text, not on where they were made
    for piece in proto.pieces:  # an ordinary piece is only found at the start of a word
        if piece.type == piece.USER_DEFINED:
            piece.type, piece.score = piece.NORMAL, 0.0
    model.write_bytes(proto.SerializeToString(deterministic=True))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "T5Tokenizer",
                "extra_ids": EXTRA_IDS,
                "model_max_length": T5_LENGTH,
                "eos_token": "</s>",
                "pad_token": "<pad>",
                "unk_token": "<unk>",
                "legacy": True,
            }
        )
    )
    kept = model.read_bytes()
    T5TokenizerFast.from_pretrained(folder).save_pretrained(folder)
    model.write_bytes(kept)


def merges(words: list[str], end: str = "</w>") -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent pair first, until each word is one piece; ties in alphabetical order."""
    split = {w: [*w[:-1], w[-1] + end] for w in words}
    found: list[tuple[str, str]] = []
    while True:
        pairs = Counter(p for parts in split.values() for p in itertools.pairwise(parts))
        if not pairs:
            return found
        top = max(pairs.values())
        pair = min(p for p, n in pairs.items() if n == top)
        found.append(pair)
        for parts in split.values():
            i = 0
            while i + 1 < len(parts):
                if (parts[i], parts[i + 1]) == pair:
                    parts[i : i + 2] = ["".join(pair)]
                i += 1


def write_clip(folder: Path) -> None:
    """A CLIP tokenizer folder: vocab.json, merges.txt and their configuration."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    found = merges([w for w in vocabulary() if re.fullmatch("[a-z]+", w)])
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = [*letters, *(c + "</w>" for c in letters), *("".join(p) for p in found)]
    vocab += ["<|startoftext|>", "<|endoftext|>"]  # highest ids, as in CLIP: its pooling relies on it
    files = {
        "vocab.json": json.dumps({v: i for i, v in enumerate(vocab)}, ensure_ascii=False),
        "merges.txt": "#version: 0.2\n" + "\n".join(" ".join(p) for p in found) + "\n",
    }
    end = "<|endoftext|>"
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": CLIP_LENGTH,
        "bos_token": "<|startoftext|>",
        "eos_token": end,
        "unk_token": end,
        "pad_token": end,
        "do_lower_case": True,
        "errors": "replace",
        "add_prefix_space": False,
    }
    for name, content in (*files.items(), ("tokenizer_config.json", json.dumps(config))):
        (folder / name).write_text(content, encoding="utf-8")
    CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")


def write_llama(folder: Path) -> None:
    """AuraFlow's kind of tokenizer: byte-pair merges of whole words behind a "▁", an end mark and no beginning.

    It folds no case, so that words with a capital are pieces too. What it cannot spell it leaves out.
    """
    from transformers import LlamaTokenizerFast

    words = [w for w in vocabulary() if re.fullmatch("[a-z]+", w)]
    found = merges([f"▁{w}" for w in words] + [f"▁{w.capitalize()}" for w in words], end="")
    pieces = ["<unk>", "<s>", "</s>", *PRINTABLE, *("".join(p) for p in found)]
    given = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    marks = {"add_bos_token": False, "add_eos_token": True, "pad_token": "<s>"}
    LlamaTokenizerFast(vocab=given, merges=found, model_max_length=T5_LENGTH, **marks).save_pretrained(folder)


def write_gemma(folder: Path) -> None:
    """Lumina's kind of tokenizer: byte-pair merges of whole words, and a mark of the beginning instead of the end."""
    from transformers import GemmaTokenizerFast

    words = [w for w in vocabulary() if re.fullmatch("[a-z]+", w)]
    found = merges(words + [f"▁{w}" for w in words], end="")
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", *PRINTABLE, *("".join(p) for p in found)]
    given = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    GemmaTokenizerFast(vocab=given, merges=found, add_bos_token=True).save_pretrained(folder)
