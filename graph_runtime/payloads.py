"""Graphs and documents as the store keeps them: compressed JSON under its hash, each once however often it is used.

Knows nothing of what the JSON means.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graph_runtime.database import Transaction, View
from graph_runtime.problem import Problem, Refused


@dataclass(frozen=True, slots=True)
class Payload:
    """JSON ready to be kept."""

    hash: str
    data: bytes

    @classmethod
    def of(cls, value: Mapping[str, Any], name: str = "graph") -> Payload:
        """Pack it, on the caller's thread. Raises Refused when it is not JSON."""
        try:
            text = json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
        except (TypeError, ValueError, RecursionError) as error:
            fix = "Use plain JSON: objects, lists, texts, finite numbers."
            raise Refused(Problem("json-value", name, f"it is no JSON: {error}.", fix)) from None
        return cls(hashlib.sha256(text).hexdigest(), zlib.compress(text, 6))

    def keep(self, transaction: Transaction) -> str:
        transaction.execute("INSERT OR IGNORE INTO graphs (hash, data) VALUES (?, ?)", (self.hash, self.data))
        return self.hash


def payload(view: View, hash: str) -> dict[str, Any]:
    """What is kept under this hash, checked against it. Raises Refused when it is damaged."""
    data = view.value("SELECT data FROM graphs WHERE hash = ?", (hash,))
    try:
        text = zlib.decompress(data)
        if hashlib.sha256(text).hexdigest() != hash:
            raise ValueError("its hash is another")
        value: dict[str, Any] = json.loads(text)
        return value
    except (zlib.error, ValueError, TypeError) as error:
        fix = "Take it from a picture that carries it, or from a copy of the data folder."
        raise Refused(Problem("payload-damaged", hash[:12], f"what was kept is damaged: {error}.", fix)) from None


def drop_unused(transaction: Transaction, hashes: set[str]) -> None:
    """Remove those of these that nothing names any more."""
    for hash in hashes:
        transaction.execute(
            "DELETE FROM graphs WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE graph = ?1) "
            "AND NOT EXISTS (SELECT 1 FROM runs WHERE document = ?1) "
            "AND NOT EXISTS (SELECT 1 FROM workflow_versions WHERE document = ?1)",
            (hash,),
        )
