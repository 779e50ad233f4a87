"""The workflows of the other families' starters paint what their prompts say."""

from __future__ import annotations

from typing import Any

import pytest
from test_first_picture import Bench, bench, claims, thing, wrong_in

__all__ = ["bench"]

PROMISED: dict[str, dict[str, Any]] = {
    "auraflow": claims(*[thing("triangle", "green")] * 3) | {"line": "row"},
    "lumina": claims(thing("ring", "purple"), thing("cross", "black")) | {"relation": "above"},
}


@pytest.mark.parametrize("name", PROMISED)
def test_the_workflow_of_a_family_paints_what_its_prompt_says(name: str, bench: Bench) -> None:
    made, _ = bench.run(name, "decode")
    assert wrong_in(made["decode"].pixels[0], PROMISED[name]) == []
