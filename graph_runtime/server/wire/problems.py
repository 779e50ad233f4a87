"""What is told when nothing else is: what was wrong, or that it has been done."""

from __future__ import annotations

from graph_runtime.server.wire.base import Body, Message


class ProblemMessage(Message):
    """One thing that is wrong: where, what came and what was wanted, what to do."""

    code: str
    place: str
    what: str
    fix: str
    step: str = ""
    field: str = ""


class Problems(Message):
    """Why something was refused, completely."""

    problems: list[ProblemMessage]


class Done(Message):
    """It has been done."""

    done: bool = True


class Nothing(Body):
    """No more need be said."""
