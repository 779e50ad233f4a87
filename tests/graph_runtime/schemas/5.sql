BEGIN TRANSACTION;
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
INSERT INTO "artifacts" VALUES('done','a',0,'output','cat_00001.png','image','ready','77af778b51abd4a3c51c5ddd97204a9c3ae614ebccb75a606c3b6865aed6744e','',3,2.5);
CREATE TABLE counters (name TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "counters" VALUES('boot',1);
INSERT INTO "counters" VALUES('place',3);
INSERT INTO "counters" VALUES('served',2);
CREATE TABLE crashes (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    time REAL NOT NULL,
    step TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (run, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO "crashes" VALUES('worked',1,2.0,'a','core/a','{}');
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL,
    time REAL NOT NULL,
    data TEXT NOT NULL
) STRICT;
INSERT INTO "events" VALUES(1,'done',2.0,'{"type":"started","run":"done","step":"a"}');
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
INSERT INTO "executions" VALUES('done',1,'a','','finished',2.0,3.0,1.0,0,'{}','[]');
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "facts" VALUES('epoch','e');
CREATE TABLE graphs (hash TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT;
INSERT INTO "graphs" VALUES('e0a1ded5783a91d9374430c0fd4a6e3490b291689dc7e24f53a43306eefb28c4',X'789CAB562A2E492D2856B2AAAEAD05001D3C049E');
CREATE TABLE hellos (worker TEXT PRIMARY KEY, time REAL NOT NULL, data TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "hellos" VALUES('gpu0',1.0,'{"nodes":[]}');
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
INSERT INTO "runs" VALUES(1,'done','','k1','e0a1ded5783a91d9374430c0fd4a6e3490b291689dc7e24f53a43306eefb28c4','e0a1ded5783a91d9374430c0fd4a6e3490b291689dc7e24f53a43306eefb28c4','{}','succeeded',0,1,1,0,0,'','',0,1.0,2.0,3.0,'[]','{"a":1}','',0);
INSERT INTO "runs" VALUES(2,'worked','',NULL,'e0a1ded5783a91d9374430c0fd4a6e3490b291689dc7e24f53a43306eefb28c4',NULL,'{}','running',1,2,1,0,0,'','',0,1.0,2.0,NULL,'[]','{}','',0);
INSERT INTO "runs" VALUES(3,'waits','ann','k3','e0a1ded5783a91d9374430c0fd4a6e3490b291689dc7e24f53a43306eefb28c4',NULL,'{}','queued',0,3,0,0,0,'','',0,1.0,NULL,NULL,'[]','{}','',0);
CREATE TABLE users (name TEXT PRIMARY KEY, served INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
INSERT INTO "users" VALUES('',2);
INSERT INTO "users" VALUES('ann',1);
CREATE TABLE workflow_versions (
    workflow TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    document TEXT NOT NULL REFERENCES graphs (hash),
    saved REAL NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (workflow, version)
) STRICT, WITHOUT ROWID;
INSERT INTO "workflow_versions" VALUES('w',1,'e0a1ded5783a91d9374430c0fd4a6e3490b291689dc7e24f53a43306eefb28c4',1.0,'');
CREATE TABLE workflows (
    id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    created REAL NOT NULL,
    changed REAL NOT NULL,
    UNIQUE (user, name)
) STRICT;
INSERT INTO "workflows" VALUES('w','ann','cats',1,1.0,1.0);
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
CREATE INDEX events_of_run ON events (run, seq);
CREATE INDEX versions_by_document ON workflow_versions (document);
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
INSERT INTO "drafts" VALUES('d','ann','cats','w',1,2,'e0a1ded5783a91d9374430c0fd4a6e3490b291689dc7e24f53a43306eefb28c4',X'789cab562a2e492d2856b2aaaead05001d3c049e',1.0);
CREATE INDEX drafts_by_user ON drafts (user, changed);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',3);
INSERT INTO "sqlite_sequence" VALUES('events',1);
COMMIT;
