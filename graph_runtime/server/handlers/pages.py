"""What a browser is shown: the editor if it was built, else a plain page; and who may see it.

No script is ever written into a page.
"""

from __future__ import annotations

import html
from pathlib import Path

from aiohttp import web

from graph_runtime.pack_web import find
from graph_runtime.server.call import Call
from graph_runtime.server.guard import Denied
from graph_runtime.worker import program_version

STATIC = Path(__file__).parents[2] / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{head}
<title>Latent Loom</title></head><body><main><h1>Latent Loom</h1>{body}</main></body></html>
"""


async def page(call: Call) -> web.StreamResponse:
    """The editor. A ticket in the address is swapped for a cookie first."""
    server, request = call.server, call.request
    ticket = request.query.get("ticket")
    if ticket is not None:
        if not server.tokens.use_ticket(ticket):
            server.guard.ticket_failed(request)
            raise Denied(401, "bad-ticket", "the ticket was used before, or is too old.", "Ask for another.")
        answer = web.Response(status=303, headers={"Location": "/"})
        secure = server.options.scheme == "https"
        name, value = server.guard.cookie_name, server.tokens.cookie
        answer.set_cookie(name, value, path="/", httponly=True, samesite="Strict", secure=secure, max_age=31_536_000)
        return answer
    index = STATIC / "index.html"
    if index.is_file():
        return web.Response(body=await server.do(index.read_bytes), headers={"Content-Type": TYPES[".html"]})
    return web.Response(text=await server.do(lambda: _plain(call)), content_type="text/html")


async def asset(call: Call) -> web.StreamResponse:
    """A file of the editor: one of those that are there, looked up and never made into a path.

    Their names have a hash of what is in them, so a browser never asks twice. Who takes gzip gets the packed one.
    """
    name = call.part("name")
    found = await call.server.do(lambda: {one.relative_to(STATIC).as_posix(): one for one in STATIC.rglob("*")})
    path = found.get(f"assets/{name}")
    if path is None or not path.is_file() or path.suffix not in TYPES:
        raise Denied(404, "not-found", "there is no such file.", "Load the page anew.")
    headers = {
        "Content-Type": TYPES[path.suffix],
        "Cache-Control": "private, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
    }
    packed = found.get(f"assets/{name}.gz")
    if packed is not None and "gzip" in call.request.headers.get("Accept-Encoding", ""):
        path = packed
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=await call.server.do(path.read_bytes), headers=headers)


async def extension(call: Call) -> web.StreamResponse:
    """A file that a pack brings for the browser: one of those that its worker listed."""
    packs = call.server.catalog.hello.get("packs", [])
    path = find(packs, call.part("pack"), call.part("name"))
    if path is None or path.suffix not in TYPES:
        raise Denied(404, "not-found", "no pack brings such a file.", "Load the page anew.")
    try:
        body = await call.server.do(path.read_bytes)
    except OSError:
        raise Denied(404, "not-found", "the file of the pack is gone.", "Start the server again.") from None
    headers = {"Content-Type": TYPES[path.suffix], "Cache-Control": "private, max-age=31536000, immutable"}
    return web.Response(body=body, headers=headers)


def _plain(call: Call) -> str:
    server = call.server
    counts = server.store.runs.counts()
    paused = server.queue.paused()
    workers = "".join(
        f"<li>{html.escape(slot.name)} on {html.escape(slot.device)}: {html.escape(slot.state)}</li>"
        for slot in server.supervisor.slots
    )
    states = "".join(f"<li>{html.escape(name)}: {count}</li>" for name, count in counts.items())
    held = f"<p>The queue is paused ({html.escape(', '.join(paused))}).</p>" if paused else ""
    body = (
        f"<p>The server runs (version {html.escape(program_version())}). This build has no editor.</p>"
        f"<h2>Queue</h2>{held}<ul>{states}</ul><h2>Workers</h2><ul>{workers}</ul><h2>Submit a run</h2>"
        f"<p><code>latentloom run workflow.json --server {html.escape(server.address)}</code></p>"
        "<p>Or send it to <code>POST /api/runs</code>; <a href='/api/openapi.json'>all routes</a>.</p>"
    )
    return PAGE.format(head='<meta http-equiv="refresh" content="5">', body=body)


def stranger(status: int, what: str) -> web.Response:
    """The page for a browser that has no cookie."""
    body = (
        f"<p>{html.escape(what[:1].upper() + what[1:])}</p>"
        "<p>Open the address that <code>latentloom serve</code> printed when it started, or get a new one with "
        "<code>latentloom open</code>.</p>"
    )
    return web.Response(text=PAGE.format(head="", body=body), status=status, content_type="text/html")
