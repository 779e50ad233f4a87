"""Looking into picture files of strangers: in a process of its own that lives for one question.

The server opens the file and hands it over as standard input; the process knows no name, has little memory and a few
seconds, and answers on standard output:

    measure      the size in pixels: {"width": …, "height": …}
    thumbnail    a WebP of at most so many pixels a side

The picture library is imported there and nowhere in the server.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from graph_runtime.problem import Problem, Refused

CPU_SECONDS = 5
SECONDS = 10.0
MEMORY = 2 << 30
AT_ONCE = 2
SIDES = (64, 128, 256, 512)
PIXELS = 64_000_000
ANSWER = 4 << 20  # bytes
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
STARTER = "import sys; sys.path.insert(0, {home!r}); from graph_runtime.server.probe import main; main()"


class Probes:
    """Asks probes, and keeps the thumbnails they made in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def measure(self, stream: BinaryIO) -> tuple[int, int]:
        """Width and height of a picture. Raises Refused when it is none."""
        answer = json.loads(await self._ask(stream, "measure"))
        return int(answer["width"]), int(answer["height"])

    async def thumbnail(self, stream: BinaryIO, side: int) -> bytes:
        """A small WebP. Raises Refused when there is no picture in it."""
        side = next((one for one in SIDES if one >= side), SIDES[-1])
        facts = os.fstat(stream.fileno())
        text = f"{facts.st_dev} {facts.st_ino} {facts.st_size} {facts.st_mtime_ns} {side}"
        path = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.webp"
        with suppress(OSError):
            return path.read_bytes()
        data = await self._ask(stream, "thumbnail", str(side))
        staged = path.with_suffix(f".{os.getpid()}.part")
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            staged.write_bytes(data)
            os.replace(staged, path)
        return data

    async def _ask(self, stream: BinaryIO, *question: str) -> bytes:
        home = str(Path(__file__).parents[2])
        command = [sys.executable, "-I", "-c", STARTER.format(home=home), *question]
        async with self._turns:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=stream.fileno(),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", "")},
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(SECONDS):
                    data = await _all(process.stdout)
                    code = await process.wait()
            except TimeoutError:
                code, data = -1, b""
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
        if code or not data:
            what = "no picture could be read from it."
            raise Refused(Problem("no-picture", "file", what, "Give a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF."))
        return data


async def _all(stream: asyncio.StreamReader | None) -> bytes:
    """What a probe says, up to what is reasonable."""
    data = b""
    while stream is not None and len(data) < ANSWER and (piece := await stream.read(1 << 16)):
        data += piece
    return data


def main() -> None:
    """The process: one question in its arguments, the file as standard input."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = PIXELS
    data = sys.stdin.buffer
    data.seek(0)
    with Image.open(data, formats=FORMATS) as picture:
        width, height = picture.size
        if sys.argv[1] == "measure":
            answer = json.dumps({"width": width, "height": height}).encode()
        elif width * height > PIXELS:
            raise SystemExit(1)
        else:
            side = int(sys.argv[2])
            picture.draft("RGB", (side * 2, side * 2))
            small = picture.convert("RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB")
            small.thumbnail((side, side))
            sink = io.BytesIO()
            small.save(sink, "WEBP", quality=80)
            answer = sink.getvalue()
    sys.stdout.buffer.write(answer)
    sys.stdout.flush()
