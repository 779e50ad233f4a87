"""The Lumina-Next transformer: a latent and text in, velocity out.

What is unusual about it: every sublayer has a norm before and one behind it; the residual is gated by a tanh; text is
read by attention of its own, whose queries are those of the image and whose result is gated head by head; what it
learned points from noise to the picture. Keys and values of the text are the same in every step, so they are computed
before the loop, as the modulation of all steps is.

Knows nothing of files, samplers or pixels. Parameters have the names of the original files.
Zhuo et al. 2024, arXiv:2406.18583 §2; Alpha-VLLM/Lumina-T2X `lumina_next_t2i/models/model.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodes.models.layers.attention import attend
from nodes.models.layers.blocks import Blocks
from nodes.models.layers.embed import TimeEmbed
from nodes.models.layers.fits import fills_batch, own_channels, own_text, refuse, whole_patches
from nodes.models.layers.modulation import gated
from nodes.models.layers.norm import plain_norm
from nodes.models.layers.passage import Passage, Walk, whole
from nodes.models.layers.patches import latent_of, patches_of
from nodes.models.layers.rope import rotate
from nodes.models.layers.steps import made_before
from nodes.models.lumina.config import Config
from nodes.models.lumina.defaults import POSITIONS
from nodes.models.lumina.positions import frequencies, table
from nodes.models.sampling.solvers import Velocity


class Modulation(NamedTuple):
    """What time and text say to the blocks, for any number of leading axes (steps, batch).

    layers  per block (…, 4·D): scale₁, tanh gate₁, scale₂, tanh gate₂;  final  (…, D): scale
    """

    layers: tuple[Tensor, ...]
    final: Tensor

    def at(self, step: int) -> Modulation:
        """One entry of the first axis; views, nothing is copied."""
        return Modulation(tuple(one[step] for one in self.layers), self.final[step])


class Read(NamedTuple):
    """The text as one block reads it: keys and values (B, kv heads, L, d)."""

    k: Tensor
    v: Tensor


class Attention(nn.Module):
    """Attention of the image to itself and to the text, with the same queries."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, head = config.width, config.width // config.heads
        self.head, shared = head, config.kv_heads * head
        self.wq = nn.Linear(width, width, bias=False)
        self.wk = nn.Linear(width, shared, bias=False)
        self.wv = nn.Linear(width, shared, bias=False)
        self.wk_y = nn.Linear(config.text_width, shared, bias=False)
        self.wv_y = nn.Linear(config.text_width, shared, bias=False)
        self.wo = nn.Linear(width, width, bias=False)
        self.gate = nn.Parameter(torch.zeros(config.heads))
        # Over all heads together, with weight and bias.
        self.q_norm = nn.LayerNorm(width, eps=1e-5) if config.qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(shared, eps=1e-5) if config.qk_norm else nn.Identity()
        self.ky_norm = nn.LayerNorm(shared, eps=1e-5) if config.qk_norm else nn.Identity()

    def heads(self, x: Tensor) -> Tensor:
        """(B, L, heads·d) → (B, heads, L, d)."""
        return x.unflatten(-1, (-1, self.head)).transpose(1, 2)

    def read(self, text: Tensor) -> Read:
        """Keys and values of the text, normed already: (B, L, Dt)."""
        return Read(self.heads(self.ky_norm(self.wk_y(text))), self.heads(self.wv_y(text)))

    def forward(self, x: Tensor, turns: Tensor, scale: float, text: Read, mask: Tensor | None) -> Tensor:
        """(B, N, D) → (B, N, D); scale of attention to the image, mask (B, 1, 1, L) of the text."""
        q = rotate(self.heads(self.q_norm(self.wq(x))), turns)
        k = rotate(self.heads(self.k_norm(self.wk(x))), turns)
        here = attend(q, k, self.heads(self.wv(x)), scale=scale)
        said = attend(q, text.k, text.v, mask)
        gate = self.gate.tanh().repeat_interleave(self.head)  # a head's features lie together
        return self.wo(torch.addcmul(here, said, gate))


class FeedForward(nn.Module):
    """W₂ (silu(W₁ x) · W₃ x): (B, L, D) → (B, L, D). Shazeer 2020, arXiv:2002.05202."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, inner, bias=False)
        self.w2 = nn.Linear(inner, width, bias=False)
        self.w3 = nn.Linear(width, inner, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    """One transformer block, a norm before and behind each part.

    x       (B, N, D),  mod (B, 4·D)        from `Transformer.modulation`
    turns   (N, d/2)                        of each position
    text    this block's keys and values,  mask (B, 1, 1, L) of tokens, or None for all
    →       (B, N, D)

    x ← x + tanh(gate₁) · norm(attention(norm(x)(1 + scale₁))),  x ← x + tanh(gate₂) · norm(mlp(norm(x)(1 + scale₂)))
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config.width, config.mlp)
        self.attention_norm1 = nn.RMSNorm(config.width, eps=config.eps)
        self.attention_norm2 = nn.RMSNorm(config.width, eps=config.eps)
        self.attention_y_norm = nn.RMSNorm(config.text_width, eps=config.eps)
        self.ffn_norm1 = nn.RMSNorm(config.width, eps=config.eps)
        self.ffn_norm2 = nn.RMSNorm(config.width, eps=config.eps)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.condition, 4 * config.width))

    def modulation(self, c: Tensor) -> Tensor:
        """(…, condition) → (…, 4·D): scale₁, tanh gate₁, scale₂, tanh gate₂."""
        scale1, gate1, scale2, gate2 = self.adaLN_modulation(c).chunk(4, dim=-1)
        return torch.cat((1 + scale1, gate1.tanh(), 1 + scale2, gate2.tanh()), dim=-1)

    def read(self, text: Tensor) -> Read:
        return self.attention.read(self.attention_y_norm(text))

    def forward(self, x: Tensor, mod: Tensor, turns: Tensor, scale: float, text: Read, mask: Tensor | None) -> Tensor:
        scale1, gate1, scale2, gate2 = mod.unsqueeze(1).chunk(4, dim=-1)
        mixed = self.attention(self.attention_norm1(x) * scale1, turns, scale, text, mask)
        x = gated(x, gate1, self.attention_norm2(mixed))
        return gated(x, gate2, self.ffn_norm2(self.feed_forward(self.ffn_norm1(x) * scale2)))


class FinalLayer(nn.Module):
    """norm(x)(1 + scale), then to the features of a token: (B, N, D), (B, D) → (B, N, 4·C)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.linear = nn.Linear(config.width, 4 * config.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.condition, config.width))

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        return self.linear(plain_norm(x) * scale.unsqueeze(1))


class Transformer(nn.Module):
    """What a latent moves by. A step is `forward`; what does not change between steps is made before it:

        modulation = net.modulation(net.condition(t, text, mask))   # (…, condition), of all steps at once
        read = net.read(text)                                       # each block's keys and values of the text
        turns = positions.table(h, w, positions.frequencies(…))
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
        self.layers = Blocks(Block(config) for _ in range(config.layers))
        self.final_layer = FinalLayer(config)

    def condition(self, t: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Time and the mean of the text's tokens: t (S,), text (B, L, Dt), mask (B, L) → (S, B, condition)."""
        weights = mask.float().unsqueeze(-1)
        mean = ((text * weights).sum(1) / weights.sum(1)).to(text.dtype)
        return self.t_embedder(t)[:, None] + self.cap_embedder(mean)

    def modulation(self, c: Tensor) -> Modulation:
        """Scales and gates of all blocks: (…, condition) → Modulation with the same leading axes."""
        return Modulation(tuple(block.modulation(c) for block in self.layers), 1 + self.final_layer.adaLN_modulation(c))

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
        turns       (N, d/2)       from `positions.table`
        scale                      of attention's scores
        read, mask                 from `read`, and (B, 1, 1, L) of the text's tokens
        →           (B, N, 4·C')   for `latent_of`; from noise to picture
        """
        x = self.x_embedder(patches)
        walk = self.walk(x, modulation, turns, scale, read, mask)
        return self.passage(x, walk, lambda tokens: self.final_layer(tokens, modulation.final))

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


def velocity(
    net: Transformer,
    conditioning: Mapping[str, Tensor],
    shape: Sequence[int],
    sigmas: Sequence[float],
    guidance: float = 0.0,
    dtype: torch.dtype | None = None,
    *,
    positions: str = "watershed",
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
    positions, watershed   how positions stretch to other sizes (`positions`)
    proportional  attention's scores grow with the logarithm of the number of tokens, as that of training gives 1

    Nothing in the returned function waits for the device. Refused: odd sizes, a batch the prompts do not divide.
    """
    batch, channels, height, width = shape
    text, mask = conditioning["text"], conditioning.get("mask")
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
    h, w, side = height // 2, width // 2, net.config.side // 2
    head = net.config.width // net.config.heads
    stretch = math.sqrt(h * w / side**2)
    scale = head**-0.5 * (math.sqrt(math.log(h * w, side**2)) if proportional else 1.0)
    tables: dict[tuple[float, ...], Tensor] = {}

    def early_of(sigma: float) -> float:
        return float(1 - torch.tensor(sigma) * 1000 / 1000)  # float32, as diffusers' pipeline computes it

    def turns(sigma: float) -> Tensor:
        each = frequencies(head, stretch, early_of(sigma), side, positions, watershed)
        key = tuple(each.tolist())
        if key not in tables:
            tables[key] = table(h, w, each.to(device))
        return tables[key]

    def modulation(levels: Sequence[float]) -> Modulation:
        t = torch.tensor([early_of(sigma) for sigma in levels], device=device)
        made = net.modulation(net.condition(t, text, mask))
        return Modulation(tuple(fill(one, 1) for one in made.layers), fill(made.final, 1))

    def fill(one: Tensor, axis: int = 0) -> Tensor:
        return one.repeat_interleave(batch // len(text), axis)

    with torch.no_grad():
        modulated_at, turned = made_before(modulation, sigmas), {sigma: turns(sigma) for sigma in sigmas}
        read = tuple(Read(fill(one.k), fill(one.v)) for one in net.read(text))
        seen = None if every else fill(mask)[:, None, None].bool()

    def at(x: Tensor, sigma: float) -> Tensor:
        with torch.no_grad():
            angles = turned[sigma] if sigma in turned else turns(sigma)
            v = net(patches_of(x.to(device, dtype)), modulated_at(sigma), angles, scale, read, seen)
        return -latent_of(v, height, width)[:, :channels].to(x.device, x.dtype)

    return at
