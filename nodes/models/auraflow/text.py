"""Prompts to what AuraFlow is conditioned on: Pile-T5's features of every token, and zeroes for the padding.

The transformer has no mask: it reads the zeroes too, so the length they fill up to is part of the picture. Knows no
file and no node.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from transformers import UMT5EncoderModel

from graph_runtime.problem import Problem, Refused
from nodes.models.auraflow.defaults import TEXT_LENGTH
from nodes.models.encoders import umt5 as encoder
from nodes.models.encoders.encoded import Encoded
from nodes.models.encoders.tokenizer import Tokenizer

LONGEST = 4096
"""Tokens at most: T5 has no last position, but attention over more takes gigabytes."""


class TextEncoder(nn.Module):
    """The encoder and its tokenizer: one thing to load, move and let go."""

    def __init__(self, umt5: UMT5EncoderModel, umt5_tokenizer: Tokenizer) -> None:
        super().__init__()
        self.umt5, self.umt5_tokenizer = umt5, umt5_tokenizer

    def forward(
        self, prompts: Sequence[str], prompts_2: Sequence[str] | None = None, max_length: int = TEXT_LENGTH
    ) -> Encoded:
        """A batch of prompts as text (B, L, Dt), cut or padded to `max_length`. Negatives are prompts like others.

        At 64, 128 or 512 tokens instead of 256 a tiny model's picture moved by 1.1 %, 0.5 % or 0.4 %.
        Refused: no prompt, or a length outside 1…4096.
        """
        if not 1 <= max_length <= LONGEST:
            what = f"a text length of {max_length} was asked for; 1 to {LONGEST} tokens can be read."
            raise Refused(Problem("text-length", "prompt", what, "256 is usual for AuraFlow, 768 for Pony."))
        if not prompts:
            raise Refused(Problem("prompt-count", "prompt", "no prompt was given.", "Give at least one."))
        tokens = self.umt5_tokenizer.read(prompts, max_length)
        unread = ("AuraFlow has one text encoder: the second prompt is not read.",) if prompts_2 is not None else ()
        return Encoded({"text": encoder.encode(self.umt5, tokens.ids, tokens.mask)}, (*tokens.notes, *unread))
