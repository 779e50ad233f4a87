"""Every message once: what clients send, what they are answered, what they hear. OpenAPI and the browser's types are
made from these.

Knows nothing of HTTP.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from graph_runtime.server.wire_base import Body as Body
from graph_runtime.server.wire_base import Id, Json
from graph_runtime.server.wire_base import Message as Message
from graph_runtime.server.wire_drafts import DraftBody as DraftBody
from graph_runtime.server.wire_drafts import DraftChanged as DraftChanged
from graph_runtime.server.wire_drafts import DraftDocument as DraftDocument
from graph_runtime.server.wire_drafts import DraftMessage as DraftMessage
from graph_runtime.server.wire_drafts import Drafts as Drafts
from graph_runtime.server.wire_drafts import TemplateMessage as TemplateMessage
from graph_runtime.server.wire_drafts import Templates as Templates

# ── shared ──


class ProblemMessage(Message):
    """One thing that is wrong: where, what came and what was wanted, what to do."""

    code: str
    place: str
    what: str
    fix: str
    step: str = ""
    field: str = ""


class Problems(Message):
    """Why something was refused, completely."""

    problems: list[ProblemMessage]


class Done(Message):
    """It has been done."""

    done: bool = True


class Nothing(Body):
    """No more need be said."""


# ── runs ──


class FileMessage(Message):
    """A finished file: ask for it by `id`. `name` is only a label."""

    id: str
    name: str
    kind: str = ""
    step: str = ""
    media: str = ""
    run: str = ""
    bytes: int = 0
    created: float = 0.0


class RunMessage(Message):
    """A run. Times are seconds since 1970. `files` are there once it has ended."""

    id: str
    number: int
    user: str
    status: Literal["queued", "running", "crashed", "succeeded", "failed", "cancelled"]
    priority: int
    attempt: int
    crashes: int
    last_step: str
    worker: str
    cancelling: bool
    created: float
    started: float | None
    ended: float | None
    graph: str
    document: str
    retry_of: str
    meta: Json
    seconds: float | None
    files: list[FileMessage]
    problems: list[ProblemMessage]


class Submission(Body):
    """A graph to run, or a document to make it from. The header Idempotency-Key makes sending it twice harmless."""

    graph: Json | None = None
    document: Json | None = None
    run: Id | None = None
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    front: bool = False
    meta: Annotated[Json, Field(max_length=64)] = {}  # noqa: RUF012


class RunPage(Message):
    """Runs, newest first; `before` asks for the next page, 0 when there is none."""

    runs: list[RunMessage]
    before: int


class RunQuery(Body):
    """Which runs: states separated by commas (all, if empty), below a number, at most so many."""

    model_config = ConfigDict(extra="forbid", strict=False, defer_build=True)

    status: str = ""
    before: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class Cancel(Body):
    """`force` ends the worker at once, without waiting for the node to notice."""

    force: bool = False


class Move(Body):
    """Where a waiting run goes."""

    to: Literal["front", "back"] = "front"


class StepMessage(Message):
    """What a step took in an attempt: seconds, bytes at the peak."""

    run: str
    attempt: int
    step: str
    status: str
    started: float | None
    ended: float | None
    seconds: float
    peak_bytes: int
    outputs: dict[str, str]
    problems: list[ProblemMessage]


class Steps(Message):
    steps: list[StepMessage]
    crashes: list[Json]


class EventMessage(Message):
    """Something that has happened and is kept, at its place (epoch, seq). `data` is an event with its `type`."""

    type: Literal["event"] = "event"
    epoch: str
    seq: int
    run: str
    time: float
    data: Json


class EventQuery(Body):
    """Events of a run after a number."""

    model_config = ConfigDict(extra="forbid", strict=False, defer_build=True)

    after: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 500


class Events(Message):
    events: list[EventMessage]


class GraphMessage(Message):
    """What a run was made of."""

    graph: Json
    document: Json | None


class Removed(Message):
    """How many are gone."""

    count: int


# ── the queue ──


class WaitingMessage(Message):
    """A run that waits: its place from 1, and the seconds until it starts, as far as can be told."""

    run: str
    user: str
    priority: int
    position: int
    starts_in: float | None


class QueueMessage(Message):
    """The queue. `paused` says why nothing is started: person, boot, disk; empty when it is."""

    paused: list[str]
    counts: dict[str, int]
    waiting: list[WaitingMessage]


class Order(Body):
    """Waiting runs in the order they should have among themselves."""

    runs: Annotated[list[Id], Field(max_length=10_000)]


# ── nodes, models, workflows ──


class NodesMessage(Message):
    """The palette: NodeDefs, sockets, packs. `fresh` once a worker of this server has said it."""

    fresh: bool
    version: str
    nodes: list[Json]
    sockets: list[Json]
    packs: list[Json]


class ModelMessage(Message):
    """A model on disk. `facts` is what its family's headers tell; None when nobody could read it. `fingerprint` is the
    same for the same content under any name, on any machine."""

    kind: str
    name: str
    bytes: int
    fingerprint: str
    facts: Json | None
    problems: list[ProblemMessage]


class Models(Message):
    models: list[ModelMessage]


class Names(Message):
    """Names that a knob for files of this kind may have, and the folders they are looked for in."""

    kind: str
    names: list[str]
    folders: list[str]


class DocumentBody(Body):
    """A document, ours or one that can be turned into ours."""

    document: Json


class OpenFile(Body):
    """A file that is here: a finished picture, by its id."""

    id: str


class Opened(Message):
    """A document brought to what this program understands, and everything that is wrong with it."""

    document: Json
    problems: list[ProblemMessage]


class GraphBody(Body):
    """A graph or a document to look through."""

    graph: Json | None = None
    document: Json | None = None


class WorkflowBody(Body):
    """A workflow to save under a name nobody has used."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    document: Json
    note: Annotated[str, Field(max_length=2000)] = ""


class VersionBody(Body):
    """A new version. `based_on` is the one that was changed: if it is no longer the newest, this is refused."""

    document: Json
    based_on: int | None = None
    note: Annotated[str, Field(max_length=2000)] = ""


class Rename(Body):
    name: Annotated[str, Field(min_length=1, max_length=200)]


class WorkflowMessage(Message):
    """What is known of a saved workflow without opening it; `version` is the newest."""

    id: str
    user: str
    name: str
    version: int
    created: float
    changed: float


class Workflows(Message):
    workflows: list[WorkflowMessage]


class VersionMessage(Message):
    version: int
    saved: float
    note: str


class Versions(Message):
    versions: list[VersionMessage]


class WorkflowDocument(Message):
    workflow: WorkflowMessage
    version: int
    document: Json


# ── files ──


class FileQuery(Body):
    """Finished files made before a time (any, if 0), newest first."""

    model_config = ConfigDict(extra="forbid", strict=False, defer_build=True)

    before: Annotated[float, Field(ge=0)] = 0.0
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class Files(Message):
    files: list[FileMessage]


class UploadQuery(Body):
    """`name` is a label; a number is added if it is taken."""

    name: Annotated[str, Field(min_length=1, max_length=200)]


# ── the server ──


class Health(Message):
    ok: bool


class Ready(Message):
    """Whether runs can be started now, and why not."""

    ready: bool
    reasons: list[str]


class WorkerMessage(Message):
    """A worker: starting, ready, running, failed or closed. `quiet_seconds` since its last sign of life."""

    name: str
    device: str
    state: str
    run: str
    step: str
    pid: int
    quiet_seconds: float
    restarts: int
    problems: list[ProblemMessage]


class System(Message):
    """The machine and the server, as they are now. Bytes, seconds."""

    version: str
    python: str
    platform: str
    seconds: float
    cpu_count: int
    cpu_percent: float
    memory_total: int
    memory_available: int
    server_rss: int
    disk_free: int
    clients: int
    workers: list[WorkerMessage]
    memory: Json | None
    notices: list[ProblemMessage]


class SettingMessage(Message):
    name: str
    value: Any
    about: str


class SettingsMessage(Message):
    """What was set when the server was started; it cannot be changed while it runs."""

    settings: list[SettingMessage]


class Ticket(Message):
    """An address that opens the editor in a browser: good once, for a minute."""

    url: str
    seconds: float


# ── the live connection ──


class Snapshot(Message):
    """The first thing heard when there is no place to go on from: all that matters now, as of (epoch, seq)."""

    type: Literal["snapshot"] = "snapshot"
    epoch: str
    seq: int
    runs: list[RunMessage]
    queue: QueueMessage
    workers: list[WorkerMessage]


class Welcome(Message):
    """The first thing heard when everything since the named place follows."""

    type: Literal["welcome"] = "welcome"
    epoch: str
    seq: int
    workers: list[WorkerMessage]


class ProgressMessage(Message):
    """How far a step is. Only the newest is sent."""

    type: Literal["progress"] = "progress"
    run: str
    step: str
    done: int
    total: int
    text: str


class PreviewHeader(Message):
    """Begins a binary message: length of this JSON (u32, big endian), this JSON, the picture."""

    type: Literal["preview"] = "preview"
    run: str
    step: str
    media: str


class WorkersMessage(Message):
    """The workers have changed."""

    type: Literal["workers"] = "workers"
    workers: list[WorkerMessage]


class NodesChanged(Message):
    """There are other nodes than before: get them anew."""

    type: Literal["nodes-changed"] = "nodes-changed"


class Subscribe(Body):
    """What a client may say: whose progress and previews it wants; None is everybody's, [] nobody's."""

    type: Literal["subscribe"]
    runs: Annotated[list[Id], Field(max_length=1000)] | None = None


LIVE: tuple[type[Message], ...] = (
    Snapshot,
    Welcome,
    EventMessage,
    ProgressMessage,
    PreviewHeader,
    WorkersMessage,
    NodesChanged,
    DraftChanged,
)
