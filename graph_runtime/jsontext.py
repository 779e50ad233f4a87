"""JSON that strangers wrote, read within bounds.

Python's `json` keeps the last of two equal keys, takes NaN and 1e999, makes integers of any length, and runs out of
stack on deep nesting; the browser cannot hold an integer beyond ±2^53. All of that is refused here, with the place and
the fix. Knows nothing of what the JSON means.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from graph_runtime.problem import Problem, Refused

MAX_BYTES = 8 << 20
MAX_DEPTH = 64
MAX_STRING = 1 << 20
MAX_INT = 2**53

# A string, closed or not (so that an open one is walked once), or a bracket.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def read_json(data: bytes | str, *, name: str = "document", max_bytes: int = MAX_BYTES) -> Any:
    """The value that `data` spells. Raises Refused, with `name` as the place, for all that is out of bounds."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > max_bytes:
        what = f"it has {len(raw):,} bytes; at most {max_bytes:,} are read."
        raise Refused(Problem("json-too-large", name, what, "Make it smaller, for example by splitting it."))
    _check_depth(raw, name)

    def refuse(code: str, what: str, fix: str) -> Refused:
        return Refused(Problem(code, name, what, fix))

    def whole(text: str) -> int:
        if len(text) > 17 or abs(int(text)) > MAX_INT:
            raise refuse(
                "json-number", f"{text[:20]} is beyond ±2^53.", "Use a number that a browser can hold exactly."
            )
        return int(text)

    def real(text: str) -> float:
        if not math.isfinite(value := float(text)):
            raise refuse("json-number", f"{text[:20]} is too large for a number.", "Use a finite number.")
        return value

    def constant(text: str) -> float:
        raise refuse("json-number", f"{text} is not a number that JSON knows.", "Use a finite number, or null.")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            once: set[str] = set()
            for twice, _ in pairs:
                if twice in once:
                    break
                once.add(twice)
            raise refuse("json-duplicate", f"the key {twice[:80]!r} comes twice in one object.", "Keep one of the two.")
        return made

    try:
        value = json.loads(
            raw.decode("utf-8-sig"),
            parse_int=whole,
            parse_float=real,
            parse_constant=constant,
            object_pairs_hook=unique,
        )
    except UnicodeDecodeError as error:
        raise refuse("json-malformed", f"byte {error.start} is not UTF-8.", "Save it as UTF-8.") from None
    except json.JSONDecodeError as error:
        place = f"{name}, line {error.lineno}, column {error.colno}"
        raise Refused(Problem("json-malformed", place, f"{error.msg}.", "Correct it there.")) from None
    check_json(value, name=name)
    return value


def check_json(value: Any, *, name: str = "document") -> None:
    """Refuse a value that JSON cannot spell, or out of bounds: one that did not come through `read_json`."""
    work: list[tuple[Any, int]] = [(value, 1)]
    while work:
        one, depth = work.pop()
        what = _out_of_bounds(one, depth)
        if what:
            raise Refused(Problem("json-value", name, what, "Use plain JSON within its bounds."))
        if isinstance(one, dict):
            work.extend((part, depth + 1) for part in one.values() if part is not None)
            work.extend((key, depth) for key in one)
        elif isinstance(one, (list, tuple)):
            work.extend((part, depth + 1) for part in one if part is not None)


def _out_of_bounds(one: Any, depth: int) -> str:
    """Why this one value is not allowed, or ""."""
    if isinstance(one, str):
        if len(one) > MAX_STRING:
            return f"a text has {len(one):,} characters; at most {MAX_STRING:,} are kept."
        if not one.isascii() and any("\ud800" <= c <= "\udfff" for c in one):
            return f"{one[:20]!r} has half of a surrogate pair in it."
    elif isinstance(one, bool) or one is None:
        return ""
    elif isinstance(one, int):
        return "an integer is beyond ±2^53." if abs(one) > MAX_INT else ""
    elif isinstance(one, float):
        return "" if math.isfinite(one) else f"{one} is not finite."
    elif isinstance(one, (dict, list, tuple)):
        if depth > MAX_DEPTH:
            return f"it is nested deeper than {MAX_DEPTH} levels."
        if isinstance(one, dict) and not all(isinstance(key, str) for key in one):
            return "an object has a key that is not text."
    else:
        return f"a {type(one).__name__} is no JSON."
    return ""


def _check_depth(raw: bytes, name: str) -> None:
    """Refuse deep nesting before anything recursive sees it."""
    depth = 0
    for found in _TOKENS.finditer(raw):
        token = raw[found.start()]
        if token in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                line = raw.count(b"\n", 0, found.start()) + 1
                what = f"it is nested deeper than {MAX_DEPTH} levels."
                raise Refused(Problem("json-too-deep", f"{name}, line {line}", what, "Nest it less."))
        elif token in b"]}":
            depth -= 1
