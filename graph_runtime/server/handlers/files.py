"""Finished files and inputs, by their ids: the one place from which bytes of users and nodes are served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import BinaryIO
from urllib.parse import quote

from aiohttp import web

from graph_runtime.server import wire
from graph_runtime.server.call import Call
from graph_runtime.server.sniff import HEAD, OTHER, SHOWN, media_type

CHUNK = 1 << 18
SIDE = 256


async def list_outputs(call: Call) -> wire.Files:
    """Finished files of all runs, newest first."""
    server, query = call.server, call.query
    found = await server.do(lambda: server.store.artifacts.newest(query.before, query.limit))
    made = []
    for one in found:
        facts = {name: getattr(one, name) for name in ("run", "step", "media", "bytes", "created")}
        made.append(wire.FileMessage(**server.file_json(one.folder, one.name, facts)))
    return wire.Files(files=made)


async def serve_file(call: Call) -> web.StreamResponse:
    """A file. Pictures, sound and video by what they begin with; everything else is only to be downloaded."""
    stream, label = await call.server.do(lambda: call.server.ids.open(call.part("id")))
    try:
        head, size = await call.server.do(lambda: (stream.read(HEAD), stream.seek(0, 2)))
        media = media_type(head)
        shown = media in SHOWN
        response = web.StreamResponse(headers=_headers(media if shown else OTHER, label, shown=shown))
        response.content_length = size
        await response.prepare(call.request)
        await _copy(stream, size, response.write, call)
        await response.write_eof()
        return response
    finally:
        stream.close()


async def _copy(stream: BinaryIO, size: int, write: Callable[[bytes], object], call: Call) -> None:
    """As many bytes as were announced, whatever happens to the file meanwhile."""
    await call.server.do(lambda: stream.seek(0))
    while size > 0:
        piece = await call.server.do(lambda: stream.read(min(CHUNK, size)))  # noqa: B023
        if not piece:
            raise ConnectionResetError("the file became shorter while it was sent")
        size -= len(piece)
        sent = write(piece)
        if asyncio.iscoroutine(sent):
            await sent


async def serve_thumbnail(call: Call) -> web.StreamResponse:
    """A small picture of a picture."""
    stream, _ = await call.server.do(lambda: call.server.ids.open(call.part("id")))
    try:
        side = call.request.query.get("side", "")
        wanted = int(side) if side.isascii() and side.isdecimal() and len(side) < 5 else SIDE
        data = await call.server.probes.thumbnail(stream, wanted)
    finally:
        stream.close()
    return web.Response(body=data, headers=_headers("image/webp", "thumbnail.webp", shown=True))


def _headers(media: str, label: str, *, shown: bool) -> dict[str, str]:
    how = "inline" if shown else "attachment"
    return {
        "Content-Type": media,
        "Content-Disposition": f"{how}; filename*=UTF-8''{quote(label, safe='')}",
        "Cache-Control": "private, max-age=3600",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
    }
