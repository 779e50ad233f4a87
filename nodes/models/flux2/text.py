"""Prompts to what Flux.2 is conditioned on: what three layers of a language model made of every token, side by side.

dev reads with Mistral 3: the prompt stands in a chat after a system message, filled up on the left with tokens that see
nothing. klein reads with Qwen3: a chat of the user alone, filled up on the right with tokens that see the prompt. The
filling is read by the transformer too, so its values count. Knows no file and no node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graph_runtime.problem import Problem, Refused
from nodes.models.encoders.encoded import Encoded
from nodes.models.encoders.language import Heard, Language
from nodes.models.encoders.language_keys import usual_layers
from nodes.models.encoders.tekken import Words
from nodes.models.flux2.messages import READ, REWRITE, REWRITE_EDIT

LONGEST = 512
"""Tokens that the models were trained with at most."""
WRITTEN = 512
"""Tokens of a rewritten prompt at most."""
HEARD = 2048
"""Tokens of a prompt that is to be rewritten at most, the pieces of its pictures not counted."""
PICTURE = "[IMG]"
END = "[/INST]"


class Chat(NamedTuple):
    """What stands before and after a prompt, and the token that fills up."""

    before: str
    after: str
    filling: str


CHATS = {
    "mistral": Chat(f"<s>[SYSTEM_PROMPT]{READ}[/SYSTEM_PROMPT][INST]", END, "<pad>"),
    "qwen3": Chat("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", "<|endoftext|>"),
}


class TextEncoder(nn.Module):
    """The language model and its tokenizer: one thing to load, move and let go."""

    def __init__(self, language: Language, language_tokenizer: Words) -> None:
        super().__init__()
        self.language, self.words = language, language_tokenizer

    def before_loop(self) -> frozenset[str]:
        """What no layer reads: the table of words."""
        return frozenset({"language.embed_tokens.weight"})

    def forward(
        self,
        prompts: Sequence[str],
        prompts_2: Sequence[str] | None = None,
        max_length: int = LONGEST,
        layers: Sequence[int] = (),
    ) -> Encoded:
        """Encode a batch of prompts: text (B, max_length, 3·D). Negatives are prompts like others.

        layers  that are read, lowest first; () is those the model was made for
        Refused: a length outside 1…512, no prompts, and layers that were not loaded.
        """
        if not 1 <= max_length <= LONGEST:
            what = f"a text length of {max_length} was asked for; Flux.2 was trained with 1 to {LONGEST} tokens."
            raise Refused(Problem("text-length", "prompt", what, "512 is usual."))
        if not prompts:
            raise Refused(
                Problem("prompt-count", "prompt", "there is no prompt.", "Give at least one; it may be empty.")
            )
        taps = tuple(layers) or usual_layers(self.language.kind, self.language.total)
        if max(taps) > self.language.config.layers:
            what = f"layer {max(taps)} was asked for, {self.language.config.layers} are loaded."
            raise Refused(Problem("no-such-layer", "layers", what, "Load the text encoder with as many layers."))
        notes = ["Flux.2 has one text encoder: the second prompt is not read."] if prompts_2 is not None else []
        rows = []
        for prompt in prompts:
            ids, note = self._ids(prompt, max_length)
            rows.append(self._features(ids, max_length, taps))
            notes += note
        return Encoded({"text": torch.stack(rows)}, tuple(notes))

    def _ids(self, prompt: str, length: int) -> tuple[list[int], list[str]]:
        """Tokens of a prompt in its chat, cut on the right; a note where it was."""
        chat = CHATS[self.language.kind]
        cleaned = prompt.replace(PICTURE, "") if self.language.kind == "mistral" else prompt
        ids = self._read(chat.before + cleaned + chat.after)
        if len(ids) <= length:
            return ids, []
        lost = self.words.text(ids[length:]).removesuffix("assistant\n<think>\n\n</think>\n\n").strip()
        what = f"Flux.2 reads {length} tokens, {len(ids)} with what stands around the prompt; it does not see"
        return ids[:length], [f"{what} “{_short(lost)}” of “{_short(prompt)}”."]

    def _features(self, ids: list[int], length: int, taps: Sequence[int]) -> Tensor:
        """(L, 3·D). Filling on the left sees nothing, so one row stands for all; on the right it sees the text."""
        filling, missing = self._filling(), length - len(ids)
        with torch.no_grad():
            if self.language.kind != "mistral":
                return self.language.hidden(torch.tensor(ids + [filling] * missing), taps, seen=len(ids))
            text = self.language.hidden(torch.tensor(ids), taps, start=missing)
            if not missing:
                return text
            return torch.cat((self.language.alone(filling, taps).expand(missing, -1), text))

    def _read(self, text: str) -> list[int]:
        """Its tokens. Raises Refused when the model does not know one of them."""
        ids = self.words.ids(text)
        if ids and max(ids) >= self.language.config.vocabulary:
            what = f"the tokenizer gives the id {max(ids)}, the text encoder has {self.language.config.vocabulary}."
            raise Refused(Problem("bad-tokenizer", "tokenizer", what, "Use the tokenizer of this model."))
        return ids

    def _filling(self) -> int:
        return self._token(CHATS[self.language.kind].filling)

    def _token(self, token: str) -> int:
        found = self.words.id_of(token)
        if found is None:
            what = f"the tokenizer has no {token}."
            raise Refused(Problem("bad-tokenizer", "tokenizer", what, "Use the tokenizer of this model."))
        return found

    def rewritten(
        self,
        prompt: str,
        pictures: Sequence[Tensor] = (),
        temperature: float = 0.15,
        seed: int = 0,
        most: int = WRITTEN,
        heard: Heard | None = None,
    ) -> str:
        """The prompt in more detail, in the language model's words ("caption upsampling").

        pictures     normalised, (1, 3, H, W) each, that the prompt is about; only where the model has its eye
        temperature  0 takes the likeliest word always
        seed         of the draws
        most         tokens at most
        Refused: a model that was loaded to read only, or without its eye when there are pictures.
        """
        if not self.language.config.writes:
            what = "the text encoder was loaded to read only."
            raise Refused(Problem("reads-only", "prompt", what, "Load the whole of it."))
        ids, pieces = self._asked(prompt, pictures)
        eye = (self._token(PICTURE), torch.cat(pieces)) if pieces else None
        found: list[int] = []
        with torch.no_grad():
            for token in self.language.written(ids, self._token("</s>"), most, temperature, seed, eye):
                found.append(token)
                if heard is not None:
                    heard(len(found), most)
        return self.words.text(found)

    def _asked(self, prompt: str, pictures: Sequence[Tensor]) -> tuple[list[int], list[Tensor]]:
        """The chat that asks for a rewritten prompt, and the pieces of its pictures."""
        system = REWRITE_EDIT if pictures else REWRITE
        ids = self._read(f"<s>[SYSTEM_PROMPT]{system}[/SYSTEM_PROMPT]")
        pieces = []
        if pictures:
            if self.language.vision is None:
                what = "this text encoder's file has no part that sees pictures."
                raise Refused(Problem("no-eye", "pictures", what, "Use that of the diffusers folder, or no pictures."))
            ids += self._read("[INST]")
            for picture in pictures:
                rows, columns = (side // self.language.vision.cell for side in picture.shape[2:])
                ids += self._read((PICTURE * columns + "[IMG_BREAK]") * (rows - 1) + PICTURE * columns + "[IMG_END]")
                weight = self.language.embed_tokens.weight
                with torch.no_grad():
                    pieces.append(self.language.seen(picture.to(weight)))
            ids += self._read(END)
        ids += self._read(f"[INST]{prompt.replace(PICTURE, '')}"[: 64 * HEARD])[:HEARD]
        return [*ids, self._token(END)], pieces


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
