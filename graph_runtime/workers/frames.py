"""What crosses the pipe between a worker's process and its owner.

    frame = length of the JSON (u32, big endian), length of the bytes (u32), the JSON, the bytes

The JSON is one object with a `type`; the bytes are a preview's picture, or none. Nothing is unpickled and no length is
believed before it is checked, so a worker gone wrong can end its own run and nothing else. Knows only events by name.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, BinaryIO

from graph_runtime.events import Event, Log, Preview, from_json, to_json

HEAD = struct.Struct(">II")
LIMIT = 16 << 20  # of the JSON, and of the bytes
LOG_LIMIT = 64 << 10


class FrameError(Exception):
    """What came is no frame, or no message that belongs here."""


def write_frame(stream: BinaryIO, message: Mapping[str, Any], data: bytes = b"") -> None:
    """Send one message. Raises FrameError if it is too large, OSError if nobody reads any more."""
    text = json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode()
    if len(text) > LIMIT or len(data) > LIMIT:
        raise FrameError(f"a message of {len(text):,} and {len(data):,} bytes; at most {LIMIT:,} each are sent")
    stream.write(HEAD.pack(len(text), len(data)) + text + data)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next message and its bytes; None at the end. Raises FrameError."""
    head = stream.read(HEAD.size)
    if not head:
        return None
    if len(head) < HEAD.size:
        raise FrameError("the stream ended inside a frame")
    sizes = HEAD.unpack(head)
    if max(sizes) > LIMIT:
        raise FrameError(f"a frame of {sizes[0]:,} and {sizes[1]:,} bytes; at most {LIMIT:,} each are read")
    text, data = stream.read(sizes[0]), stream.read(sizes[1])
    if len(text) + len(data) < sum(sizes):
        raise FrameError("the stream ended inside a frame")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"not JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise FrameError("not an object with a type")
    return message, data


def pack_event(event: Event) -> tuple[dict[str, Any], bytes]:
    """An event as a message and its bytes. A log line beyond all measure is cut."""
    if isinstance(event, Preview):
        return {"type": "event", "event": to_json(replace(event, image=b""))}, event.image
    if isinstance(event, Log) and len(event.text) > LOG_LIMIT:
        event = replace(event, text=event.text[:LOG_LIMIT] + " …")
    return {"type": "event", "event": to_json(event)}, b""


def unpack_event(message: Mapping[str, Any], data: bytes, run: str) -> Event:
    """The event that `pack_event` packed. Raises FrameError unless it is one, and of this run."""
    try:
        event = from_json(message["event"])
    except Exception as error:  # whatever a worker sends, it is only data
        raise FrameError(f"not an event: {type(error).__name__}: {error}") from None
    if event.run != run:
        raise FrameError(f"an event of the run {event.run!r} during {run!r}")
    return replace(event, image=data) if isinstance(event, Preview) else event
