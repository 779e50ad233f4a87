"""The server itself: whether it is well, what it counts, what nodes and models there are."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from typing import Any

import psutil
from aiohttp import web

from graph_runtime.disk_space import free_bytes
from graph_runtime.files import Files
from graph_runtime.problem import Problem, Refused
from graph_runtime.server import wire
from graph_runtime.server.call import Call
from graph_runtime.settings import Settings
from graph_runtime.worker import program_version

SLOW = 1.0  # seconds that a commit or the loop may be late


async def health(call: Call) -> web.StreamResponse:
    """Whether the event loop keeps up and the store can be written. No worker is needed for that."""
    ok = call.server.lag < SLOW
    try:
        async with asyncio.timeout(SLOW):
            await call.server.write(call.server.store.writable)
    except Exception:
        ok = False
    return web.json_response({"ok": ok}, status=200 if ok else 503)


async def readiness(call: Call) -> web.StreamResponse:
    """Whether a run that is submitted now would be started, as far as workers and the queue are concerned."""
    server = call.server
    reasons = [f"queue paused: {one}" for one in await server.do(server.queue.paused)]
    if not server.supervisor.ready():
        reasons.append("no worker is up")
    if server.ending:
        reasons.append("the server is ending")
    return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)


async def metrics(call: Call) -> web.StreamResponse:
    """What is counted, for Prometheus."""
    server, meters = call.server, call.server.meters

    def work() -> bytes:
        meters.queue_depth.set(server.store.runs.counts()["queued"])
        meters.loop_lag.set(server.lag)
        meters.clients.set(len(server.hub.clients))
        meters.dropped.set(server.hub.dropped)
        meters.lost.set(server.hub.lost)
        meters.disk_free.set(free_bytes(server.store.folder))
        meters.rss.labels("server").set(psutil.Process().memory_info().rss)
        for slot in server.supervisor.slots:
            meters.rss.labels(slot.name).set(_rss(slot.handle.pid))
        return meters.text()

    return web.Response(body=await server.do(work), headers={"Content-Type": "text/plain; version=0.0.4"})


async def system(call: Call) -> wire.System:
    """The machine and the server, as they are now."""
    server = call.server

    def work() -> dict[str, Any]:
        memory, notices = psutil.virtual_memory(), (*server.store.notices, *server.queue.notices)
        try:
            models = server.supervisor.ask("memory", {}, 2.0)
        except Refused:
            models = None
        return {
            "version": program_version(),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "seconds": round(time.time() - server.began, 1),
            "cpu_count": os.cpu_count() or 1,
            "cpu_percent": psutil.cpu_percent(),
            "memory_total": memory.total,
            "memory_available": memory.available,
            "server_rss": psutil.Process().memory_info().rss,
            "disk_free": free_bytes(server.store.folder),
            "clients": len(server.hub.clients),
            "workers": server.workers_json(),
            "memory": models if isinstance(models, dict) else None,
            "notices": [one.as_json() for one in notices],
        }

    return wire.System.model_validate(await server.do(work))


async def settings(call: Call) -> wire.SettingsMessage:
    """What was set when the server was started."""
    values, fields = call.server.settings.as_json(), Settings.model_fields
    made = [wire.SettingMessage(name=name, value=values[name], about=fields[name].description or "") for name in values]
    return wire.SettingsMessage(settings=made)


async def nodes(call: Call) -> web.StreamResponse:
    """The palette. Before any worker is up it is the last one that was known."""
    text = call.server.catalog.text
    return web.Response(text=text, content_type="application/json")


async def models(call: Call) -> wire.Models:
    """The models on disk, with family and size. Needs a worker."""
    found = await call.server.do(lambda: call.server.supervisor.ask("models", {}))
    return wire.Models.model_validate({"models": found})


async def names(call: Call) -> wire.Names:
    """The names that a knob for files of this kind may have, and where they are looked for. Needs a worker."""
    kind = call.part("kind")
    found = await call.server.do(lambda: call.server.supervisor.ask("files", {"kind": kind}))
    folders = Files(call.server.settings).places(kind)
    return wire.Names.model_validate({"kind": kind, "names": found, "folders": [str(one) for one in folders]})


async def ticket(call: Call) -> wire.Ticket:
    """An address that opens the editor in a browser, once, within a minute."""
    server = call.server
    seconds = server.options.limits.ticket_seconds
    return wire.Ticket(url=f"{server.address}/?ticket={server.tokens.new_ticket()}", seconds=seconds)


async def live(call: Call) -> web.StreamResponse:
    """Everything that happens, as it happens: a WebSocket. `epoch` and `seq` say where the client was last."""
    server, request = call.server, call.request
    if not web.WebSocketResponse().can_prepare(request):
        problem = Problem("bad-request", "request", "this is no WebSocket.", "Ask to upgrade the connection.")
        raise Refused(problem)
    if len(server.hub.clients) >= server.options.limits.clients:
        what = f"{server.options.limits.clients} live connections are open."
        raise Refused(Problem("too-many-clients", "live", what, "Close some."))

    def listen(outbox: Any, text: str) -> None:
        runs = wire.Subscribe.model_validate_json(text).runs
        outbox.wanted = None if runs is None else frozenset(runs)

    return await server.hub.connect(request, listen)


def _rss(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else 0
    except psutil.Error:
        return 0
