"""What nodes there are, as a worker said last: enough to draw the palette and to look through a graph.

At the start it is what was said to an earlier server, so that the editor opens before any worker is up. Thread-safe.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from graph_runtime.node_def import NodeDef
from graph_runtime.worker import read_defs


class Catalog:
    """The NodeDefs, and the palette as one text."""

    def __init__(self, hello: Mapping[str, Any] | None = None) -> None:
        self._lock = threading.Lock()
        self.hello: Mapping[str, Any] = {}
        self.defs: dict[str, NodeDef] = {}
        self.text = ""
        self.fresh = False
        self._take(hello or {}, fresh=False)

    @property
    def known(self) -> bool:
        """Whether a worker has ever said what it can do."""
        return bool(self.hello)

    def update(self, hello: Mapping[str, Any]) -> bool:
        """A worker of this server said it. Whether that changes anything."""
        return self._take(hello, fresh=True)

    def _take(self, hello: Mapping[str, Any], *, fresh: bool) -> bool:
        names = ("nodes", "sockets", "packs")
        data: dict[str, Any] = {"fresh": fresh, "version": str(hello.get("version", ""))}
        for name in names:
            data[name] = hello.get(name, [])
        data["packs"] = [{key: value for key, value in one.items() if key != "seconds"} for one in data["packs"]]
        text = json.dumps(data, separators=(",", ":"))
        with self._lock:
            changed = text != self.text
            if changed:
                self.hello, self.text = hello, text
                self.defs = read_defs({"nodes": data["nodes"]})
            self.fresh = fresh
            return changed
