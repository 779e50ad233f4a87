"""A server's life: take the data folder, open the store, listen, start the workers; at the end everything in reverse.

It listens before any worker is there. Told to end (SIGTERM, Ctrl-C) it takes no more work, tells its clients, lets runs
under way stop and wait again, and closes the store; told twice it ends at once, and the next start puts things right.
Knows nothing of what is asked of it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import webbrowser
from contextlib import suppress
from typing import Any

from aiohttp import web

from graph_runtime.problem import Problem, Refused
from graph_runtime.run_queue import RunQueue
from graph_runtime.server.app import make_app
from graph_runtime.server.catalog import Catalog
from graph_runtime.server.file_ids import FileIds
from graph_runtime.server.guard import Guard
from graph_runtime.server.live import Hub
from graph_runtime.server.metrics import Meters
from graph_runtime.server.options import ServerOptions
from graph_runtime.server.probe import Probes
from graph_runtime.server.state import Server
from graph_runtime.server.tokens import Failures, Tokens, read_token
from graph_runtime.settings import Settings
from graph_runtime.slots import devices
from graph_runtime.store import Store
from graph_runtime.supervisor import Supervisor

UPKEEP = 600.0  # seconds
LAG = 0.5
BACKLOG = 256


class Service:
    """One server, from `start` to `stop`.

    devices   what to start workers for; found out if None
    spare     whether to keep a spare worker
    """

    def __init__(
        self,
        settings: Settings,
        options: ServerOptions,
        log: Any,
        *,
        devices: tuple[str, ...] | None = None,
        spare: bool = True,
    ) -> None:
        self.settings, self.options, self.log, self.spare = settings, options, log, spare
        self.devices = devices
        self.server: Server
        self._runner: web.AppRunner
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> str:
        """Listen, then start the workers. The address. Raises Refused when it cannot be done."""
        options, settings = self.options, self.settings
        options.check()
        tls = options.tls()
        bound = _bind(options)
        port = bound.getsockname()[1]
        try:
            server = self.server = self._parts()
        except BaseException:
            bound.close()
            raise
        limits = options.limits
        server.address = options.address(port)
        server.hub = Hub(
            server.store.events,
            limits,
            asyncio.get_running_loop(),
            server.event_json,
            server.snapshot,
            server.welcome,
        )
        hosts, failures = options.hosts(port), Failures(limits.failures_per_minute)
        trust = options.trust_loopback
        server.guard = Guard(hosts, options.scheme, server.tokens, failures, trust_loopback=trust, port=port)
        found = self.devices if self.devices is not None else devices(settings)
        server.supervisor = Supervisor(settings, server.queue, server, self.log, found, spare=self.spare)
        server.store.events.subscribe(server.hub.told)
        self._runner = web.AppRunner(
            make_app(server), access_log=None, handle_signals=False, shutdown_timeout=2.0, keepalive_timeout=75.0
        )
        await self._runner.setup()
        await web.SockSite(self._runner, bound, ssl_context=tls, backlog=BACKLOG).start()
        server.supervisor.start()
        self._tasks = [asyncio.create_task(self._watch_lag()), asyncio.create_task(self._upkeep())]
        for notice in (*server.store.notices, *server.queue.notices):
            self.log.warning("notice", problem=str(notice))
        return server.address

    async def stop(self) -> None:
        """Take no more work, tell the clients, stop the runs, close the store."""
        server = self.server
        server.ending = True
        for task in self._tasks:
            task.cancel()
        stopping = asyncio.get_running_loop().run_in_executor(
            None, server.supervisor.stop, self.options.limits.shutdown
        )
        await server.hub.close()
        await stopping
        await self._runner.cleanup()
        server.pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(server.store.close)

    def _parts(self) -> Server:
        settings = self.settings
        token = read_token(settings.data_dir)
        meters = Meters()
        folders = {"output": settings.output_dir, "temp": settings.data_dir / "temp", "input": settings.input_dir}
        store = Store(settings.data_dir, folders, on_commit=lambda seconds, _: meters.commits.observe(seconds))
        try:
            hellos = store.hellos()
            newest = max(hellos.values(), key=lambda one: one[0])[1] if hellos else None
            return Server(
                settings,
                self.options,
                store,
                RunQueue(store),
                Tokens(token, self.options.limits.ticket_seconds),
                FileIds(folders, token),
                Catalog(newest),
                meters,
                Probes(settings.data_dir / "thumbnails"),
                self.log,
            )
        except BaseException:
            store.close()
            raise

    async def _watch_lag(self) -> None:
        """How late the loop is; for health checks."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG
            await asyncio.sleep(LAG)
            self.server.lag = max(0.0, loop.time() - due)

    async def _upkeep(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP)
            try:
                await self.server.do(self.server.store.upkeep)
            except Exception as error:
                self.log.error("upkeep failed", error=f"{type(error).__name__}: {error}")


def serve(settings: Settings, options: ServerOptions, log: Any) -> None:
    """Serve until told to end. Raises Refused when it cannot begin."""
    asyncio.run(_serve(settings, options, log))


async def _serve(settings: Settings, options: ServerOptions, log: Any) -> None:
    service = Service(settings, options, log)
    address = await service.start()
    ticket = f"{address}/?ticket={service.server.tokens.new_ticket()}"
    print(f"Latent Loom is at {address}\nOpen it in a browser, within a minute and once: {ticket}", flush=True)
    if options.trust_loopback:
        log.warning("no token is asked of callers on this machine (--trust-loopback)")
    if options.open_browser:
        asyncio.get_running_loop().run_in_executor(None, webbrowser.open, ticket)
    ended = asyncio.Event()

    def told() -> None:
        if ended.is_set():
            os._exit(1)
        log.info("ending")
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            asyncio.get_running_loop().add_signal_handler(number, told)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: told())
    await ended.wait()
    await service.stop()
    log.info("ended")


def _bind(options: ServerOptions) -> socket.socket:
    """The listening socket. Raises Refused when the address cannot be had."""
    host = options.host.strip("[]")
    bound: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        return bound
    except OSError as error:
        with suppress(AttributeError):
            bound.close()  # type: ignore[union-attr]
        what = f"it cannot be listened on: {error.strerror or error}."
        raise Refused(Problem("no-address", f"{options.host}:{options.port}", what, "Choose another --port.")) from None
