"""Prompts to what Lumina-Next is conditioned on: Gemma's features of every token, and which of them are tokens.

Knows no file and no node.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from transformers import GemmaModel

from graph_runtime.problem import Problem, Refused
from nodes.models.encoders import gemma as encoder
from nodes.models.encoders.encoded import Encoded
from nodes.models.encoders.tokenizer import Tokenizer
from nodes.models.lumina.caption import cleaned
from nodes.models.lumina.defaults import TEXT_LENGTH

LONGEST = 4096
"""Tokens at most. The model was trained with 256."""
MULTIPLE = 8
"""Texts are padded to a multiple of so many tokens."""


class TextEncoder(nn.Module):
    """The encoder and its tokenizer: one thing to load, move and let go."""

    def __init__(self, gemma: GemmaModel, gemma_tokenizer: Tokenizer) -> None:
        super().__init__()
        self.gemma, self.gemma_tokenizer = gemma, gemma_tokenizer

    def before_loop(self) -> frozenset[str]:
        """What no layer reads: the table of words."""
        return frozenset({"gemma.embed_tokens.weight"})

    def forward(
        self,
        prompts: Sequence[str],
        prompts_2: Sequence[str] | None = None,
        max_length: int = TEXT_LENGTH,
        clean: bool = False,
        lower: bool = True,
    ) -> Encoded:
        """A batch of prompts as text (B, L, Dt) and mask (B, L), cut to `max_length`.

        clean  delete what captions from the web contain beside their text (`caption.cleaned`)
        lower  in small letters, as the released pipeline reads prompts, but not negatives

        Texts are padded to the longest; what is behind a text is not read, so the length is no part of the picture.
        Refused: no prompt, or a length outside 1…4096.
        """
        if not 1 <= max_length <= LONGEST:
            what = f"a text length of {max_length} was asked for; 1 to {LONGEST} tokens can be read."
            raise Refused(Problem("text-length", "prompt", what, "256 is what Lumina-Next was trained with."))
        if not prompts:
            raise Refused(Problem("prompt-count", "prompt", "no prompt was given.", "Give at least one."))
        notes: list[str] = []
        texts = [text.lower().strip() if lower else text for text in prompts]
        if clean:
            texts = [cleaned(text, notes) for text in prompts]
        if prompts_2 is not None:
            notes.append("Lumina has one text encoder: the second prompt is not read.")
        tokens = self.gemma_tokenizer.read(texts, max_length, MULTIPLE)
        mask = tokens.mask.clone()
        mask[:, 0] = 1  # a text of no token at all has nothing to be averaged
        return Encoded({"text": encoder.encode(self.gemma, tokens.ids, mask), "mask": mask}, (*tokens.notes, *notes))
