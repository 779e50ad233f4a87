"""The transformers of Lumina-Next and Lumina-T2I: a latent and text in, velocity out.

What is unusual about them: text is read by attention of its own, whose queries are those of the image and whose result
is gated head by head; what they learned points from noise to the picture. Lumina-T2I (Flag-DiT) has a token of its own
at the end of each row of tokens, and positions that count on from row to row. Keys and values of the text are the same
in every step, so they are computed before the loop, as the modulation of all steps is.

Knows nothing of files, samplers or pixels. Parameters have the names of the original files.
Zhuo et al. 2024, arXiv:2406.18583 §2; Gao et al. 2024, arXiv:2405.05945 §2; Alpha-VLLM/Lumina-T2X
`lumina_next_t2i/models/model.py` and `lumina_t2i/models/model.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nodes.models.layers.blocks import Blocks
from nodes.models.layers.embed import TimeEmbed
from nodes.models.layers.fits import fills_batch, own_channels, own_text, refuse, whole_patches
from nodes.models.layers.passage import Passage, Walk, whole
from nodes.models.layers.patches import latent_of, patches_of
from nodes.models.layers.steps import made_before
from nodes.models.lumina.blocks import Block, FinalLayer, FlagBlock, FlagFinalLayer, Read
from nodes.models.lumina.config import Config
from nodes.models.lumina.defaults import POSITIONS, usual_positions
from nodes.models.lumina.positions import frequencies, measured, turns
from nodes.models.sampling.solvers import Velocity


class Modulation(NamedTuple):
    """What time and text say to the blocks, for any number of leading axes (steps, batch).

    layers  per block, as its `modulation` says: (…, 4·D), in Lumina-T2I (…, 6·D);  final  (…, D), or (…, 2·D)
    """

    layers: tuple[Tensor, ...]
    final: Tensor

    def at(self, step: int) -> Modulation:
        """One entry of the first axis; views, nothing is copied."""
        return Modulation(tuple(one[step] for one in self.layers), self.final[step])


class Transformer(nn.Module):
    """What a latent moves by. A step is `forward`; what does not change between steps is made before it:

        modulation = net.modulation(net.condition(t, text, mask))   # (…, condition), of all steps at once
        read = net.read(text)                                       # each block's keys and values of the text
        turns = positions.turns(positions.measured(config, h, w), positions.frequencies(…))
        v = net(patches, modulation.at(step), turns, scale, read, mask)

    Built under `torch.device("meta")` it takes no memory.
    """

    passage: Passage = staticmethod(whole)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.x_embedder = nn.Linear(4 * config.latent_channels, config.width)
        self.pad_token = nn.Parameter(torch.zeros(config.width))  # for batches of pictures of several sizes: not read
        self.t_embedder = TimeEmbed(config.condition)
        self.cap_embedder = nn.Sequential(
            nn.LayerNorm(config.text_width), nn.Linear(config.text_width, config.condition)
        )
        self.layers = Blocks((FlagBlock if config.flag else Block)(config) for _ in range(config.layers))
        self.final_layer: FinalLayer | FlagFinalLayer = (FlagFinalLayer if config.flag else FinalLayer)(config)
        if config.flag:
            self.eol_token = nn.Parameter(torch.zeros(config.width))

    def condition(self, t: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Time and the mean of the text's tokens: t (S,), text (B, L, Dt), mask (B, L) → (S, B, condition)."""
        weights = mask.float().unsqueeze(-1)
        mean = ((text * weights).sum(1) / weights.sum(1)).to(text.dtype)
        return self.t_embedder(t)[:, None] + self.cap_embedder(mean)

    def modulation(self, c: Tensor) -> Modulation:
        """What blocks are scaled, shifted and gated by: (…, condition) → Modulation with the same leading axes."""
        return Modulation(tuple(block.modulation(c) for block in self.layers), self.final_layer.modulation(c))

    def read(self, text: Tensor) -> tuple[Read, ...]:
        """The text as each block reads it: (B, L, Dt)."""
        return tuple(block.read(text) for block in self.layers)

    def forward(
        self,
        patches: Tensor,
        modulation: Modulation,
        turns: Tensor,
        scale: float,
        read: Sequence[Read],
        mask: Tensor | None = None,
    ) -> Tensor:
        """One evaluation.

        patches     (B, N, C·4)    from `patches_of`
        modulation                 of this step, leading axis B
        turns       (N, d/2)       from `positions.turns`; in Lumina-T2I with those of the rows' ends, (N + rows, d/2)
        scale                      of attention's scores
        read, mask                 from `read`, and (B, 1, 1, L) of the text's tokens
        →           (B, N, 4·C')   for `latent_of`; from noise to picture
        """
        x, rows = self.x_embedder(patches), len(turns) - patches.shape[1]
        x = ended(x, self.eol_token, rows) if self.config.flag else x
        walk = self.walk(x, modulation, turns, scale, read, mask)

        def end(tokens: Tensor) -> Tensor:
            return self.final_layer(unended(tokens, rows) if self.config.flag else tokens, modulation.final)

        return self.passage(x, walk, end)

    def walk(
        self, x: Tensor, modulation: Modulation, turns: Tensor, scale: float, read: Sequence[Read], mask: Tensor | None
    ) -> Walk:
        """The tokens after each block: (B, N, D)."""
        for block, mod, text in zip(self.layers.in_order(), modulation.layers, read, strict=True):
            x = block(x, mod, turns, scale, text, mask)
            yield x

    def before_loop(self) -> list[str]:
        """Names of the parameters no step reads: `forward` runs without them once the lines above have run."""
        early = ("pad_token", "t_embedder.", "cap_embedder.", "final_layer.adaLN_modulation.")
        inside = (".adaLN_modulation.", ".wk_y.", ".wv_y.", ".ky_norm.", ".attention_y_norm.")
        return [name for name in self.state_dict() if name.startswith(early) or any(k in name for k in inside)]


def ended(x: Tensor, mark: Tensor, rows: int) -> Tensor:
    """A token (D,) behind each row of tokens: (B, N, D) → (B, N + rows, D)."""
    x = x.unflatten(1, (rows, -1))
    return torch.cat((x, mark.to(x).expand(len(x), rows, 1, -1)), dim=2).flatten(1, 2)


def unended(x: Tensor, rows: int) -> Tensor:
    """The way back: (B, N + rows, D) → (B, N, D)."""
    return x.unflatten(1, (rows, -1))[:, :, :-1].flatten(1, 2)


def velocity(
    net: Transformer,
    conditioning: Mapping[str, Tensor],
    shape: Sequence[int],
    sigmas: Sequence[float],
    guidance: float = 0.0,
    dtype: torch.dtype | None = None,
    *,
    positions: str | None = None,
    watershed: float = 1.0,
    proportional: bool = True,
) -> Velocity:
    """v(x, σ) of latents, with all that does not depend on x made now.

    conditioning  text (P, L, Dt) and mask (P, L); prompts are repeated one by one to fill the batch (p₀ p₀ p₁ p₁)
    shape         (B, C, h, w) of the latents; h and w even
    sigmas        every σ that will be asked for (`sampling.loop.visited`). Others are answered too, while the weights
                  of `before_loop` are there
    guidance      not read: the model was not distilled with guidance
    dtype         what the network computes in; that of `x_embedder` when not given
    positions, watershed   how positions stretch to other sizes (`positions`); None is what the model is made for
    proportional  attention's scores grow with the logarithm of the number of tokens, as that of training gives 1

    Nothing in the returned function waits for the device. Refused: odd sizes, a batch the prompts do not divide.
    """
    batch, channels, height, width = shape
    text, mask = conditioning["text"], conditioning.get("mask")
    positions = usual_positions(net.config) if positions is None else positions
    mask = torch.ones(text.shape[:2]) if mask is None else mask.ne(0)
    refuse(
        "lumina",
        whole_patches(shape),
        own_channels(shape, net.config.latent_channels),
        fills_batch(text, shape),
        own_text(text, net.config.text_width),
        (
            mask.shape != text.shape[:2] or not mask.any(1).all(),
            f"the mask of the text, {tuple(mask.shape)}, leaves nothing of some text {tuple(text.shape[:2])}.",
            "Encode the prompt again; even an empty one has a first token.",
        ),
        (positions not in POSITIONS, f"positions {positions!r} are unknown.", f"Use one of {', '.join(POSITIONS)}."),
    )
    dtype, device = dtype or net.x_embedder.weight.dtype, net.x_embedder.weight.device
    every = bool(mask.all())
    text, mask = text.to(device, dtype), mask.to(device)
    head, seen = net.config.width // net.config.heads, measured(net.config, height // 2, width // 2)
    scale = head**-0.5 * (seen.sharpness if proportional else 1.0)
    tables: dict[tuple[float, ...], Tensor] = {}

    def early_of(sigma: float) -> float:
        return float(1 - torch.tensor(sigma) * 1000 / 1000)  # float32, as diffusers' pipeline computes it

    def turned(sigma: float) -> Tensor:
        each = frequencies(seen.features, seen.stretch, early_of(sigma), seen.longest, positions, watershed)
        key = tuple(each.tolist())
        if key not in tables:
            tables[key] = turns(seen, each.to(device))
        return tables[key]

    def modulation(levels: Sequence[float]) -> Modulation:
        t = torch.tensor([early_of(sigma) for sigma in levels], device=device)
        made = net.modulation(net.condition(t, text, mask))
        return Modulation(tuple(fill(one, 1) for one in made.layers), fill(made.final, 1))

    def fill(one: Tensor, axis: int = 0) -> Tensor:
        return one.repeat_interleave(batch // len(text), axis)

    with torch.no_grad():
        modulated_at, known = made_before(modulation, sigmas), {sigma: turned(sigma) for sigma in sigmas}
        read = tuple(Read(fill(one.k), fill(one.v)) for one in net.read(text))
        visible = None if every else fill(mask)[:, None, None].bool()

    def at(x: Tensor, sigma: float) -> Tensor:
        with torch.no_grad():
            angles = known[sigma] if sigma in known else turned(sigma)
            v = net(patches_of(x.to(device, dtype)), modulated_at(sigma), angles, scale, read, visible)
        return -latent_of(v, height, width)[:, :channels].to(x.device, x.dtype)

    return at
