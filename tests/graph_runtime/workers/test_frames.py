"""Whatever comes through the pipe is a message or an error, and never another run's."""

from __future__ import annotations

import io
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.events import Log, Preview, RunFinished, Started, to_json
from graph_runtime.workers.frames import (
    HEAD,
    LIMIT,
    LOG_LIMIT,
    FrameError,
    pack_event,
    read_frame,
    unpack_event,
    write_frame,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
messages = st.dictionaries(st.text(max_size=8), values, max_size=5).map(lambda one: {**one, "type": "x"})


@given(st.lists(st.tuples(messages, st.binary(max_size=200)), max_size=5))
def test_what_is_written_is_read(sent: list[tuple[dict[str, object], bytes]]) -> None:
    stream = io.BytesIO()
    for message, data in sent:
        write_frame(stream, message, data)
    stream.seek(0)
    for expected in sent:
        assert read_frame(stream) == expected
    assert read_frame(stream) is None


@given(st.binary(max_size=300) | st.tuples(st.integers(0, 40), st.integers(0, 40), st.binary(max_size=60)).map(
    lambda parts: HEAD.pack(parts[0], parts[1]) + parts[2]
))  # fmt: skip
def test_any_bytes_are_messages_or_an_error(raw: bytes) -> None:
    stream = io.BytesIO(raw)
    try:
        while (frame := read_frame(stream)) is not None:
            message, data = frame
            assert isinstance(message["type"], str) and isinstance(data, bytes)
    except FrameError:
        return


@given(messages, st.binary(max_size=50), st.data())
def test_a_frame_that_was_cut_or_changed_is_never_taken_for_longer_than_it_is(
    message: dict[str, object], data: bytes, draw: st.DataObject
) -> None:
    stream = io.BytesIO()
    write_frame(stream, message, data)
    raw = stream.getvalue()
    cut = raw[: draw.draw(st.integers(1, len(raw) - 1))]
    with pytest.raises(FrameError):
        read_frame(io.BytesIO(cut))


@pytest.mark.parametrize("sizes", [(LIMIT + 1, 0), (0, LIMIT + 1), (2**32 - 1, 2**32 - 1)])
def test_no_length_is_believed(sizes: tuple[int, int]) -> None:
    """Nothing of that size is asked for: there is not even a byte behind the head."""
    with pytest.raises(FrameError, match="at most"):
        read_frame(io.BytesIO(struct.pack(">II", *sizes)))


def test_a_message_that_is_too_long_is_not_sent_and_a_log_line_is_cut() -> None:
    with pytest.raises(FrameError):
        write_frame(io.BytesIO(), {"type": "x", "text": "x" * LIMIT})
    message, _ = pack_event(Log("run", "step", "y" * LIMIT))
    assert len(message["event"]["text"]) <= LOG_LIMIT + 2


@given(values)
def test_what_is_no_event_is_refused(value: object) -> None:
    with pytest.raises(FrameError):
        unpack_event({"type": "event", "event": value}, b"", "run")


def test_an_event_of_another_run_is_refused() -> None:
    for event in (RunFinished("another", "succeeded", 1.0), Started("another", "a"), Preview("another", "a", b"x")):
        message, data = pack_event(event)
        assert unpack_event(message, data, "another") == event
        with pytest.raises(FrameError):
            unpack_event(message, data, "mine")
    assert json.loads(json.dumps(to_json(Started("r", "a"))))["run"] == "r"
