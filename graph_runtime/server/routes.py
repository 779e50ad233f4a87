"""The table of routes. The router, the guard, the API's description and the tests of who may call are made from it.

A route asks for the token unless it says otherwise. Knows nothing of how anything is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from graph_runtime.server import wire
from graph_runtime.server.call import Call
from graph_runtime.server.guard import JSON, OCTETS, Access, Policy
from graph_runtime.server.handlers import drafts, files, pages, runs, system, uploads, workflows

Handler = Callable[[Call], Awaitable[Any]]

OPEN = Policy(Access.OPEN)
PAGE = Policy(Access.PAGE)
TOKEN = Policy()
BODY = Policy(takes=JSON)
UPLOAD = Policy(takes=OCTETS)
CONTENT = Policy(content=True)


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    policy   who may call, and what body it takes
    body     the message that its body is; None for none, or for bytes
    answer   the message it answers with; a media type when it is something else
    query    the message that its query is
    """

    method: str
    path: str
    handler: Handler
    policy: Policy = TOKEN
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | str = JSON
    query: type[BaseModel] | None = None
    status: int = 200


async def openapi(call: Call) -> web.StreamResponse:
    """What can be asked, as OpenAPI."""
    from graph_runtime.server.openapi import describe

    return web.json_response(await call.server.do(lambda: describe(ROUTES)))


RUN = "/api/runs/{run}"
SAVED = "/api/workflows"
WORKFLOW = SAVED + "/{workflow}"
DRAFT = "/api/drafts/{draft}"

ROUTES: tuple[Route, ...] = (
    Route("GET", "/", pages.page, PAGE, answer="text/html"),
    Route("GET", "/assets/{name:.+}", pages.asset, TOKEN, answer="*/*"),
    Route("GET", "/extensions/{pack}/{name:.+}", pages.extension, TOKEN, answer="*/*"),
    Route("GET", "/healthz", system.health, OPEN, answer=wire.Health),
    Route("GET", "/readyz", system.readiness, TOKEN, answer=wire.Ready),
    Route("GET", "/metrics", system.metrics, TOKEN, answer="text/plain"),
    Route("GET", "/api/openapi.json", openapi, TOKEN),
    Route("GET", "/api/live", system.live, TOKEN, answer="websocket"),
    Route("GET", "/api/system", system.system, TOKEN, answer=wire.System),
    Route("GET", "/api/settings", system.settings, TOKEN, answer=wire.SettingsMessage),
    Route("POST", "/api/tickets", system.ticket, BODY, wire.Nothing, wire.Ticket),
    # nodes and models
    Route("GET", "/api/nodes", system.nodes, TOKEN, answer=wire.NodesMessage),
    Route("GET", "/api/models", system.models, TOKEN, answer=wire.Models),
    Route("GET", "/api/names/{kind}", system.names, TOKEN, answer=wire.Names),
    # runs and the queue
    Route("POST", "/api/runs", runs.submit, BODY, wire.Submission, wire.RunMessage, status=201),
    Route("GET", "/api/runs", runs.list_runs, TOKEN, answer=wire.RunPage, query=wire.RunQuery),
    Route("POST", "/api/runs/clear", runs.clear_runs, BODY, wire.Nothing, wire.Removed),
    Route("GET", RUN, runs.get_run, TOKEN, answer=wire.RunMessage),
    Route("DELETE", RUN, runs.remove_run, TOKEN, answer=wire.Done),
    Route("GET", RUN + "/graph", runs.get_graph, TOKEN, answer=wire.GraphMessage),
    Route("GET", RUN + "/steps", runs.get_steps, TOKEN, answer=wire.Steps),
    Route("GET", RUN + "/events", runs.get_events, TOKEN, answer=wire.Events, query=wire.EventQuery),
    Route("POST", RUN + "/cancel", runs.cancel, BODY, wire.Cancel, wire.RunMessage),
    Route("POST", RUN + "/retry", runs.retry, BODY, wire.Nothing, wire.RunMessage, status=201),
    Route("POST", RUN + "/move", runs.move, BODY, wire.Move, wire.RunMessage),
    Route("GET", "/api/queue", runs.get_queue, TOKEN, answer=wire.QueueMessage),
    Route("POST", "/api/queue/pause", runs.pause, BODY, wire.Nothing, wire.QueueMessage),
    Route("POST", "/api/queue/resume", runs.resume, BODY, wire.Nothing, wire.QueueMessage),
    Route("POST", "/api/queue/order", runs.reorder, BODY, wire.Order, wire.QueueMessage),
    Route("POST", "/api/queue/empty", runs.empty_queue, BODY, wire.Nothing, wire.Removed),
    # files
    Route("GET", "/api/outputs", files.list_outputs, TOKEN, answer=wire.Files, query=wire.FileQuery),
    Route("GET", "/api/inputs", uploads.list_inputs, TOKEN, answer=wire.Files),
    Route("GET", "/api/files/{id}", files.serve_file, CONTENT, answer="*/*"),
    Route("GET", "/api/files/{id}/thumbnail", files.serve_thumbnail, CONTENT, answer="image/webp"),
    Route("POST", "/api/uploads", uploads.upload, UPLOAD, None, wire.FileMessage, wire.UploadQuery, 201),
    # documents
    Route("POST", "/api/documents/open", workflows.open_json, BODY, wire.DocumentBody, wire.Opened),
    Route("POST", "/api/documents/open-upload", workflows.open_upload, UPLOAD, None, wire.Opened),
    Route("POST", "/api/documents/open-file", workflows.open_file, BODY, wire.OpenFile, wire.Opened),
    Route("POST", "/api/documents/check", workflows.check, BODY, wire.GraphBody, wire.Problems),
    Route("GET", SAVED, workflows.list_workflows, TOKEN, answer=wire.Workflows),
    Route("POST", SAVED, workflows.create_workflow, BODY, wire.WorkflowBody, wire.WorkflowMessage, None, 201),
    Route("GET", WORKFLOW, workflows.get_workflow, TOKEN, answer=wire.WorkflowDocument),
    Route("PATCH", WORKFLOW, workflows.rename_workflow, BODY, wire.Rename, wire.WorkflowMessage),
    Route("DELETE", WORKFLOW, workflows.remove_workflow, TOKEN, answer=wire.Done),
    Route("GET", WORKFLOW + "/versions", workflows.list_versions, TOKEN, answer=wire.Versions),
    Route("POST", WORKFLOW + "/versions", workflows.save_version, BODY, wire.VersionBody, wire.WorkflowMessage),
    Route("GET", WORKFLOW + "/versions/{version}", workflows.get_version, TOKEN, answer=wire.WorkflowDocument),
    Route("GET", "/api/templates", workflows.list_templates, TOKEN, answer=wire.Templates),
    Route("GET", "/api/drafts", drafts.list_drafts, TOKEN, answer=wire.Drafts),
    Route("GET", DRAFT, drafts.get_draft, TOKEN, answer=wire.DraftDocument),
    Route("POST", DRAFT, drafts.put_draft, BODY, wire.DraftBody, wire.DraftMessage),
    Route("DELETE", DRAFT, drafts.remove_draft, TOKEN, answer=wire.Done),
)
