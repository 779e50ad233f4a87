"""What the stages have to know of a family of starters: one module each, with the same names.

NAME                          of the family, as `nodes.models.family` has it, and of the starter's folder
TITLE                         what a person calls it
CONFIG                        the sizes of its transformer
EARLY                         what the names of the parameters that Adam trains begin with; Muon trains other matrices
fresh(seed)                   a transformer whose blocks and output begin at zero
LENGTH                        tokens of a text, filling included
velocity(net, x, t, told)     (B, 64, 64) packed latents at times t (B,), told what the text encoder says → as x;
                              with a gradient, and a time for each, which the family's own `velocity` has not
index()                       components of the folder: name → (library, class); and "_class_name"
config(sizes)                 of the transformer, as diffusers writes it
encoders(text)                folder → text encoder, of the family's TextEncoder
tokenizers(text)              folder → tokenizer
"""

from __future__ import annotations

import importlib
from types import ModuleType

NAMES = ("flux1", "auraflow", "lumina", "flux2")


def of(name: str) -> ModuleType:
    """The module of a family."""
    return importlib.import_module(f"{__name__}.{name}")
