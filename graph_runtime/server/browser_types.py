"""The messages of `wire` as TypeScript, for the editor.

    python -m graph_runtime.server.browser_types > web/src/api/wire.ts

A test compares the file with what this writes, so the two ends cannot drift apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from graph_runtime.server import wire

HEAD = "/** Written by `python -m graph_runtime.server.browser_types`. Do not edit: a test compares. */\n"
PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def models() -> list[type[BaseModel]]:
    """Every message, in the order of the file."""
    found = [one for one in vars(wire).values() if isinstance(one, type) and issubclass(one, (wire.Message, wire.Body))]
    return [one for one in found if one not in (wire.Message, wire.Body)]


def write() -> str:
    """The whole file."""
    _, schema = models_json_schema([(one, "validation") for one in models()])
    known = schema["$defs"]
    parts = [_interface(one, known[one.__name__]) for one in models()]
    live = " | ".join(one.__name__ for one in wire.LIVE)
    parts.append(f"/** What the live connection says. */\nexport type LiveMessage = {live};\n")
    return "\n".join([HEAD, *parts])


def _interface(model: type[BaseModel], schema: Mapping[str, Any]) -> str:
    said = issubclass(model, wire.Message)  # the server always gives every field
    lines = list(_fields(schema, said))
    text = " ".join(str(schema.get("description", "")).split())
    head = f"/** {text} */\n" if text else ""
    if not lines:
        return f"{head}export type {model.__name__} = Record<string, never>;\n"
    return f"{head}export interface {model.__name__} {{\n{''.join(lines)}}}\n"


def _fields(schema: Mapping[str, Any], said: bool) -> Iterator[str]:
    required = set(schema.get("required", ()))
    for name, one in schema.get("properties", {}).items():
        mark = "" if said or name in required else "?"
        yield f"  {name}{mark}: {_type(one)};\n"


def _type(one: Mapping[str, Any]) -> str:
    if "$ref" in one:
        return str(one["$ref"]).rpartition("/")[2]
    if "const" in one:
        return json.dumps(one["const"])
    if "enum" in one:
        return " | ".join(json.dumps(value) for value in one["enum"])
    if "anyOf" in one:
        return " | ".join(_type(each) for each in one["anyOf"])
    kind = one.get("type")
    if kind == "array":
        inner = _type(one.get("items", {}))
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    if kind == "object":
        inner = one.get("additionalProperties", True)
        return f"Record<string, {'unknown' if inner is True else _type(inner)}>"
    return PLAIN.get(str(kind), "unknown")


if __name__ == "__main__":
    print(write(), end="")
