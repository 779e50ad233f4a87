"""Pictures brought in by a person: streamed to disk, known by their first bytes, measured, and only then named."""

from __future__ import annotations

import asyncio
import os
import uuid
from pathlib import Path

from graph_runtime.durable import link_new
from graph_runtime.files import Files as FileFolders
from graph_runtime.files import unsafe
from graph_runtime.problem import Problem, Refused
from graph_runtime.server import wire
from graph_runtime.server.call import Call
from graph_runtime.server.sniff import HEAD, PICTURES, SUFFIXES, media_type

CHUNK = 1 << 18


async def receive(call: Call, path: Path) -> int:
    """Write the body to a new file, flushed; its size. Raises Refused when it is too large or too slow."""
    limits, request = call.server.options.limits, call.request
    what = f"a file may have {limits.upload:,} bytes."
    too_large = Refused(Problem("too-large", "body", what, "Make it smaller."))
    if (request.content_length or 0) > limits.upload:
        raise too_large
    size = 0
    await call.server.do(lambda: path.parent.mkdir(parents=True, exist_ok=True))
    stream = await call.server.do(lambda: open(path, "xb"))  # noqa: SIM115
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for piece in request.content.iter_chunked(CHUNK):
                size += len(piece)
                if size > limits.upload:
                    raise too_large
                await call.server.do(lambda piece=piece: stream.write(piece))  # type: ignore[misc]
        await call.server.do(stream.flush)
        await call.server.do(lambda: os.fsync(stream.fileno()))
    except TimeoutError:
        raise Refused(Problem("bad-request", "body", "it came too slowly.", "Try again.")) from None
    except OSError as error:
        problem = Problem("cannot-write", "upload", f"it cannot be kept: {error.strerror}.", "Make room on the disk.")
        raise Refused(problem) from None
    finally:
        stream.close()
    return size


async def upload(call: Call) -> wire.FileMessage:
    """Keep a picture in the input folder, under the label if it is free, else with a number."""
    server = call.server
    label = "".join(one for one in Path(call.query.name).stem if one.isprintable()).strip(". ")
    if unsafe(label) or "/" in label:
        what = f"{call.query.name[:80]!r} cannot be the name of a file."
        raise Refused(Problem("bad-name", "query.name", what, "Give a plain name, e.g. cat.png."))
    staged = server.settings.data_dir / "staging" / f"{uuid.uuid4().hex}.part"
    try:
        size = await receive(call, staged)
        with open(staged, "rb") as stream:
            media = media_type(stream.read(HEAD))
            if media not in PICTURES:
                what = "it does not begin like a picture."
                fix = "Give a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF."
                raise Refused(Problem("no-picture", "body", what, fix))
            width, height = await server.probes.measure(stream)
        most = server.options.limits.upload_pixels
        if width * height > most:
            what = f"it has {width:,} × {height:,} pixels; {most:,} may be."
            raise Refused(Problem("too-large", "body", what, "Make it smaller."))
        name = await server.do(lambda: _name(server.settings.input_dir, staged, label, SUFFIXES[media]))
    finally:
        staged.unlink(missing_ok=True)
    return wire.FileMessage(id=server.ids.make("input", name), name=name, kind="input", media=media, bytes=size)


def _name(folder: Path, staged: Path, label: str, suffix: str) -> str:
    """Link the staged file to the first free name; never over another."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(10_000):
        name = f"{label}{suffix}" if not number else f"{label}_{number}{suffix}"
        try:
            link_new(staged, folder / name)
            return name
        except FileExistsError:
            continue
        except OSError as error:
            what = f"it cannot be kept: {error.strerror}."
            raise Refused(Problem("cannot-write", "upload", what, "Make room on the disk.")) from None
    raise Refused(Problem("name-taken", "query.name", "too many files have that name.", "Choose another."))


async def list_inputs(call: Call) -> wire.Files:
    """The pictures in the input folder, by name."""
    server = call.server

    def work() -> list[wire.FileMessage]:
        root = server.settings.input_dir
        found = []
        for label in FileFolders(server.settings).names("image"):
            path = root / label
            if path.is_file() and not path.is_symlink():
                facts = path.stat()
                made = {"bytes": facts.st_size, "created": facts.st_mtime}
                found.append(wire.FileMessage(**server.file_json("input", label, made)))
        return found

    return wire.Files(files=await server.do(work))
