"""The workflows that come with the program, as JSON beside this file."""

from __future__ import annotations

from pathlib import Path


def starter() -> Path:
    """What is run when nobody names a workflow: text to image with the model that comes with the program."""
    return Path(__file__).parent / "starter.json"
