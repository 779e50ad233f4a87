"""A language model that reads prompts, and writes where all of it is there: Mistral 3 with its eye, Qwen3, LLaMA 2.

Knows no file and no family; what is said to it, and what of its answer is used, is the family's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nodes.models.encoders import decoder, pixtral
from nodes.models.encoders.decoder import Cache, Decoder, chosen


class Language(Decoder):
    """A decoder, with an eye where it has one.

    kind   "mistral", "qwen3" or "llama"
    total  layers of the whole model, of which this may be the beginning
    """

    def __init__(self, kind: str, total: int, config: decoder.Config, vision: pixtral.Config | None = None) -> None:
        super().__init__(config)
        self.kind, self.total, self.vision = kind, total, vision
        if vision is not None:
            self.vision_tower = pixtral.Tower(vision)
            self.multi_modal_projector = pixtral.Projector(vision)

    def seen(self, picture: Tensor) -> Tensor:
        """A picture (1, 3, H, W), normalised, as tokens (N, D)."""
        tokens: Tensor = self.multi_modal_projector(self.vision_tower(picture))
        return tokens

    def written(
        self, ids: Sequence[int], end: int, most: int, temperature: float, seed: int, eye: tuple[int, Tensor] | None
    ) -> Iterator[int]:
        """The tokens that follow `ids`, one by one, until `end` or `most` of them.

        temperature  0 takes the likeliest always
        seed         of the draws; on the CPU, so that a seed gives the same on every device where the scores agree
        eye          id of the token that stands for a piece of picture, and those pieces (N, D), in order
        """
        device = self.embed_tokens.weight.device
        generator = torch.Generator().manual_seed(seed)
        given = torch.tensor(list(ids), device=device)
        x = self.embed_tokens(given)[None]
        if eye is not None:
            x[0, given == eye[0]] = eye[1].to(x)
        cache = Cache(self.config, len(ids) + most, x)
        for _ in range(most):
            scores = self.scores(x, cache)
            token = chosen(scores, temperature, generator) if temperature > 0 else int(scores.argmax())
            if token == end:
                return
            yield token
            x = self.embed_tokens(torch.tensor([token], device=device))[None]


def build(config: Mapping[str, Any]) -> Language:
    """The model on `meta`, without weights, in evaluation mode. `config` is that of a part of one of KINDS."""
    vision = pixtral.Config(**config["vision"]) if config["vision"] else None
    with torch.device("meta"):
        return Language(config["type"], config["total"], decoder.Config(**config["decoder"]), vision).eval()


Heard = Callable[[int, int], None]
"""Called with (tokens written, at most how many); what it raises ends the writing."""
