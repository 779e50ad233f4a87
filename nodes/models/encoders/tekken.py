"""Texts to token ids of a language model and back, from a `tokenizer.json` or from Mistral's own `tekken.json`.

Read from this machine: nothing is fetched, and no code of a folder runs; a chat template is never evaluated, a family
writes its own. Words that stand for special tokens are read as such wherever they are in a text. Knows no model.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import tokenizers
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from graph_runtime.problem import Problem, Refused
from nodes.models.encoders.language_keys import TEKKEN
from nodes.models.weights.header import read_header

MAX_BYTES = 64 << 20
PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Where Mistral's tokenizers divide a text. Another one is refused: a pattern can be made to take for ever."""


class Words(Protocol):
    """A tokenizer of a language model."""

    def __len__(self) -> int:
        """How many ids it may give."""

    def ids(self, text: str) -> list[int]:
        """Ids of a text, nothing added."""

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids, special ones left out."""

    def id_of(self, token: str) -> int | None:
        """Id of a special token; None when there is none."""


@dataclass(frozen=True)
class Fast:
    """A tokenizer.json, as transformers writes it."""

    inner: Any

    def __len__(self) -> int:
        return int(self.inner.get_vocab_size())

    def ids(self, text: str) -> list[int]:
        return list(self.inner.encode(text, add_special_tokens=False).ids)

    def text(self, ids: Sequence[int]) -> str:
        return str(self.inner.decode(list(ids), skip_special_tokens=True))

    def id_of(self, token: str) -> int | None:
        found: int | None = self.inner.token_to_id(token)
        return found


@dataclass(frozen=True)
class Tekken:
    """A tekken.json: bytes are joined in the order of their ranks; ids below `len(special)` are special tokens.

    ranks    bytes of a token → its rank; its id is that plus the number of special tokens
    special  special tokens by their id
    """

    ranks: Mapping[bytes, int]
    special: Mapping[str, int]
    reserved: int
    split: Any = field(default_factory=lambda: Split(Regex(PATTERN), behavior="isolated"), repr=False)

    def __len__(self) -> int:
        return self.reserved + len(self.ranks)

    def ids(self, text: str) -> list[int]:
        found: list[int] = []
        for part, special in _parts(text, self.special):
            if special is not None:
                found.append(special)
                continue
            for word, _ in self.split.pre_tokenize_str(part):
                found += [rank + self.reserved for rank in _joined(word.encode(), self.ranks)]
        return found

    def text(self, ids: Sequence[int]) -> str:
        words = {rank: token for token, rank in self.ranks.items()}
        kept = (words.get(one - self.reserved, b"") for one in ids if one >= self.reserved)
        return b"".join(kept).decode(errors="replace")

    def id_of(self, token: str) -> int | None:
        return self.special.get(token)


def _parts(text: str, special: Mapping[str, int]) -> list[tuple[str, int | None]]:
    """The text divided at special tokens, leftmost first."""
    parts: list[tuple[str, int | None]] = []
    while text:
        places = [(at, -len(token), token) for token in special if (at := text.find(token)) >= 0]
        if not places:
            parts.append((text, None))
            break
        at, _, token = min(places)
        if at:
            parts.append((text[:at], None))
        parts.append((token, special[token]))
        text = text[at + len(token) :]
    return parts


def _joined(word: bytes, ranks: Mapping[bytes, int]) -> list[int]:
    """Byte-pair encoding: join the neighbours of the smallest rank until none can be joined."""
    if word in ranks:
        return [ranks[word]]
    pieces = [word[i : i + 1] for i in range(len(word))]
    while len(pieces) > 1:
        rank, at = min((ranks.get(a + b, 1 << 62), i) for i, (a, b) in enumerate(pairwise(pieces)))
        if rank == 1 << 62:
            break
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    return [ranks[piece] for piece in pieces]


def load_words(place: Path | None, title: str) -> Words:
    """The tokenizer in a folder (tokenizer.json or tekken.json), or in the file of a text encoder that holds one.

    Refused when there is none, with the files that are wanted and where to put them.
    """
    fix = (
        f"Put the tokenizer folder of {title} (tokenizer.json or tekken.json) beside the model: in a diffusers folder "
        "it is `tokenizer`."
    )
    if place is None:
        raise Refused(Problem("no-tokenizer", f"{title} tokenizer", f"no tokenizer for {title} came with it.", fix))
    if place.is_file():
        return parsed(_inside(place), place.name)
    fast, own = place / "tokenizer.json", place / "tekken.json"
    found = next((path for path in (fast, own) if path.is_file()), None)
    if found is None:
        raise Refused(Problem("no-tokenizer", str(place), f"holds no tokenizer for {title}.", fix))
    if found.stat().st_size > MAX_BYTES:
        raise _bad(found.name, f"it is larger than {MAX_BYTES:,} bytes.")
    if found == own:
        return parsed(own.read_bytes(), own.name)
    try:
        return Fast(tokenizers.Tokenizer.from_file(str(fast)))
    except Exception as error:  # the library raises its own kinds of plain Exception
        raise _bad(str(fast), f"cannot be read as a tokenizer: {str(error)[:200]}") from error


def _inside(path: Path) -> bytes:
    """The bytes of the tekken.json in a safetensors file."""
    header = read_header(path)
    info = next((info for name, info in header.tensors.items() if name.endswith(TEKKEN)), None)
    if info is None or info.dtype not in ("U8", "I8") or info.nbytes > MAX_BYTES:
        raise _bad(path.name, f"it holds no '{TEKKEN}' of at most {MAX_BYTES:,} bytes.")
    with path.open("rb") as file:
        file.seek(info.offset)
        return file.read(info.nbytes)


def parsed(raw: bytes, place: str) -> Tekken:
    """A tekken.json. Raises Refused when it is none, or divides texts in a way that is not known."""
    try:
        given = json.loads(raw)
        config = given["config"]
        if config["pattern"] != PATTERN:
            raise _bad(place, "its tekken tokenizer divides texts by a pattern that is not known.")
        reserved, size = config["default_num_special_tokens"], config["default_vocab_size"]
        entries = given["vocab"][: size - reserved]
        ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in entries}
        special = {entry["token_str"]: entry["rank"] for entry in given.get("special_tokens") or []}
        whole = all(type(n) is int and n >= 0 for n in (reserved, size, *ranks.values(), *special.values()))
        whole = whole and all(type(token) is str and token and id < reserved for token, id in special.items())
        if not whole or not all(bytes([i]) in ranks for i in range(256)) or sorted(ranks.values())[-1] >= len(ranks):
            raise _bad(place, "its tekken tokenizer does not number all single bytes and their joints.")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, IndexError) as error:
        raise _bad(place, "its tekken tokenizer cannot be read.") from error
    return Tekken(ranks, special or SPECIAL, reserved)


def _bad(place: str, what: str) -> Refused:
    return Refused(Problem("bad-tokenizer", place, what, "Get the file again, or another version of it."))


SPECIAL = {
    "<unk>": 0, "<s>": 1, "</s>": 2, "[INST]": 3, "[/INST]": 4, "[AVAILABLE_TOOLS]": 5, "[/AVAILABLE_TOOLS]": 6,
    "[TOOL_RESULTS]": 7, "[/TOOL_RESULTS]": 8, "[TOOL_CALLS]": 9, "[IMG]": 10, "<pad>": 11, "[IMG_BREAK]": 12,
    "[IMG_END]": 13, "[PREFIX]": 14, "[MIDDLE]": 15, "[SUFFIX]": 16, "[SYSTEM_PROMPT]": 17, "[/SYSTEM_PROMPT]": 18,
    "[TOOL_CONTENT]": 19,
}  # fmt: skip
"""Mistral's special tokens, for files that do not list them."""
