"""Documents: opened, looked through, saved with all their versions."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from graph_runtime.document import open_document
from graph_runtime.graph import Graph
from graph_runtime.jsontext import MAX_BYTES, read_json
from graph_runtime.packs import builtin_files
from graph_runtime.problem import Problem, Refused
from graph_runtime.server import wire
from graph_runtime.server.call import USER, Call
from graph_runtime.server.handlers.uploads import receive
from graph_runtime.server.sniff import HEAD, OTHER, media_type
from graph_runtime.server.state import Server
from graph_runtime.validate import validate
from graph_runtime.workflows import Workflow


def opened(server: Server, source: Any) -> dict[str, Any]:
    document, problems = open_document(source, server.catalog.defs)
    return {"document": document.to_json(), "problems": [one.as_json() for one in problems]}


async def open_json(call: Call) -> wire.Opened:
    """Bring a document to what this program understands. Nothing is kept, loaded or run."""
    return wire.Opened.model_validate(await call.server.do(lambda: opened(call.server, call.body.document)))


async def open_upload(call: Call) -> wire.Opened:
    """Open a file as it is: JSON, or a picture that carries its workflow."""
    server = call.server
    folder = server.settings.data_dir / "staging"
    staged = folder / f"{uuid.uuid4().hex}.part"
    try:
        await receive(call, staged)
        return await _open_path(server, staged)
    finally:
        staged.unlink(missing_ok=True)


async def open_file(call: Call) -> wire.Opened:
    """Open the workflow in a finished picture."""
    server = call.server
    stream, _ = await server.do(lambda: server.ids.open(call.body.id))
    stream.close()
    folder, label = server.ids.read(call.body.id)
    return await _open_path(server, Path(os.path.realpath(server.ids.folders[folder] / label)))


async def _open_path(server: Server, path: Path) -> wire.Opened:
    """A picture is looked into by a worker, for the server has no library that could."""

    def work() -> dict[str, Any]:
        with open(path, "rb") as stream:
            head = stream.read(HEAD)
            if media_type(head) == OTHER:
                return opened(server, head + stream.read(MAX_BYTES + 1 - len(head)))
        found = server.supervisor.ask("workflow", {"path": str(path)})
        if not isinstance(found, dict):
            what = "there is no workflow in it."
            raise Refused(Problem("no-workflow", "file", what, "Open a picture that was saved with one."))
        return opened(server, found)

    return wire.Opened.model_validate(await server.do(work))


async def check(call: Call) -> wire.Problems:
    """Everything that is wrong with a graph or a document."""
    server, body = call.server, call.body

    def work() -> list[dict[str, str]]:
        defs = server.catalog.defs
        if body.graph is not None:
            problems = validate(Graph.from_json(body.graph), defs)
        elif body.document is not None:
            _, problems = open_document(body.document, defs)
        else:
            what = "it has neither a graph nor a document."
            raise Refused(Problem("bad-request", "body", what, "Send one of the two."))
        return [one.as_json() for one in problems]

    return wire.Problems.model_validate({"problems": await server.do(work)})


async def list_templates(call: Call) -> wire.Templates:
    """The workflows that come with the packs in the settings, in their order."""
    server = call.server

    def work() -> list[wire.TemplateMessage]:
        made = []
        for name, path in builtin_files(server.settings, "workflow").items():
            data = read_json(path.read_bytes())
            title, about = str(data.get("title", "")) or name, str(data.get("about", ""))
            made.append(wire.TemplateMessage(id=name, title=title, about=about, document=data))
        return made

    return wire.Templates(templates=await server.do(work))


# ── saved ones ──


def message(workflow: Workflow) -> wire.WorkflowMessage:
    return wire.WorkflowMessage(**{name: getattr(workflow, name) for name in workflow.__slots__})


async def list_workflows(call: Call) -> wire.Workflows:
    """The saved workflows, the last changed first."""
    found = await call.server.do(lambda: call.server.store.workflows.page(USER))
    return wire.Workflows(workflows=[message(one) for one in found])


async def create_workflow(call: Call) -> wire.WorkflowMessage:
    """Save under a name nobody has used."""
    server, body = call.server, call.body

    def begin() -> Any:
        document, _ = open_document(body.document, server.catalog.defs)
        return server.store.workflows.create(body.name, document.to_json(), user=USER, note=body.note)

    return message(await server.write(begin))


async def get_workflow(call: Call) -> wire.WorkflowDocument:
    """A saved workflow, its newest version."""
    return await _version(call, None)


async def get_version(call: Call) -> wire.WorkflowDocument:
    """A saved workflow as it was."""
    number = call.part("version")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        what = f"there is no version {number[:20]!r}."
        raise Refused(Problem("unknown-version", call.part("workflow")[:80], what, "Choose one of those listed."))
    return await _version(call, int(number))


async def _version(call: Call, version: int | None) -> wire.WorkflowDocument:
    store, id = call.server.store.workflows, call.part("workflow")

    def work() -> wire.WorkflowDocument:
        found = store.get(id)
        number = found.version if version is None else version
        return wire.WorkflowDocument(workflow=message(found), version=number, document=store.document(id, number))

    return await call.server.do(work)


async def save_version(call: Call) -> wire.WorkflowMessage:
    """Add a version."""
    server, body, id = call.server, call.body, call.part("workflow")

    def begin() -> Any:
        document, _ = open_document(body.document, server.catalog.defs)
        return server.store.workflows.save(id, document.to_json(), based_on=body.based_on, note=body.note)

    return message(await server.write(begin))


async def list_versions(call: Call) -> wire.Versions:
    """The versions that are kept, newest first."""
    found = await call.server.do(lambda: call.server.store.workflows.versions(call.part("workflow")))
    made = [wire.VersionMessage(version=one.version, saved=one.saved, note=one.note) for one in found]
    return wire.Versions(versions=made)


async def rename_workflow(call: Call) -> wire.WorkflowMessage:
    """Give it another name."""
    store = call.server.store.workflows
    return message(await call.server.write(lambda: store.rename(call.part("workflow"), call.body.name)))


async def remove_workflow(call: Call) -> wire.Done:
    """Remove it with all versions."""
    await call.server.write(lambda: call.server.store.workflows.remove(call.part("workflow")))
    return wire.Done()
