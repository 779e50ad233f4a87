"""Texts to token ids of one length.

Read from a folder on this machine: nothing is fetched, and no code of a folder runs. Knows no model. What was cut off
is said in a note, never silently lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor
from transformers import CLIPTokenizer, GemmaTokenizerFast, LlamaTokenizerFast, T5TokenizerFast

from graph_runtime.problem import Problem, Refused

MAX_BYTES = 64 << 20


class Wanted(NamedTuple):
    """A kind of tokenizer.

    title   of the text encoder it belongs to
    build   transformers' class
    files   sets of files, of which one must be there
    folder  where it is in a diffusers folder
    ends    whether it closes a text with an end-of-text, which cutting must keep
    side    where padding goes
    fixed   what its file may leave open or say otherwise
    """

    title: str
    build: type[Any]
    files: tuple[tuple[str, ...], ...]
    folder: str = "tokenizer"
    ends: bool = True
    side: Literal["left", "right"] = "right"
    fixed: Mapping[str, Any] = {}


BEGUN = {"add_bos_token": True, "add_eos_token": False}
ENDED = {"add_bos_token": False, "add_eos_token": True}
BOTH = {"add_bos_token": True, "add_eos_token": True}

WANTED: dict[str, Wanted] = {
    "clip": Wanted("CLIP", CLIPTokenizer, (("tokenizer.json",), ("vocab.json", "merges.txt"))),
    "t5": Wanted("T5", T5TokenizerFast, (("tokenizer.json",), ("spiece.model",)), "tokenizer_2"),
    "gemma": Wanted("Gemma", GemmaTokenizerFast, (("tokenizer.json",), ("tokenizer.model",)), ends=False, fixed=BEGUN),
    "llama": Wanted("LLaMA", LlamaTokenizerFast, (("tokenizer.json",), ("tokenizer.model",)), fixed=BOTH),
    "umt5": Wanted("Pile-T5", LlamaTokenizerFast, (("tokenizer.json",), ("tokenizer.model",)), fixed=ENDED),
}


class Tokens(NamedTuple):
    """ids and mask (B, L), 1 is a token and 0 padding; a note for each text that was cut."""

    ids: Tensor
    mask: Tensor
    notes: list[str]


@dataclass(frozen=True)
class Tokenizer:
    """transformers' tokenizer of one kind, and the end-of-text id it appends."""

    kind: str
    inner: Any
    end: int

    def __len__(self) -> int:
        """How many ids it may give."""
        return len(self.inner)

    def ids(self, texts: Sequence[str], length: int) -> tuple[Tensor, list[str]]:
        """Cut or padded to `length`: ids (B, length), and a note for each text that was cut."""
        read = self.read(texts, length)
        return read.ids, read.notes

    def read(self, texts: Sequence[str], length: int, multiple: int = 0) -> Tokens:
        """Cut to `length` and padded to it; or, with a multiple, to that of the longest text."""
        given = list(texts)
        whole = self.inner(given)["input_ids"]
        how = {"padding": True, "pad_to_multiple_of": multiple} if multiple else {"padding": "max_length"}
        wanted = WANTED[self.kind]
        cut = {"truncation": True, "max_length": length, "return_tensors": "pt", "padding_side": wanted.side}
        fixed = self.inner(given, **cut, **how)
        notes = []
        for text, found in zip(given, whole, strict=True):
            if len(found) > length:
                lost = self.inner.decode(found[length - 1 : -1] if wanted.ends else found[length:]).strip()
                notes.append(
                    f"{wanted.title} reads {length} tokens and this text has {len(found)}; it does not see "
                    f"“{_short(lost)}” of “{_short(text)}”."
                )
        return Tokens(fixed["input_ids"], fixed["attention_mask"], notes)


def load_tokenizer(kind: str, folder: Path | None) -> Tokenizer:
    """The tokenizer in a folder. Refused when there is none, with the files that are wanted and where to put them."""
    name, build, sets, home = WANTED[kind][:4]
    wanted = " or ".join(" and ".join(files) for files in sets)
    fix = f"Put {name}'s tokenizer folder ({wanted}) where the model is: in a diffusers folder it is `{home}`."
    if folder is None:
        what = f"no tokenizer for {name} came with the model."
        raise Refused(Problem("no-tokenizer", f"{name} tokenizer", what, fix))
    here = [path for files in sets for path in (folder / file for file in files) if path.is_file()]
    if not any(all((folder / file).is_file() for file in files) for files in sets):
        raise Refused(Problem("no-tokenizer", str(folder), f"holds no tokenizer for {name}.", fix))
    if any(path.stat().st_size > MAX_BYTES for path in here):
        raise Refused(Problem("bad-tokenizer", str(folder), f"a file is larger than {MAX_BYTES:,} bytes.", fix))
    try:
        inner = build.from_pretrained(str(folder), local_files_only=True, **WANTED[kind].fixed)
        end = int(inner.eos_token_id)
        if inner.pad_token is None:  # what padding is made of makes no difference where it is masked
            inner.pad_token = inner.eos_token
    except Exception as error:  # the readers below raise whatever they meet
        what = f"cannot be read as a tokenizer for {name}: {_short(str(error), 200)}"
        raise Refused(Problem("bad-tokenizer", str(folder), what, fix)) from error
    return Tokenizer(kind, inner, end)


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
