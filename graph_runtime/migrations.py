"""The shape of the store's file, as the steps that made it.

A file says in `user_version` how many steps it has taken. Each further one is one transaction, so a file is always at a
whole step. A step that has been released is never edited: the next one changes what it made. Knows nothing of what the
tables are used for; the connection and the copy made beforehand belong to `database`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from graph_runtime.problem import Problem, Refused

RUNS = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE users (name TEXT PRIMARY KEY, served INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
CREATE TABLE graphs (hash TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL REFERENCES users (name),
    key TEXT,
    graph TEXT NOT NULL REFERENCES graphs (hash),
    document TEXT REFERENCES graphs (hash),
    meta TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'running', 'crashed', 'succeeded', 'failed', 'cancelled')),
    priority INTEGER NOT NULL,
    place INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    died_boot INTEGER NOT NULL DEFAULT 0,
    last_step TEXT NOT NULL DEFAULT '',
    worker TEXT NOT NULL DEFAULT '',
    cancelling INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    problems TEXT NOT NULL DEFAULT '[]',
    result TEXT NOT NULL DEFAULT '{}',
    retry_of TEXT NOT NULL DEFAULT '',
    events INTEGER NOT NULL DEFAULT 0,
    UNIQUE (user, key)
) STRICT;
CREATE INDEX runs_waiting ON runs (priority, user, place) WHERE status = 'queued';
CREATE INDEX runs_waiting_of ON runs (user) WHERE status = 'queued';
CREATE INDEX runs_by_status ON runs (status, number);
CREATE INDEX runs_by_user ON runs (user, number);
CREATE INDEX runs_by_graph ON runs (graph);
CREATE INDEX runs_by_document ON runs (document) WHERE document IS NOT NULL;
CREATE TRIGGER runs_path BEFORE UPDATE OF status ON runs
WHEN NOT (
    (old.status = 'queued' AND new.status IN ('queued', 'running', 'cancelled'))
    OR (old.status = 'running' AND new.status IN ('queued', 'crashed', 'succeeded', 'failed', 'cancelled'))
    OR (old.status = 'crashed' AND new.status IN ('queued', 'failed', 'cancelled'))
)
BEGIN
    SELECT RAISE(ABORT, 'a run does not take this way');
END;
CREATE TRIGGER runs_ended
BEFORE UPDATE OF id, user, graph, document, attempt, crashes, started, ended, problems, result ON runs
WHEN old.status IN ('succeeded', 'failed', 'cancelled')
BEGIN
    SELECT RAISE(ABORT, 'a run that has ended does not change');
END;
CREATE TABLE crashes (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    time REAL NOT NULL,
    step TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (run, attempt)
) STRICT, WITHOUT ROWID;
"""

EVENTS = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL,
    time REAL NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_run ON events (run, seq);
CREATE TABLE executions (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    step TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL CHECK (status IN ('running', 'finished', 'reused', 'failed', 'skipped')),
    started REAL,
    ended REAL,
    seconds REAL NOT NULL DEFAULT 0,
    peak_bytes INTEGER NOT NULL DEFAULT 0,
    outputs TEXT NOT NULL DEFAULT '{}',
    problems TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (run, attempt, step)
) STRICT, WITHOUT ROWID;
"""

ARTIFACTS = """
CREATE TABLE artifacts (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    idx INTEGER NOT NULL,
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    media TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'ready', 'missing')),
    sha256 TEXT NOT NULL DEFAULT '',
    previous TEXT NOT NULL DEFAULT '',
    bytes INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    PRIMARY KEY (run, step, idx),
    UNIQUE (folder, name)
) STRICT, WITHOUT ROWID;
"""

WORKFLOWS = """
CREATE TABLE workflows (
    id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    created REAL NOT NULL,
    changed REAL NOT NULL,
    UNIQUE (user, name)
) STRICT;
CREATE TABLE workflow_versions (
    workflow TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    document TEXT NOT NULL REFERENCES graphs (hash),
    saved REAL NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (workflow, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_by_document ON workflow_versions (document);
CREATE TABLE hellos (worker TEXT PRIMARY KEY, time REAL NOT NULL, data TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""

DRAFTS = """
CREATE TABLE drafts (
    id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    workflow TEXT NOT NULL,
    based_on INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    hash TEXT NOT NULL,
    data BLOB NOT NULL,
    changed REAL NOT NULL
) STRICT;
CREATE INDEX drafts_by_user ON drafts (user, changed);
"""

STEPS: tuple[str, ...] = (RUNS, EVENTS, ARTIFACTS, WORKFLOWS, DRAFTS)


def version(connection: sqlite3.Connection) -> int:
    """How many steps the file has taken."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def refuse_newer(connection: sqlite3.Connection, place: str, steps: Sequence[str] = STEPS) -> None:
    """Raise Refused when the file has taken steps that this code does not know."""
    found = version(connection)
    if found > len(steps):
        what = f"it was written by a newer version of this program (format {found}; this one knows {len(steps)})."
        fix = "Start that version again, or choose another data folder. Nothing has been changed."
        raise Refused(Problem("store-too-new", place, what, fix))


def migrate(connection: sqlite3.Connection, steps: Sequence[str] = STEPS) -> int:
    """Take the steps that are missing, each in one transaction. Says how many that were.

    The connection must be in autocommit mode. If a step raises, the file is as it was before that step.
    """
    first = version(connection)
    for number, step in enumerate(steps[first:], first + 1):
        connection.execute("BEGIN EXCLUSIVE")
        try:
            for statement in statements(step):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return len(steps) - first


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would commit in between."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
