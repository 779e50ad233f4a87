"""A server from the outside: submit, follow, fetch. For scripts, for `latentloom run --server`, and for tests.

    client = Client("http://127.0.0.1:8188", token)
    run = client.submit(graph={"steps": …})
    for message in client.follow(run["id"]): …

A submission carries a key, so that sending it again after a lost connection cannot make two runs; following goes on
where it was after a reconnect. Raises Refused with what the server says, ConnectionError when it cannot be reached.
"""

from __future__ import annotations

import http.client
import json
import struct
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from graph_runtime.events import CancelledEvent, Event, Preview, Progress, RunFinished, from_json
from graph_runtime.graph import Graph
from graph_runtime.problem import Problem, Refused

HEAD = struct.Struct(">I")
ENDED = frozenset({"succeeded", "failed", "cancelled"})
LARGEST = 16 << 20  # bytes of one live message
PAUSE = 0.2  # seconds between two tries to reach a server

T = TypeVar("T")
Message = dict[str, Any]


class Client:
    """One server.

    token     what proves who asks; "" if the server trusts this machine
    patience  seconds to go on trying when the server cannot be reached
    """

    def __init__(self, url: str, token: str = "", *, timeout: float = 30.0, patience: float = 0.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(
                Problem("bad-address", url[:200], "this is no address of a server.", "Write http://host:port.")
            )
        self.secure, self.host = parts.scheme == "https", parts.netloc
        self.token, self.timeout, self.patience = token, timeout, patience

    # ── asking ──

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """One request, its JSON answer. What only reads is tried again within the patience.

        Raises Refused, ConnectionError.
        """
        sent = data if data is not None else None if body is None else json.dumps(body).encode()
        kind = "application/octet-stream" if data is not None else "application/json"
        said = {"Content-Type": kind} if sent is not None else {}
        said |= headers or {}

        def exchange() -> tuple[int, bytes]:
            return self._exchange(method, path, sent, said)

        status, raw = self._patiently(exchange) if method == "GET" else exchange()
        answer = _parsed(raw)
        if status >= 400:
            listed = answer.get("problems") if isinstance(answer, dict) else None
            fix = "Look into its log."
            other = [Problem("server-error", self.host, f"the server answered {status}.", fix)]
            raise Refused([Problem.from_json(one) for one in listed or ()] or other)
        return answer

    def fetch(self, file: str) -> bytes:
        """A file by its id."""
        path = f"/api/files/{quote(file, safe='')}"
        status, raw = self._patiently(lambda: self._exchange("GET", path, None, {}))
        if status != 200:
            raise Refused(Problem("unknown-file", file[:40], "there is no such file.", "Get the list anew."))
        return raw

    def _patiently(self, call: Callable[[], T]) -> T:
        """Call until the server can be reached, within the patience. Raises ConnectionError."""
        until = time.monotonic() + self.patience
        while True:
            try:
                return call()
            except ConnectionError:
                if time.monotonic() >= until:
                    raise
                time.sleep(PAUSE)

    def _exchange(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        said = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        connection = (http.client.HTTPSConnection if self.secure else http.client.HTTPConnection)(
            self.host, timeout=self.timeout
        )
        try:
            connection.request(method, path, body=data, headers={**said, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(f"{self.host} cannot be reached: {error}") from error
        finally:
            connection.close()

    # ── runs ──

    def submit(
        self,
        graph: Mapping[str, Any] | None = None,
        document: Mapping[str, Any] | None = None,
        *,
        key: str = "",
        **more: Any,
    ) -> Message:
        """Put a graph or a document in the queue; answered once it is there to stay. Tries on within the patience."""
        body = {"graph": graph, "document": document, **more}
        body = {name: value for name, value in body.items() if value is not None}
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        answer: Message = self._patiently(lambda: self.ask("POST", "/api/runs", body, headers=headers))
        return answer

    def run(self, run: str) -> Message:
        answer: Message = self.ask("GET", f"/api/runs/{run}")
        return answer

    def cancel(self, run: str, *, force: bool = False) -> Message:
        answer: Message = self.ask("POST", f"/api/runs/{run}/cancel", {"force": force})
        return answer

    def wait(self, run: str, seconds: float = 60.0) -> Message:
        """The run once it is over. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while True:
            with suppress(ConnectionError):
                found = self.run(run)
                if found["status"] in ENDED:
                    return found
            if time.monotonic() > until:
                raise TimeoutError(f"{run} is not over after {seconds:g} s")
            time.sleep(0.05)

    # ── listening ──

    def live(self, epoch: str = "", seq: int = -1, *, timeout: float = 10.0) -> ClientConnection:
        """A live connection, from a place on if one is named. Raises Refused, ConnectionError."""
        place = "?" + urlencode({"epoch": epoch, "seq": seq}) if epoch else ""
        address = f"{'wss' if self.secure else 'ws'}://{self.host}/api/live{place}"
        said = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            return connect(
                address, additional_headers=said, max_size=LARGEST, open_timeout=timeout, compression=None, proxy=None
            )
        except InvalidStatus as error:
            answer = _parsed(bytes(error.response.body or b""))
            listed = answer.get("problems", ()) if isinstance(answer, dict) else ()
            raise Refused([Problem.from_json(one) for one in listed]) from None
        except (OSError, WebSocketException, TimeoutError) as error:
            raise ConnectionError(f"{self.host} cannot be reached: {error}") from error

    def listen(self, epoch: str = "", seq: int = -1) -> Iterator[Message]:
        """Everything that is told, for ever, from a place on; a preview has its bytes as `image`.

        After a lost connection it goes on where it was, within the patience; then ConnectionError.
        """
        until = time.monotonic() + self.patience
        while True:
            try:
                with self.live(epoch, seq) as connection:
                    for raw in connection:
                        until = time.monotonic() + self.patience
                        message = message_of(raw)
                        if "seq" in message:
                            epoch, seq = message["epoch"], message["seq"]
                        yield message
            except ConnectionClosed:
                pass
            except ConnectionError:
                if time.monotonic() >= until:
                    raise
            if time.monotonic() >= until:
                raise ConnectionError(f"{self.host} ended the connection")
            time.sleep(PAUSE)

    def follow(self, run: str) -> Iterator[Message]:
        """What happens in a run, from its beginning to its end: kept events, progress and previews."""
        last = -1
        for message in self.listen():
            if message["type"] in ("snapshot", "welcome"):
                told = self._told(run, max(0, last))
            elif message["type"] == "event":
                told = [message] if message["run"] == run and message["seq"] > last else []
            else:
                told = [message] if message.get("run") == run else []
            for one in told:
                last = max(last, one.get("seq", last))
                yield one
                if one["type"] == "event" and one["data"]["type"] == "run-status" and one["data"]["status"] in ENDED:
                    return

    def _told(self, run: str, after: int) -> list[Message]:
        """The kept events of a run after a place."""
        found: list[Message] = []
        while page := self.ask("GET", f"/api/runs/{run}/events?after={after}&limit=1000")["events"]:
            found += page
            after = page[-1]["seq"]
        return found


class ServerWorker:
    """A `WorkerHandle` that is a whole server: its runs wait in the queue like everybody's.

    folder        where finished files are brought to; None leaves them there, and events name them by their labels
    first_worker  seconds to wait for a worker when the server has never had one
    """

    def __init__(self, client: Client, folder: Path | None = None, *, first_worker: float = 180.0) -> None:
        self.client, self.folder, self.first_worker = client, folder, first_worker
        self._run = ""

    def hello(self) -> dict[str, Any]:
        """What nodes there are; waits for the first worker if none has ever said it. Raises Refused if none can."""
        until = time.monotonic() + self.first_worker
        while True:
            answer: dict[str, Any] = self.client.ask("GET", "/api/nodes")
            if answer["fresh"] or answer["nodes"]:
                return answer
            workers = self.client.ask("GET", "/api/system")["workers"]
            failed = [Problem.from_json(one) for worker in workers for one in worker["problems"]]
            if failed or time.monotonic() >= until:
                nobody = Problem("no-worker", "server", "no worker is up there.", "Look into its log.")
                raise Refused(failed or [nobody])
            time.sleep(PAUSE)

    def start(self, run: str, graph: Graph, document: Mapping[str, Any] | None = None) -> None:
        self._run = self.client.submit(graph.to_json(), document, run=run, key=run)["id"]

    def events(self) -> Iterator[Event]:
        for message in self.client.follow(self._run):
            match message["type"]:
                case "progress":
                    yield Progress(self._run, message["step"], message["done"], message["total"], message["text"])
                case "preview":
                    yield Preview(self._run, message["step"], message["image"])
                case _:
                    yield from self._event(message["data"])
        yield self._end()

    def _event(self, data: Message) -> Iterator[Event]:
        if data["type"] == "wrote" and self.folder is not None:
            data = data | {"paths": [str(self._brought(one)) for one in data["files"] if one["kind"] == "output"]}
        with suppress(KeyError):  # what this program does not know
            event = from_json(data)
            if not isinstance(event, RunFinished | CancelledEvent):
                yield event

    def _brought(self, file: Message) -> Path:
        """Fetch a finished file into the folder, under its last name; what is there is left alone."""
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        data, name = self.client.fetch(file["id"]), Path(Path(file["name"]).name)
        for number in range(10_000):
            path = self.folder / (str(name) if not number else f"{name.stem}_{number}{name.suffix}")
            with suppress(FileExistsError):
                with open(path, "xb") as stream:
                    stream.write(data)
                return path
        raise Refused(Problem("name-taken", str(name), "too many files have that name.", "Choose another folder."))

    def _end(self) -> RunFinished:
        run = self.client.run(self._run)
        problems = tuple(Problem.from_json(one) for one in run["problems"])
        return RunFinished(self._run, run["status"], run["seconds"] or 0.0, problems)

    def cancel(self, run: str) -> None:
        self.client.cancel(run)

    def kill(self) -> None:
        if self._run:
            self.client.cancel(self._run, force=True)

    def ask(self, what: str, given: Mapping[str, Any], seconds: float = 30.0) -> Any:
        raise Refused(Problem("unknown-question", what[:40], "a server is asked by its routes.", "Use Client.ask."))

    def close(self) -> None:
        return


def message_of(raw: str | bytes) -> Message:
    """A live message; a preview with its bytes as `image`."""
    if isinstance(raw, str):
        message: Message = json.loads(raw)
        return message
    (length,) = HEAD.unpack_from(raw)
    header: Message = json.loads(raw[HEAD.size : HEAD.size + length])
    return header | {"image": raw[HEAD.size + length :]}


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
