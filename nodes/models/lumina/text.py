"""Prompts to what Lumina is conditioned on: a language model's features of every token, and which of them are tokens.

Lumina-Next reads with Gemma, before its last layer; Lumina-T2I with LLaMA 2, after the norm behind its last one. Both
begin a text with a mark, LLaMA also ends it with one. Knows no file and no node.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import GemmaModel

from graph_runtime.problem import Problem, Refused
from nodes.models.encoders import gemma as encoder
from nodes.models.encoders.encoded import Encoded
from nodes.models.encoders.language import Language
from nodes.models.encoders.tokenizer import Tokenizer
from nodes.models.lumina.caption import cleaned
from nodes.models.lumina.defaults import TEXT_LENGTH

LONGEST = 4096
"""Tokens at most. Lumina-Next was trained with 256, Lumina-T2I with 128."""
MULTIPLE = 8
"""Texts are padded to a multiple of so many tokens."""


class TextEncoder(nn.Module):
    """The encoder and its tokenizer: one thing to load, move and let go. It is Gemma, or it is LLaMA."""

    def __init__(
        self,
        gemma: GemmaModel | None = None,
        gemma_tokenizer: Tokenizer | None = None,
        llama: Language | None = None,
        llama_tokenizer: Tokenizer | None = None,
    ) -> None:
        super().__init__()
        self.gemma, self.gemma_tokenizer = gemma, gemma_tokenizer
        self.llama, self.llama_tokenizer = llama, llama_tokenizer

    def before_loop(self) -> frozenset[str]:
        """What no layer reads: the table of words."""
        return frozenset({"gemma.embed_tokens.weight"})

    def forward(
        self,
        prompts: Sequence[str],
        prompts_2: Sequence[str] | None = None,
        max_length: int = TEXT_LENGTH,
        clean: bool = False,
        lower: bool | None = None,
    ) -> Encoded:
        """A batch of prompts as text (B, L, Dt) and mask (B, L), cut to `max_length`.

        clean  delete what captions from the web contain beside their text (`caption.cleaned`)
        lower  in small letters, as the released pipeline of Lumina-Next reads prompts, but not negatives, and that of
               Lumina-T2I no text; None is what it does with prompts

        Texts are padded to the longest; what is behind a text is not read, so the length is no part of the picture.
        Refused: no prompt, or a length outside 1…4096.
        """
        if not 1 <= max_length <= LONGEST:
            what = f"a text length of {max_length} was asked for; 1 to {LONGEST} tokens can be read."
            raise Refused(Problem("text-length", "prompt", what, f"{TEXT_LENGTH} is usual."))
        if not prompts:
            raise Refused(Problem("prompt-count", "prompt", "no prompt was given.", "Give at least one."))
        notes: list[str] = []
        small = self.llama is None if lower is None else lower
        texts = [text.lower().strip() if small else text for text in prompts]
        if clean:
            texts = [cleaned(text, notes) for text in prompts]
        if prompts_2 is not None:
            notes.append("Lumina has one text encoder: the second prompt is not read.")
        tokenizer = self.gemma_tokenizer if self.llama is None else self.llama_tokenizer
        assert tokenizer is not None, "an encoder comes with its tokenizer"
        tokens = tokenizer.read(texts, max_length, MULTIPLE)
        mask = tokens.mask.clone()
        mask[:, 0] = 1  # a text of no token at all has nothing to be averaged
        features = self._features(tokens.ids, mask)
        return Encoded({"text": features, "mask": mask}, (*tokens.notes, *notes))

    def _features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, L) → (B, L, Dt), zeroes for padding."""
        if self.llama is None:
            assert self.gemma is not None, "there is one of the two"
            return encoder.encode(self.gemma, ids, mask)
        last = (self.llama.config.layers,)
        with torch.no_grad():  # causal: what is behind a text would change nothing of it
            rows = [self.llama.hidden(row[seen.bool()], last) for row, seen in zip(ids, mask, strict=True)]
        length = ids.shape[1] - max(len(row) for row in rows)
        return nn.functional.pad(pad_sequence(rows, batch_first=True), (0, 0, 0, length))
