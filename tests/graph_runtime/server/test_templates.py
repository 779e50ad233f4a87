"""What one may begin with is served by the server, which imports no node for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from serving import running

from graph_runtime.client import message_of
from graph_runtime.document import open_document


def test_the_workflows_that_come_with_the_program_can_be_opened(tmp_path: Path) -> None:
    with running(tmp_path, devices=(), packs=("nodes",)) as server:
        found = server.client.ask("GET", "/api/templates")["templates"]
    assert found[0]["id"] == "starter"
    assert len({one["title"] for one in found}) == len(found) >= 5
    for one in found:
        document, _ = open_document(one["document"], {})
        assert document.title == one["title"] and document.steps and one["about"]


def test_without_packs_there_are_none(tmp_path: Path) -> None:
    with running(tmp_path, devices=()) as server:
        assert server.client.ask("GET", "/api/templates") == {"templates": []}


def test_a_draft_goes_there_and_back_and_a_second_window_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, devices=()) as server:
        with server.client.live() as connection:
            body = {"document": {"steps": {}}, "revision": 0, "name": "Cats", "client": "one"}
            draft = server.client.ask("POST", "/api/drafts/abc", body)
            assert draft["revision"] == 1
            said = next(one for one in iter(lambda: message_of(connection.recv(timeout=20)), None) if "draft" in one)
            assert (said["draft"], said["revision"], said["client"]) == ("abc", 1, "one")
        with pytest.raises(Exception, match="another window"):
            server.client.ask("POST", "/api/drafts/abc", body | {"document": {"steps": {}, "title": "x"}})
        assert server.client.ask("GET", "/api/drafts/abc")["document"] == {"steps": {}}
        server.client.ask("DELETE", "/api/drafts/abc")
        assert server.client.ask("GET", "/api/drafts") == {"drafts": []}
