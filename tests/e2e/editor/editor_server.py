"""A real server with the starter model, in a process of its own that can be killed and started again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


class EditorServer:
    """Serves from a data folder, on one port for as long as it lives, whatever happens to the process."""

    def __init__(self, folder: Path, custom_nodes: Path = ROOT / "custom_nodes") -> None:
        self.folder, self.port, self.custom_nodes = folder, _free_port(), custom_nodes
        self.log = folder.parent / f"{folder.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.address = f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return (self.folder / "token").read_text().strip()

    def start(self) -> EditorServer:
        env = os.environ | {"LATENTLOOM_DATA_DIR": str(self.folder), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        env["LATENTLOOM_CUSTOM_NODES_DIRS"] = str(self.custom_nodes)
        command = [sys.executable, "-m", "graph_runtime", "serve", "--no-open", "--device", "cpu"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)], cwd=ROOT, env=env, stdout=log, stderr=log
            )
        self._until(lambda: self.ask("GET", "/healthz")["ok"])
        return self

    def wait_ready(self) -> None:
        """Until a worker is up."""
        self._until(lambda: self.ask("GET", "/readyz")["ready"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Content-Type": "application/json"} if data else {})
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def ticket(self) -> str:
        """An address that opens the editor in a browser, once."""
        return str(self.ask("POST", "/api/tickets", {})["url"])

    def forget_drafts(self) -> None:
        """As if nobody had edited anything yet."""
        for draft in self.ask("GET", "/api/drafts")["drafts"]:
            self.ask("DELETE", f"/api/drafts/{draft['id']}")

    def kill(self) -> None:
        """As when the power fails."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            self.process.kill()

    def _until(self, done: Any, seconds: float = 120.0) -> None:
        until = time.monotonic() + seconds
        while True:
            with suppress(OSError, urllib.error.HTTPError):
                if done():
                    return
            assert self.process is not None and self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
