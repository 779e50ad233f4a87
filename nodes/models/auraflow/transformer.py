"""The AuraFlow transformer: a latent in, velocity out.

What is unusual about it: positions are learned, a square of them of which the middle is cut out; text has none, and
eight learned tokens (registers) stand before it; attention's result is not added to the stream, it only feeds the
feed-forward; nothing has a bias. Every block is modulated by the time alone, so the modulation of all steps is computed
before the loop, one row per step for the whole batch, and a third of the weights need not be in memory while sampling
(`before_loop`).

Knows nothing of files, sigmas, samplers or pixels. Parameters have the names of the original files.
Esser et al. 2024, arXiv:2403.03206 §4; Darcet et al. 2023, arXiv:2309.16588 (registers); diffusers
`auraflow_transformer_2d.py`, ComfyUI `comfy/ldm/aura/mmdit.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graph_runtime.problem import Problem, Refused
from nodes.models.auraflow.config import Config
from nodes.models.layers.attention import attend
from nodes.models.layers.blocks import Blocks
from nodes.models.layers.embed import TimeEmbed
from nodes.models.layers.fits import fills_batch, own_channels, own_text, refuse, whole_patches
from nodes.models.layers.modulation import gated, modulated, parts_of
from nodes.models.layers.norm import plain_norm
from nodes.models.layers.passage import Passage, Walk, whole
from nodes.models.layers.patches import latent_of, patches_of
from nodes.models.layers.steps import made_before
from nodes.models.sampling.solvers import Velocity

EPS = 1e-5
"""Of every norm in it."""


class Modulation(NamedTuple):
    """Shifts, scales and gates of every block, for any number of leading axes.

    double   per double block: image (…, 6·D), text (…, 6·D), each shift₁ scale₁ gate₁ shift₂ scale₂ gate₂
    single   per single block: (…, 6·D)
    final    (…, 2·D), shift scale
    """

    double: tuple[tuple[Tensor, Tensor], ...]
    single: tuple[Tensor, ...]
    final: Tensor

    def at(self, step: int) -> Modulation:
        """One entry of the first axis, kept as an axis of one; views, nothing is copied."""
        rows = slice(step, step + 1)
        return Modulation(
            tuple((img[rows], txt[rows]) for img, txt in self.double),
            tuple(one[rows] for one in self.single),
            self.final[rows],
        )


class Attention(nn.Module):
    """The projections around attention, of one stream or of two: `w1` is text, or both together, `w2` the image."""

    def __init__(self, width: int, heads: int, streams: int) -> None:
        super().__init__()
        self.heads = heads
        for stream in range(1, streams + 1):
            for part in "qkvo":
                setattr(self, f"w{stream}{part}", nn.Linear(width, width, bias=False))

    def ways(self, x: Tensor, q: nn.Linear, k: nn.Linear, v: nn.Linear) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, D) → normed q, normed k, v, each (B, heads, L, d)."""
        queries, keys, values = (w(x).unflatten(-1, (self.heads, -1)) for w in (q, k, v))
        queries, keys = plain_norm(queries, eps=EPS), plain_norm(keys, eps=EPS)  # before the axes change places
        return queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2)


class FeedForward(nn.Module):
    """W_proj (silu(W₁ x) · W₂ x): (B, L, D) → (B, L, D). Shazeer 2020, arXiv:2002.05202."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.c_fc1 = nn.Linear(width, inner, bias=False)
        self.c_fc2 = nn.Linear(width, inner, bias=False)
        self.c_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.silu(self.c_fc1(x)) * self.c_fc2(x))


def modulation_of(width: int, parts: int) -> nn.Sequential:
    """silu, then `parts` vectors of the model's width: (…, D) → (…, parts·D)."""
    return nn.Sequential(nn.SiLU(), nn.Linear(width, parts * width, bias=False))


class DoubleLayer(nn.Module):
    """Text and image attend to each other; each keeps its own weights.

    x       (B, N, D),  x_mod (1, 6·D)      image
    c       (B, L, D),  c_mod (1, 6·D)      registers and text
    bias    (B, 1, 1, L+N) added to the scores, or None
    →       x, c

    For each stream s:  s ← s + gate₂ · mlp(norm(s + gate₁ · W_o a)(1 + scale₂) + shift₂),
    where attention a runs over [c ; x] of norm(s)(1 + scale₁) + shift₁.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attn = Attention(config.width, config.heads, streams=2)
        self.modX = modulation_of(config.width, 6)
        self.modC = modulation_of(config.width, 6)
        self.mlpX = FeedForward(config.width, config.mlp)
        self.mlpC = FeedForward(config.width, config.mlp)

    def forward(self, x: Tensor, c: Tensor, x_mod: Tensor, c_mod: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        x_shift, x_scale, *x_rest = parts_of(x_mod, 6)
        c_shift, c_scale, *c_rest = parts_of(c_mod, 6)
        a = self.attn
        from_c = a.ways(modulated(c, c_shift, c_scale, EPS), a.w1q, a.w1k, a.w1v)
        from_x = a.ways(modulated(x, x_shift, x_scale, EPS), a.w2q, a.w2k, a.w2v)
        q, k, v = (torch.cat(pair, dim=2) for pair in zip(from_c, from_x, strict=True))
        mixed_c, mixed_x = attend(q, k, v, bias).split((c.shape[1], x.shape[1]), dim=1)
        return fed(x, a.w2o(mixed_x), x_rest, self.mlpX), fed(c, a.w1o(mixed_c), c_rest, self.mlpC)


class SingleLayer(nn.Module):
    """The same on text and image as one sequence, with one set of weights: x (B, L+N, D), mod (1, 6·D) → x."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attn = Attention(config.width, config.heads, streams=1)
        self.modCX = modulation_of(config.width, 6)
        self.mlp = FeedForward(config.width, config.mlp)

    def forward(self, x: Tensor, mod: Tensor, bias: Tensor | None) -> Tensor:
        shift, scale, *rest = parts_of(mod, 6)
        a = self.attn
        q, k, v = a.ways(modulated(x, shift, scale, EPS), a.w1q, a.w1k, a.w1v)
        return fed(x, a.w1o(attend(q, k, v, bias)), rest, self.mlp)


def fed(x: Tensor, mixed: Tensor, rest: list[Tensor], mlp: FeedForward) -> Tensor:
    """x + gate₂ · mlp(norm(x + gate₁ · mixed)(1 + scale₂) + shift₂); x, mixed (B, L, D), `rest` four of (1, 1, D)."""
    gate1, shift2, scale2, gate2 = rest
    return gated(x, gate2, mlp(modulated(gated(x, gate1, mixed), shift2, scale2, EPS)))


class Transformer(nn.Module):
    """Velocity of a latent. A step is `forward`; what does not change between steps is made before it:

        modulation = net.modulation(net.t_embedder(t))     # of all steps at once: t (S,)
        c = net.tokens(text)                               # (B, L, Dt) → (B, registers + L, D)
        places = net.places(h, w)                          # (1, h·w, D), tokens each way
        v = net(patches, c, places, modulation.at(step))   # (B, N, 16) → (B, N, 16)

    Built under `torch.device("meta")` it takes no memory.
    """

    passage: Passage = staticmethod(whole)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        token = 4 * config.latent_channels
        self.register_tokens = nn.Parameter(torch.randn(1, config.registers, config.width) * 0.02)
        self.positional_encoding = nn.Parameter(torch.randn(1, config.grid**2, config.width) * 0.1)
        self.init_x_linear = nn.Linear(token, config.width)
        self.t_embedder = TimeEmbed(config.width, scale=1000.0)
        self.cond_seq_linear = nn.Linear(config.text_width, config.width, bias=False)
        self.double_layers = Blocks(DoubleLayer(config) for _ in range(config.double_blocks))
        self.single_layers = Blocks(SingleLayer(config) for _ in range(config.single_blocks))
        self.modF = modulation_of(config.width, 2)
        self.final_linear = nn.Linear(config.width, token, bias=False)

    def modulation(self, time: Tensor) -> Modulation:
        """Shifts, scales and gates of all blocks: (…, D) → Modulation with the same leading axes."""
        return Modulation(
            tuple((block.modX(time), block.modC(time)) for block in self.double_layers),
            tuple(block.modCX(time) for block in self.single_layers),
            self.modF(time),
        )

    def tokens(self, text: Tensor) -> Tensor:
        """Registers, then the text: (B, L, Dt) → (B, registers + L, D)."""
        return torch.cat((self.register_tokens.expand(len(text), -1, -1), self.cond_seq_linear(text)), dim=1)

    def places(self, height: int, width: int, stretched: bool = False) -> Tensor:
        """Positions of height × width tokens, from the middle of the grid: (1, height·width, D).

        The corner is at (G//2 − height//2, G//2 − width//2). Refused where the picture is larger than the grid, unless
        the grid may be stretched to the longer side (bilinear, as ComfyUI does it).
        """
        grid, longest = self.config.grid, max(height, width)
        table = self.positional_encoding.unflatten(1, (grid, grid))
        if longest > grid and not stretched:
            side = self.config.longest_side
            what = f"a picture of {width * 16}×{height * 16} pixels was asked for; this model has positions for {side}."
            fix = f"Use sides of at most {side} pixels, or stretched positions."
            raise Refused(Problem("too-large", "auraflow", what, fix))
        if longest > grid:
            wider = F.interpolate(table.movedim(-1, 1).float(), (longest, longest), mode="bilinear")
            grid, table = longest, wider.movedim(1, -1).to(table.dtype)
        top, left = grid // 2 - height // 2, grid // 2 - width // 2
        return table[:, top : top + height, left : left + width].flatten(1, 2)

    def forward(
        self, patches: Tensor, c: Tensor, places: Tensor, modulation: Modulation, bias: Tensor | None = None
    ) -> Tensor:
        """One evaluation of the velocity.

        patches     (B, N, C·4)    from `patches_of`
        c           (B, L, D)      from `tokens`
        places      (1, N, D)      from `places`
        modulation                 of this step, leading axis 1 or B
        bias        (B, 1, 1, L+N) added to the scores of attention, for tokens that stand for several
        →           (B, N, 4·C)    for `latent_of`
        """
        x = self.init_x_linear(patches) + places
        shift, scale = parts_of(modulation.final, 2)
        walk = self.walk(x, c, modulation, bias)
        # No norm before the last modulation.
        return self.passage(x, walk, lambda tokens: self.final_linear(torch.addcmul(shift, tokens, 1 + scale)))

    def walk(self, x: Tensor, c: Tensor, modulation: Modulation, bias: Tensor | None) -> Walk:
        """The image's tokens after each block: (B, N, D)."""
        for block, (x_mod, c_mod) in zip(self.double_layers.in_order(), modulation.double, strict=True):
            x, c = block(x, c, x_mod, c_mod, bias)
            yield x
        both = torch.cat((c, x), dim=1)
        for block, mod in zip(self.single_layers.in_order(), modulation.single, strict=True):
            both = block(both, mod, bias)
            yield both[:, c.shape[1] :]

    def before_loop(self) -> list[str]:
        """Names of the parameters no step reads: `forward` runs without them once the lines above have run."""
        early = ("register_tokens", "positional_encoding", "t_embedder.", "cond_seq_linear.", "modF.")
        return [name for name in self.state_dict() if name.startswith(early) or ".mod" in name]


def velocity(
    net: Transformer,
    conditioning: Mapping[str, Tensor],
    shape: Sequence[int],
    sigmas: Sequence[float],
    guidance: float = 0.0,
    dtype: torch.dtype | None = None,
    *,
    positions: str = "cut",
) -> Velocity:
    """v(x, σ) of latents, with all that does not depend on x made now.

    conditioning  text (P, L, Dt), zeroes for padding; prompts are repeated one by one to fill the batch (p₀ p₀ p₁ p₁)
    shape         (B, C, h, w) of the latents; h and w even
    sigmas        every σ that will be asked for (`sampling.loop.visited`). Others are answered too, while the weights
                  of `before_loop` are there
    guidance      not read: the model was not distilled with guidance
    dtype         what the network computes in; that of `init_x_linear` when not given
    positions     "cut" refuses pictures larger than the grid; "stretched" widens it for them

    Nothing in the returned function waits for the device. Refused: odd sizes, pictures larger than the grid, a batch
    the prompts do not divide.
    """
    batch, _, height, width = shape
    text = conditioning["text"]
    refuse(
        "auraflow",
        whole_patches(shape),
        own_channels(shape, net.config.latent_channels),
        fills_batch(text, shape),
        own_text(text, net.config.text_width),
    )
    dtype, device = dtype or net.init_x_linear.weight.dtype, net.init_x_linear.weight.device
    text, bias = shortened(text, height * width // 4) if device.type == "cpu" else (text, None)
    text = text.to(device, dtype)

    def modulation(levels: Sequence[float]) -> Modulation:
        t = (torch.tensor(levels) * 1000 / 1000).to(dtype)  # rounded as diffusers' pipeline rounds its timesteps
        return net.modulation(net.t_embedder(t.to(device)))

    with torch.no_grad():
        modulated_at = made_before(modulation, sigmas)
        c = net.tokens(text).repeat_interleave(batch // len(text), 0)
        if bias is not None:
            bias = F.pad(bias, (net.config.registers, 0)).to(device, dtype).repeat_interleave(batch // len(text), 0)
        places = net.places(height // 2, width // 2, positions == "stretched")

    def at(x: Tensor, sigma: float) -> Tensor:
        with torch.no_grad():
            v = net(patches_of(x.to(device, dtype)), c, places, modulated_at(sigma), bias)
        return latent_of(v, height, width).to(x.device, x.dtype)

    return at


def shortened(text: Tensor, image: int) -> tuple[Tensor, Tensor | None]:
    """Text whose rows of zeroes at the end are one row that counts as often: (B, L, D) → (B, L', D), bias or None.

    Rows of zeroes stay alike through the whole network, because text has no positions. n keys that are alike weigh as
    much as one whose score is higher by ln n, so the result is the same, and most of the text of a short prompt is such
    rows. The bias (B, 1, 1, L' + image) is 0 but for those. On a GPU a bias keeps attention from its fastest kernel, so
    this is for the CPU.
    """
    filled = text.ne(0).any(-1)
    if bool(filled[:, -1].any()):
        return text, None
    length = text.shape[1]
    places = torch.arange(1, length + 1)
    last = (filled * places).amax(1)  # tokens before the zeroes
    kept = int(last.max()) + 1
    if length - kept < 8:
        return text, None
    bias = torch.zeros(len(text), 1, 1, kept + image)
    bias[torch.arange(len(text)), 0, 0, last] = torch.log((length - kept + 1) * torch.ones(len(text)))
    return text[:, :kept], bias
