"""Nodes that make texts of texts and values."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from graph_runtime.node import Knob, node
from nodes.sockets import refused

TEXT_AT_MOST = 1 << 20  # characters
MultiLine = Annotated[str, Knob(multiline=True)]
Separator = Annotated[str, Knob(multiline=True)]


def _bounded(text: str, place: str) -> str:
    if len(text) > TEXT_AT_MOST:
        raise refused("too-long", place, f"the text has {len(text):,} characters.", f"Stay below {TEXT_AT_MOST:,}.")
    return text


@node("core/join_texts", category="value/text")
def join_texts(texts: list[str], *, separator: Separator = ", ", skip_empty: bool = True) -> str:
    """All texts as one.

    texts: in this order
    separator: comes between them
    skip_empty: leave out texts that are empty
    """
    return _bounded(separator.join(text for text in texts if text.strip() or not skip_empty), "Join texts")


@node("core/split_text", category="value/text")
def split_text(*, text: MultiLine = "", at: Literal["lines", "commas", "empty lines"] = "lines") -> list[str]:
    """The parts of a text, one by one: what follows runs once for each. Empty parts are left out.

    text: what is cut
    at: where to cut
    """
    separator = {"lines": "\n", "commas": ",", "empty lines": "\n\n"}[at]
    parts = [part.strip() for part in text.replace("\r\n", "\n").split(separator) if part.strip()]
    if not parts:
        raise refused("empty", "Split text.text", "there is nothing in it.", "Write at least one part.")
    return parts


@node("core/replace_text", category="value/text")
def replace_text(*, text: MultiLine = "", find: str = "", replace: str = "") -> str:
    """A text with every place where another occurs replaced.

    text: what is changed
    find: what is looked for, exactly
    replace: what comes in its place
    """
    return _bounded(text.replace(find, replace), "Replace text") if find else text


@node("core/format_text", category="value/text")
def format_text(
    a: Any = None, b: Any = None, c: Any = None, d: Any = None, *, template: MultiLine = "a {a} and a {b}"
) -> str:
    """A text with values put in where {a}, {b}, {c} and {d} stand; {a:.2f} is a number with two decimals.

    template: write {{ and }} for the signs themselves
    """
    values = {"a": a, "b": b, "c": c, "d": d}
    try:
        return _bounded(_Plain().vformat(template, (), values), "Format text")
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        what = f"the template cannot be filled in: {error}."
        raise refused("bad-template", "Format text.template", what, "Use only {a}, {b}, {c} and {d}.") from None


class _Plain(string.Formatter):
    """str.format without attributes and items, which would reach into the values, and without wide fields."""

    def get_field(self, field_name: str, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        if not field_name.isidentifier():
            raise KeyError(field_name)
        if kwargs[field_name] is None:
            raise ValueError(f"nothing is wired to {field_name}")
        return kwargs[field_name], field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if len(format_spec) > 8 or any(int(digits) > 1000 for digits in _numbers(format_spec)):
            raise ValueError(f"{format_spec[:20]!r} is too wide")
        return format(value, format_spec) if isinstance(value, (int, float, str)) else str(value)


def _numbers(text: str) -> list[str]:
    return "".join(letter if letter.isdigit() else " " for letter in text).split()
