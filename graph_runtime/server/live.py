"""The live connection: everything that happens, told to everybody who listens, as fast as each can hear.

    kept events          in order, none left out; a client that was away says where it was and hears the rest
    progress, previews   the newest of each step, a few times a second; what is older when there is time to send is gone

Every client has an outbox of its own and a task that empties it, so a slow one delays nobody. State that no longer fits
into its outbox ends the connection (1013): it comes back and is told anew. Knows nothing of how events come about.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from graph_runtime.event_log import EventLog, StoredEvent
from graph_runtime.events import Preview, Progress
from graph_runtime.server.options import ServerLimits
from graph_runtime.server.sniff import media_type

HEAD = struct.Struct(">I")
INTERVAL = 0.05  # seconds between two rounds of progress and previews
PREVIEWS = frozenset({"image/jpeg", "image/png", "image/webp"})
ENDS_STEP = frozenset({"finished", "failed", "skipped", "cancelled"})
SHOWN = 64  # steps whose newest progress and picture wait for one client
CLOSING = 2.0  # seconds for a farewell
KERNEL = 256 << 10  # bytes the kernel may hold for one client; left to itself it takes megabytes for each

Passing = Progress | Preview
Spoken = tuple[int, str]  # the number of an event (0 for none), and the message


class Outbox:
    """What one client has still to be sent. Only touched on the event loop."""

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self.state: deque[Spoken] = deque()
        self.passing: dict[tuple[str, str, str], str | bytes] = {}
        self.bytes = 0
        self.full = asyncio.Event()
        self.held = True  # until it is known where the client goes on from
        self.wanted: frozenset[str] | None = None  # runs whose progress and previews it wants; None: all
        self.ready = asyncio.Event()
        self.dropped = 0

    def add(self, seq: int, text: str) -> None:
        """State: never left out. If it does not fit, the client is lost, and nothing more is kept for it."""
        if self.full.is_set():
            return
        self.state.append((seq, text))
        self.bytes += len(text)
        if self.bytes > self.limits.outbox or len(self.state) > self.limits.outbox_events:
            self.full.set()
            self.state.clear()
            self.passing.clear()
        self.ready.set()

    def show(self, key: tuple[str, str, str], message: str | bytes) -> None:
        if not self.full.is_set() and (self.wanted is None or key[1] in self.wanted):
            self.dropped += key in self.passing
            self.passing[key] = message
            if len(self.passing) > SHOWN:
                self.passing.pop(next(iter(self.passing)))
                self.dropped += 1
            self.ready.set()

    def release(self, first: Iterable[Spoken], last: int) -> None:
        """Begin with these; of what came meanwhile only what is newer than `last` follows."""
        newer = [one for one in self.state if one[0] > last or one[0] == 0]
        self.state = deque([*first, *newer])
        self.bytes = sum(len(text) for _, text in self.state)
        self.held = False
        self.ready.set()


class Hub:
    """All live connections of a server. `told`, `show` and `say` may be called from any thread.

    describe   port: a kept event as its message
    snapshot   port: all that matters now; called on another thread
    welcome    port: the greeting of a client that goes on
    """

    def __init__(
        self,
        log: EventLog,
        limits: ServerLimits,
        loop: asyncio.AbstractEventLoop,
        describe: Callable[[StoredEvent], Mapping[str, Any]],
        snapshot: Callable[[], Mapping[str, Any]],
        welcome: Callable[[str, int], Mapping[str, Any]],
    ) -> None:
        self.log, self.limits, self.loop = log, limits, loop
        self.describe, self.snapshot, self.welcome = describe, snapshot, welcome
        self.clients: dict[web.WebSocketResponse, Outbox] = {}
        self.dropped = self.lost = 0
        self._lock = threading.Lock()
        self._told: list[StoredEvent | str] = []
        self._latest: dict[tuple[str, str, str], Passing] = {}
        self._scheduled = self._showing = False

    # ── from any thread ──

    def told(self, event: StoredEvent) -> None:
        self._put(event)

    def say(self, message: Mapping[str, Any]) -> None:
        """Something for everybody that is not kept."""
        self._put(json.dumps(message, separators=(",", ":")))

    def show(self, event: Passing) -> None:
        with self._lock:
            self._latest[type(event).__name__, event.run, event.step] = event
            if self._showing or not self.clients:
                return
            self._showing = True
        self._call(lambda: self.loop.call_later(INTERVAL, self._show))

    def _put(self, one: StoredEvent | str) -> None:
        with self._lock:
            self._told.append(one)
            if self._scheduled:
                return
            self._scheduled = True
        self._call(self._tell)

    def _call(self, work: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self.loop.call_soon_threadsafe(work)

    # ── on the loop ──

    def _tell(self) -> None:
        with self._lock:
            told, self._told, self._scheduled = self._told, [], False
        for one in told:
            if isinstance(one, str):
                seq, text, ended = 0, one, ""
            else:
                seq, text = one.seq, json.dumps(self.describe(one), separators=(",", ":"))
                ended = str(one.data.get("step", "")) if one.data["type"] in ENDS_STEP else ""
                if ended:
                    self._forget(one.run, ended)
            for outbox in self.clients.values():
                outbox.add(seq, text)
                if ended and not isinstance(one, str):
                    outbox.passing.pop(("Progress", one.run, ended), None)

    def _forget(self, run: str, step: str) -> None:
        with self._lock:
            self._latest.pop(("Progress", run, step), None)

    def _show(self) -> None:
        with self._lock:
            latest, self._latest, self._showing = self._latest, {}, False
        for key, event in latest.items():
            message = self._spoken(event)
            if message is not None:
                for outbox in self.clients.values():
                    outbox.show(key, message)

    def _spoken(self, event: Passing) -> str | bytes | None:
        if isinstance(event, Progress):
            data = {"type": "progress", "run": event.run, "step": event.step, "done": event.done}
            return json.dumps(data | {"total": event.total, "text": event.text}, separators=(",", ":"))
        media = media_type(event.image[:64])
        if media not in PREVIEWS or len(event.image) > self.limits.preview:
            return None
        header = {"type": "preview", "run": event.run, "step": event.step, "media": media}
        text = json.dumps(header, separators=(",", ":")).encode()
        return HEAD.pack(len(text)) + text + event.image

    async def connect(self, request: web.Request, listen: Callable[[Outbox, str], None]) -> web.WebSocketResponse:
        """Serve one client until it leaves; it has been let in. `listen` is given what it says; ValueError ends it."""
        ws = web.WebSocketResponse(
            max_msg_size=self.limits.message, heartbeat=self.limits.ping, compress=False, timeout=CLOSING
        )
        await ws.prepare(request)
        if request.transport is not None:
            request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL)
        outbox = self.clients[ws] = Outbox(self.limits)
        sending = asyncio.create_task(self._send(ws, outbox, request))
        hearing = asyncio.create_task(self._hear(ws, outbox, request, listen))
        try:
            # Either ends both: who was hung up on says nothing any more, and would be listened to for ever.
            await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.clients.pop(ws, None)
            self.dropped += outbox.dropped
            sending.cancel()
            hearing.cancel()
            await asyncio.gather(sending, hearing, return_exceptions=True)
        return ws

    async def _hear(
        self, ws: web.WebSocketResponse, outbox: Outbox, request: web.Request, listen: Callable[[Outbox, str], None]
    ) -> None:
        """Begin, then take what the client says, until it leaves or says what is not understood."""
        try:
            await self._begin(outbox, request.query.get("epoch", ""), request.query.get("seq", ""))
            async for message in ws:
                if message.type is not WSMsgType.TEXT:
                    await ws.close(code=WSCloseCode.UNSUPPORTED_DATA)
                    break
                listen(outbox, message.data)
        except ValueError:
            await ws.close(code=WSCloseCode.POLICY_VIOLATION)

    async def _begin(self, outbox: Outbox, epoch: str, seq: str) -> None:
        """What happened since the client was here; or all that matters now."""
        place = int(seq) if seq.isascii() and seq.isdecimal() and len(seq) < 16 else -1
        missed = await asyncio.to_thread(self.log.since, epoch, place)
        if missed is None:
            data = await asyncio.to_thread(self.snapshot)
            outbox.release([(0, json.dumps(data, separators=(",", ":")))], data["seq"])
            return
        last = missed[-1].seq if missed else place
        first = [(0, json.dumps(self.welcome(epoch, last), separators=(",", ":")))]
        first += [(one.seq, json.dumps(self.describe(one), separators=(",", ":"))) for one in missed]
        outbox.release(first, last)

    async def _send(self, ws: web.WebSocketResponse, outbox: Outbox, request: web.Request) -> None:
        """Empties the outbox. A client that does not read holds up this task and nothing else."""
        emptying = asyncio.create_task(self._empty(ws, outbox))
        full = asyncio.create_task(outbox.full.wait())
        try:
            await asyncio.wait({emptying, full}, return_when=asyncio.FIRST_COMPLETED)
            if full.done():
                self.lost += 1
                emptying.cancel()
                await self._part(ws, request, WSCloseCode.TRY_AGAIN_LATER)
        finally:
            emptying.cancel()
            full.cancel()

    async def _empty(self, ws: web.WebSocketResponse, outbox: Outbox) -> None:
        with suppress(ConnectionError, RuntimeError):
            while not ws.closed:
                await outbox.ready.wait()
                outbox.ready.clear()
                if outbox.held:
                    continue
                while outbox.state:
                    _, text = outbox.state.popleft()
                    outbox.bytes -= len(text)
                    await ws.send_str(text)
                while outbox.passing and not outbox.state:
                    message = outbox.passing.pop(next(iter(outbox.passing)))
                    await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))

    async def _part(self, ws: web.WebSocketResponse, request: web.Request, code: int) -> None:
        """Say farewell; to one who does not hear even that, hang up."""
        transport = request.transport
        with suppress(Exception):
            await asyncio.wait_for(ws.close(code=code), CLOSING)
        if transport is not None and (not transport.is_closing() or transport.get_extra_info("socket")):
            transport.abort()

    async def close(self) -> None:
        """The server is ending: tell everybody (1012)."""
        everybody = list(self.clients)
        farewells = [asyncio.wait_for(ws.close(code=WSCloseCode.SERVICE_RESTART), CLOSING) for ws in everybody]
        await asyncio.gather(*farewells, return_exceptions=True)
