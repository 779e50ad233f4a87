"""Measure the server, and ComfyUI beside it where it has the same thing; prints the tables that `server.md` keeps.

    python tests/bench/server.py
    python tests/bench/server.py --comfyui FOLDER --comfyui-python PYTHON

Both are started as processes of their own with their built-in nodes on the CPU, and are asked over HTTP by one process
that is the clients. The graph is two steps without a tensor: a whole number, and something that takes it. Each has
another number in it, so nothing is answered from a cache.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from graph_runtime.server.logs import make_log
from graph_runtime.server.options import ServerLimits, ServerOptions
from graph_runtime.server.serve import Service
from graph_runtime.settings import Settings

ROOT = Path(__file__).parents[2]
PORT, COMFY_PORT = 8391, 8392
SUBMITS, AT_ONCE = 400, 8
CLIENTS, TOLD = 200, 40
PACE = 0.25  # seconds between two submissions when what is heard is measured
DEATHS = 7
STARTS = 5
UNTIL = 300.0


class Ours:
    """`latentloom serve` with room for as many live connections as are measured."""

    name = "Latent Loom"

    def __init__(self, folder: Path) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{PORT}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, __file__, "--serve", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)

    @property
    def headers(self) -> dict[str, str]:
        path = self.folder / "token"
        return {"Authorization": f"Bearer {path.read_text().strip()}"} if path.exists() else {}

    health, live = "/healthz", "/api/live"

    def submission(self, number: int) -> tuple[str, dict[str, Any]]:
        steps = {
            "a": {"kind": "core/integer", "inputs": {"value": number}},
            "b": {"kind": "core/calculate", "inputs": {"a": {"join": ["a", "int"]}, "b": 1.0}},
        }
        return "/api/runs", {"graph": {"steps": steps, "targets": ["b"]}}

    async def ready(self, session: aiohttp.ClientSession) -> bool:
        async with session.get(self.url + "/readyz") as answer:
            return answer.status == 200

    async def left(self, session: aiohttp.ClientSession) -> int:
        async with session.get(self.url + "/api/queue") as answer:
            counts = (await answer.json())["counts"]
        return int(counts["queued"] + counts["running"] + counts["crashed"])

    async def failed(self, session: aiohttp.ClientSession) -> int:
        async with session.get(self.url + "/api/queue") as answer:
            return int((await answer.json())["counts"]["failed"])

    @staticmethod
    def heard(message: dict[str, Any]) -> bool:
        """Whether this tells of a submission."""
        return message["type"] == "event" and message["data"].get("status") == "queued"


class Comfy:
    """ComfyUI's own server."""

    name = "ComfyUI"

    def __init__(self, folder: Path, python: str, front: Path) -> None:
        self.folder, self.python, self.front, self.url = folder, python, front, f"http://127.0.0.1:{COMFY_PORT}"
        self.process: subprocess.Popen[bytes] | None = None
        self.headers: dict[str, str] = {}

    def start(self) -> None:
        command = [self.python, "main.py", "--cpu", "--port", str(COMFY_PORT), "--disable-all-custom-nodes"]
        command += ["--disable-api-nodes", "--front-end-root", str(self.front)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)

    health, live = "/queue", "/ws"

    def submission(self, number: int) -> tuple[str, dict[str, Any]]:
        steps = {
            "a": {"class_type": "PrimitiveInt", "inputs": {"value": number}},
            "b": {"class_type": "PreviewAny", "inputs": {"source": ["a", 0]}},
        }
        return "/prompt", {"prompt": steps}

    async def ready(self, session: aiohttp.ClientSession) -> bool:
        return True  # what answers also runs

    async def left(self, session: aiohttp.ClientSession) -> int:
        async with session.get(self.url + "/queue") as answer:
            queue = await answer.json()
        return len(queue["queue_running"]) + len(queue["queue_pending"])

    async def failed(self, session: aiohttp.ClientSession) -> int:
        async with session.get(self.url + "/history?max_items=10000") as answer:
            history = await answer.json()
        return sum(one["status"]["status_str"] != "success" for one in history.values())

    @staticmethod
    def heard(message: dict[str, Any]) -> bool:
        return message["type"] == "status" and message["data"]["status"]["exec_info"]["queue_remaining"] > 0


async def until(true: Callable[[], Awaitable[bool]], pause: float = 0.01) -> None:
    end = time.monotonic() + UNTIL
    while True:
        with suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError):
            if await true():
                return
        if time.monotonic() > end:
            raise TimeoutError("it took too long")
        await asyncio.sleep(pause)


async def answers(one: Ours | Comfy) -> bool:
    async with aiohttp.ClientSession() as session, session.get(one.url + one.health) as answer:
        return answer.status == 200


async def begin(one: Ours | Comfy) -> float:
    """Seconds from starting the process until it answers."""
    begun = time.monotonic()
    one.start()
    await until(lambda: answers(one))
    return time.monotonic() - begun


def end(one: Ours | Comfy) -> None:
    assert one.process is not None
    one.process.terminate()
    try:
        one.process.wait(20)
    except subprocess.TimeoutExpired:
        one.process.kill()
        one.process.wait()


def rss(one: Ours | Comfy) -> int:
    assert one.process is not None
    return int(psutil.Process(one.process.pid).memory_info().rss) >> 20


def processor(one: Ours | Comfy) -> float:
    """Seconds that its processes have computed."""
    assert one.process is not None
    whole = psutil.Process(one.process.pid)
    return float(sum(sum(process.cpu_times()[:2]) for process in (whole, *whole.children(recursive=True))))


async def throughput(one: Ours | Comfy, session: aiohttp.ClientSession) -> dict[str, float]:
    """Submissions a second over eight connections, and runs a second from the first submission to the last end."""
    numbers = iter(range(1_000_000, 1_000_000 + SUBMITS))

    async def submitter() -> None:
        for number in numbers:
            path, body = one.submission(number)
            async with session.post(one.url + path, json=body) as answer:
                assert answer.status in (200, 201), await answer.text()

    computed, begun = processor(one), time.monotonic()
    await asyncio.gather(*(submitter() for _ in range(AT_ONCE)))
    submitted = time.monotonic() - begun

    async def empty() -> bool:
        return await one.left(session) == 0

    await until(empty, 0.05)
    done = time.monotonic() - begun
    assert await one.failed(session) == 0
    computed = processor(one) - computed
    return {"submits/s": SUBMITS / submitted, "runs/s": SUBMITS / done, "cpu": computed / SUBMITS}


async def hearing(one: Ours | Comfy, session: aiohttp.ClientSession) -> dict[str, list[float]]:
    """Seconds from sending a submission until each of the clients has heard of it; ours also from the event's time."""
    sent: list[float] = []
    heard: list[list[float]] = [[] for _ in range(CLIENTS)]
    from_event: list[float] = []
    there = 0

    async def listen(number: int) -> None:
        nonlocal there
        async with session.ws_connect(one.url.replace("http", "ws") + one.live, max_msg_size=0) as live:
            first = True
            async for message in live:
                there, first = there + first, False  # what has happened up to the first message is in it
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                data = json.loads(message.data)
                if one.heard(data) and len(heard[number]) < len(sent):
                    heard[number].append(time.time())
                if data["type"] == "event":
                    from_event.append(time.time() - data["time"])
                if len(heard[number]) == TOLD:
                    return

    listening = [asyncio.create_task(listen(number)) for number in range(CLIENTS)]

    async def all_there() -> bool:
        return there == CLIENTS

    await until(all_there)
    for number in range(TOLD):
        path, body = one.submission(2_000_000 + number)
        sent.append(time.time())
        async with session.post(one.url + path, json=body) as answer:
            await answer.read()
        await asyncio.sleep(PACE)
    await asyncio.wait_for(asyncio.gather(*listening), 60)
    return {"heard": [at - sent[turn] for each in heard for turn, at in enumerate(each)], "event": from_event}


async def commits(ours: Ours, session: aiohttp.ClientSession) -> float:
    """Mean seconds of a commit so far."""
    async with session.get(ours.url + "/metrics") as answer:
        text = await answer.text()
    taken, count = (float(re.findall(rf"db_commit_seconds_{part} (\S+)", text)[0]) for part in ("sum", "count"))
    return taken / count


async def spare_at_rest(ours: Ours) -> None:
    """Wait until the worker and the spare are there and have stopped importing."""
    assert ours.process is not None
    before, still = -1.0, 0
    end = time.monotonic() + UNTIL
    while still < 5 and time.monotonic() < end:
        await asyncio.sleep(0.5)
        times = []
        for child in psutil.Process(ours.process.pid).children():
            with suppress(psutil.Error):
                times.append(sum(child.cpu_times()[:2]))
        still = still + 1 if len(times) == 2 and sum(times) - before < 0.05 else 0
        before = sum(times)


async def deaths(ours: Ours, session: aiohttp.ClientSession) -> list[float]:
    """Seconds from `kill -9` of a worker amid a run until the run that waits behind it has started."""
    taken = []
    for number in range(DEATHS):
        await until(lambda: ours.ready(session))
        await spare_at_rest(ours)
        long = {"steps": {"a": {"kind": "bench/sleeps", "inputs": {"number": number}}}, "targets": ["a"]}
        async with session.post(ours.url + "/api/runs", json={"graph": long}) as answer:
            first = (await answer.json())["id"]
        path, body = ours.submission(3_000_000 + number)
        async with session.post(ours.url + path, json=body) as answer:
            second = (await answer.json())["id"]

        async def in_its_node(run: str = first) -> bool:
            async with session.get(f"{ours.url}/api/runs/{run}") as answer:
                return bool((await answer.json())["last_step"])

        await until(in_its_node)
        async with session.get(ours.url + "/api/system") as answer:
            pid = (await answer.json())["workers"][0]["pid"]
        killed = time.time()
        os.kill(pid, signal.SIGKILL)

        async def started(run: str = second) -> bool:
            async with session.get(f"{ours.url}/api/runs/{run}") as answer:
                return (await answer.json())["started"] is not None

        await until(started)
        async with session.get(f"{ours.url}/api/runs/{second}") as answer:
            taken.append((await answer.json())["started"] - killed)
        async with session.post(f"{ours.url}/api/runs/{first}/cancel", json={"force": True}) as answer:
            await answer.read()
    return taken


SLEEPER = '''"""A node that is at work until it is killed."""
import time
from graph_runtime.node import node

@node("bench/sleeps", output=True)
def sleeps(*, number: int = 0) -> int:
    """Sleep."""
    time.sleep(3600)
    return number
'''


async def measure(one: Ours | Comfy) -> dict[str, Any]:
    starts = []
    for _ in range(STARTS):
        starts.append(await begin(one))
        end(one)
    await begin(one)
    try:
        timeout = aiohttp.ClientTimeout(total=60)
        connector = aiohttp.TCPConnector(limit=CLIENTS + 50)
        async with aiohttp.ClientSession(headers=one.headers, timeout=timeout, connector=connector) as session:
            await until(lambda: one.ready(session))
            found: dict[str, Any] = {"start": starts, "rss": rss(one)}
            pings = []
            for _ in range(100):
                begun = time.monotonic()
                async with session.get(one.url + one.health) as answer:
                    await answer.read()
                pings.append(time.monotonic() - begun)
            if isinstance(one, Ours):
                await spare_at_rest(one)
            found |= {"health": pings} | await throughput(one, session)
            if isinstance(one, Ours):
                found["commit"] = await commits(one, session)
            found |= await hearing(one, session)
            found["rss after"] = rss(one)
            if isinstance(one, Ours):
                found["deaths"] = await deaths(one, session)
        return found
    finally:
        end(one)


def part(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def ms(values: Sequence[float]) -> str:
    return f"{part(values, 0.5) * 1e3:.1f} / {part(values, 0.99) * 1e3:.1f}"


def row(name: str, cells: Sequence[str]) -> None:
    print(f"| {name} | " + " | ".join(cells) + " |")


def show(found: dict[str, dict[str, Any]]) -> None:
    row("", list(found))
    print("|---|" + "---:|" * len(found))

    def line(name: str, cell: Callable[[dict[str, Any]], str]) -> None:
        row(name, [cell(one) for one in found.values()])

    line("start to first answer, s, least / median", lambda f: f"{min(f['start']):.2f} / {part(f['start'], 0.5):.2f}")
    line("resident memory of the server, MiB, before / after", lambda f: f"{f['rss']} / {f['rss after']}")
    line("health answered, ms, p50 / p99", lambda f: ms(f["health"]))
    line("submissions per second", lambda f: f"{f['submits/s']:.0f}")
    line("runs per second", lambda f: f"{f['runs/s']:.0f}")
    line("processor time of a submission and its run, ms, all processes", lambda f: f"{f['cpu'] * 1e3:.1f}")
    line("commit, flushed to disk, ms, mean", lambda f: f"{f['commit'] * 1e3:.1f}" if "commit" in f else "none")
    line(f"submission heard by {CLIENTS} clients, ms, p50 / p99", lambda f: ms(f["heard"]))
    line(f"event to {CLIENTS} clients, ms, p50 / p99", lambda f: ms(f["event"]) if f["event"] else "not told")
    line("worker killed to next run started, s, least / median / most",
         lambda f: f"{min(f['deaths']):.2f} / {statistics.median(f['deaths']):.2f} / {max(f['deaths']):.2f}"
         if "deaths" in f else "the queue is lost")  # fmt: skip


async def serve(folder: Path) -> None:
    """`latentloom serve`, with a limit that the command does not have."""
    packs = folder.parent / "packs"
    (packs / "bench").mkdir(parents=True, exist_ok=True)
    (packs / "bench" / "__init__.py").write_text(SLEEPER)
    settings = Settings(data_dir=folder, custom_nodes_dirs=(packs,), device="cpu")
    options = ServerOptions(port=PORT, open_browser=False, limits=ServerLimits(clients=CLIENTS + 50))
    service = Service(settings, options, make_log())
    await service.start()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await service.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--comfyui", type=Path)
    parser.add_argument("--comfyui-python", default=sys.executable)
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(serve(asked.serve))
        return
    before = os.getloadavg()[0]
    machine = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, load {before:.1f} before\n")
    with tempfile.TemporaryDirectory() as folder:
        front = Path(folder) / "front"
        front.mkdir()
        (front / "index.html").write_text("")
        servers: list[Ours | Comfy] = [Ours(Path(folder) / "data")]
        if asked.comfyui:
            servers.append(Comfy(asked.comfyui, asked.comfyui_python, front))
        show({one.name: asyncio.run(measure(one)) for one in servers})
    print(f"\nload {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
