"""Servers for tests: in this process, on a loop of its own; or in a process of their own, to be killed."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from graph_runtime.client import Client
from graph_runtime.problem import Refused
from graph_runtime.server.logs import make_log
from graph_runtime.server.options import ServerOptions
from graph_runtime.server.serve import Service
from graph_runtime.settings import Settings

ROOT = Path(__file__).parents[3]
PACKS = ROOT / "tests" / "graph_runtime" / "workers" / "packs"
MORE_PACKS = Path(__file__).parent / "packs"
QUICK = {"cancel_grace": 0.5, "terminate_grace": 0.5, "heartbeat": 0.1, "start_seconds": 60.0, "preload": ()}


def settings_in(folder: Path, **more: Any) -> Settings:
    """Settings of a server whose workers know only the packs for tests, and no tensor library."""
    given = {"custom_nodes_dirs": (PACKS, MORE_PACKS), "packs": (), "device": "cpu", **QUICK}
    return Settings(data_dir=folder, **{**given, **more})


class Running:
    """A server in this process."""

    def __init__(self, settings: Settings, options: ServerOptions, devices: tuple[str, ...], spare: bool) -> None:
        self.lines = io.StringIO()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="server", daemon=True)
        self.thread.start()
        self.service = self._do(self._made(settings, options, devices, spare))
        self.address = self._do(self.service.start())
        self.server = self.service.server
        self.token = (settings.data_dir / "token").read_text().strip()
        self.client = Client(self.address, self.token)
        self.port = int(self.address.rpartition(":")[2])

    async def _made(self, settings: Settings, options: ServerOptions, devices: tuple[str, ...], spare: bool) -> Service:
        return Service(settings, options, make_log(self.lines), devices=devices, spare=spare)

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def wait_ready(self, seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while not self.server.supervisor.ready():
            assert time.monotonic() < until, self.lines.getvalue()
            time.sleep(0.02)

    def stop(self) -> None:
        self._do(self.service.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


@contextmanager
def running(
    folder: Path,
    *,
    devices: tuple[str, ...] = ("cpu",),
    options: Mapping[str, Any] | None = None,
    spare: bool = False,
    **more: Any,
) -> Iterator[Running]:
    """A server in this process; without devices it has no workers."""
    given = ServerOptions(port=0, open_browser=False, **dict(options or {}))
    one = Running(settings_in(folder, **more), given, devices, spare)
    try:
        yield one
    finally:
        one.stop()


class Spawned:
    """A server in a process of its own, that can be killed and started again."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.folder, self.port = folder, free_port()
        self.config = folder.parent / f"{folder.name}.toml"
        given = {**settings_in(folder, **more).as_json()}
        self.config.write_text("".join(f"{name} = {_toml(given[name])}\n" for name in given if given[name] is not None))
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder.parent / f"{folder.name}.log"

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def start(self, *flags: str, wait: bool = True, opens: bool = False) -> Client:
        command = [sys.executable, "-m", "graph_runtime", "serve", "--config", str(self.config)]
        command += [] if opens else ["--no-open"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), *flags], cwd=ROOT, stdout=log, stderr=log
            )
        if wait:
            self.wait_healthy()
        return self.client

    @property
    def client(self) -> Client:
        path = self.folder / "token"
        return Client(f"http://127.0.0.1:{self.port}", path.read_text().strip() if path.exists() else "", patience=60.0)

    def wait_healthy(self, seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while not is_well(self.client):
            assert self.process is not None and self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.02)

    def workers(self) -> list[int]:
        """The processes that run graphs."""
        try:
            return [
                one.pid for one in psutil.Process(self.pid).children() if "workers.child" in " ".join(one.cmdline())
            ]
        except psutil.Error:
            return []

    def kill(self) -> None:
        """As when the power fails, but for the disk."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)

    def end(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)


@contextmanager
def spawned(folder: Path, **more: Any) -> Iterator[Spawned]:
    one = Spawned(folder, **more)
    try:
        yield one
    finally:
        if one.process is not None and one.process.poll() is None:
            one.end()


def is_well(client: Client) -> bool:
    """What /healthz says; on a busy machine a commit may take longer than it likes, for a moment."""
    with suppress(ConnectionError, Refused):
        return client._exchange("GET", "/healthz", None, {})[0] == 200
    return False


def wait_well(client: Client, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not is_well(client):
        assert time.monotonic() < until
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value) if isinstance(value, int | float) else '"' + str(value).replace("\\", "\\\\") + '"'


def graph(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"steps": {"it": {"kind": kind, "inputs": inputs}}}


def save_graph(text: str, name: str = "text") -> dict[str, Any]:
    """A text, and a file with it."""
    slow = {"kind": "faults/slow_text", "inputs": {"text": text}}
    save = {"kind": "faults/save", "inputs": {"text": {"join": ["a", "string"]}, "name": name}}
    return {"steps": {"a": slow, "b": save}}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
