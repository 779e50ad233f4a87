"""Texts to token ids of one length.

Read from a folder on this machine: nothing is fetched, and no code of a folder runs. Knows no model. What was cut off
is said in a note, never silently lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor
from transformers import CLIPTokenizer, T5TokenizerFast

from graph_runtime.problem import Problem, Refused

Kind = Literal["clip", "t5"]
MAX_BYTES = 64 << 20
WANTED: dict[str, tuple[str, type[Any], tuple[tuple[str, ...], ...]]] = {
    "clip": ("CLIP", CLIPTokenizer, (("tokenizer.json",), ("vocab.json", "merges.txt"))),
    "t5": ("T5", T5TokenizerFast, (("tokenizer.json",), ("spiece.model",))),
}
"""Kind → its name, transformers' class, and the sets of files of which one must be there."""


@dataclass(frozen=True)
class Tokenizer:
    """transformers' tokenizer of one kind, and the end-of-text id it appends."""

    kind: Kind
    inner: Any
    end: int

    def ids(self, texts: Sequence[str], length: int) -> tuple[Tensor, list[str]]:
        """Cut or padded to `length`: ids (B, length), and a note for each text that was cut."""
        given = list(texts)
        whole = self.inner(given)["input_ids"]
        fixed = self.inner(given, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        notes = []
        for text, found in zip(given, whole, strict=True):
            if len(found) > length:
                lost = self.inner.decode(found[length - 1 : -1]).strip()
                name = WANTED[self.kind][0]
                notes.append(
                    f"{name} reads {length} tokens and this text has {len(found)}; it does not see “{_short(lost)}” "
                    f"of “{_short(text)}”."
                )
        return fixed["input_ids"], notes


def load_tokenizer(kind: Kind, folder: Path | None) -> Tokenizer:
    """The tokenizer in a folder. Refused when there is none, with the files that are wanted and where to put them."""
    name, build, sets = WANTED[kind]
    wanted = " or ".join(" and ".join(files) for files in sets)
    fix = (
        f"Put {name}'s tokenizer folder ({wanted}) where the model is: in a diffusers folder it is "
        f"`{'tokenizer' if kind == 'clip' else 'tokenizer_2'}`."
    )
    if folder is None:
        what = f"no tokenizer for {name} came with the model."
        raise Refused(Problem("no-tokenizer", f"{name} tokenizer", what, fix))
    here = [path for files in sets for path in (folder / file for file in files) if path.is_file()]
    if not any(all((folder / file).is_file() for file in files) for files in sets):
        raise Refused(Problem("no-tokenizer", str(folder), f"holds no tokenizer for {name}.", fix))
    if any(path.stat().st_size > MAX_BYTES for path in here):
        raise Refused(Problem("bad-tokenizer", str(folder), f"a file is larger than {MAX_BYTES:,} bytes.", fix))
    try:
        inner = build.from_pretrained(str(folder), local_files_only=True)
        end = int(inner.eos_token_id)
    except Exception as error:  # the readers below raise whatever they meet
        what = f"cannot be read as a tokenizer for {name}: {_short(str(error), 200)}"
        raise Refused(Problem("bad-tokenizer", str(folder), what, fix)) from error
    return Tokenizer(kind, inner, end)


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
