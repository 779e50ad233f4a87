"""The Flux.2 transformer: image and text tokens in, velocity out.

What is unusual about it: every block of a kind is modulated by the same vectors, made from time and guidance alone, so
they are computed once for all steps before the loop; no linear layer has a bias; reference pictures are more image
tokens, set apart by the first of four position axes, and do not change while sampling.

Knows nothing of files, sigmas, samplers or pixels. Parameters have the names of the original files.
black-forest-labs/flux2 `src/flux2/model.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodes.models.flux2.config import Config
from nodes.models.flux2.tokens import APART, image_ids, pack, references_of, text_ids, unpack
from nodes.models.layers.attention import attend, heads_of
from nodes.models.layers.blocks import Blocks
from nodes.models.layers.embed import Embed, sinusoid
from nodes.models.layers.fits import fills_batch, own_channels, own_text, refuse
from nodes.models.layers.modulation import Modulate, finite, gated, modulated, parts_of
from nodes.models.layers.norm import QKNorm
from nodes.models.layers.passage import Passage, Walk, whole
from nodes.models.layers.rope import rope_table, rotate
from nodes.models.layers.steps import made_before
from nodes.models.sampling.solvers import Velocity

Kept = tuple[Tensor, Tensor]
"""Keys and values (B or 1, heads, R, d) of the reference tokens in one block, turned."""


class Modulation(NamedTuple):
    """Shifts, scales and gates, for any number of leading axes (steps, batch). The same for every block of a kind.

    img, txt   (…, 6·D)  shift₁ scale₁ gate₁ shift₂ scale₂ gate₂ of the double blocks
    single     (…, 3·D)  shift scale gate of the single blocks
    final      (…, 2·D)  shift, scale
    """

    img: Tensor
    txt: Tensor
    single: Tensor
    final: Tensor

    def at(self, step: int) -> Modulation:
        """One entry of the first axis; views, nothing is copied."""
        return Modulation(*(one[step] for one in self))


class Attention(nn.Module):
    """The projections around attention: [q k v] = qkv(x), norms over a head's features, and the way out."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.norm = QKNorm(config.width // config.heads)
        self.proj = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, D) → normed q, normed k, v, each (B, heads, L, d)."""
        q, k, v = heads_of(self.qkv(x), self.heads)
        return *self.norm(q, k), v


class Gated(nn.Module):
    """silu(a) · b with [a ; b] = x: (…, 2·M) → (…, M). Shazeer 2020, arXiv:2002.05202 (SwiGLU)."""

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=-1)
        return F.silu(a) * b


class DoubleBlock(nn.Module):
    """Text and image attend to each other; each keeps its own weights.

    img     (B, N, D),  img_mod six of (B or 1, 1, D)
    txt     (B, L, D),  txt_mod six of (B or 1, 1, D)
    angles  (L+N, d/2)      cosine and sine of each position as one complex number, text first
    kept    keys and values of reference tokens that are not in `img`
    →       img, txt

    For each stream s:  s ← s + gate₁ · W_o attention(…),  then  s ← s + gate₂ · mlp(norm(s)(1 + scale₂) + shift₂),
    where attention runs over [txt ; img] of norm(s)(1 + scale₁) + shift₁.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.img_attn = Attention(config)
        self.img_mlp = feed_forward(config)
        self.txt_attn = Attention(config)
        self.txt_mlp = feed_forward(config)

    def forward(
        self,
        img: Tensor,
        txt: Tensor,
        img_mod: tuple[Tensor, ...],
        txt_mod: tuple[Tensor, ...],
        angles: Tensor,
        kept: Kept | None = None,
    ) -> tuple[Tensor, Tensor]:
        img_shift1, img_scale1, img_gate1, img_shift2, img_scale2, img_gate2 = img_mod
        txt_shift1, txt_scale1, txt_gate1, txt_shift2, txt_scale2, txt_gate2 = txt_mod

        img_q, img_k, img_v = self.img_attn(modulated(img, img_shift1, img_scale1))
        txt_q, txt_k, txt_v = self.txt_attn(modulated(txt, txt_shift1, txt_scale1))
        q, k, v = (torch.cat(pair, dim=2) for pair in ((txt_q, img_q), (txt_k, img_k), (txt_v, img_v)))
        k, v = beside(rotate(k, angles), v, kept)
        mixed = attend(rotate(q, angles), k, v)
        txt_mixed, img_mixed = mixed.split((txt.shape[1], img.shape[1]), dim=1)

        img = gated(img, img_gate1, self.img_attn.proj(img_mixed))
        img = gated(img, img_gate2, self.img_mlp(modulated(img, img_shift2, img_scale2)))
        txt = gated(txt, txt_gate1, self.txt_attn.proj(txt_mixed))
        txt = gated(txt, txt_gate2, self.txt_mlp(modulated(txt, txt_shift2, txt_scale2)))
        return img, finite(txt)

    def alone(self, img: Tensor, mod: tuple[Tensor, ...], angles: Tensor) -> tuple[Tensor, Kept]:
        """Reference tokens (B, R, D) that attend to each other and to nothing else, and their keys and values."""
        shift1, scale1, gate1, shift2, scale2, gate2 = mod
        q, k, v = self.img_attn(modulated(img, shift1, scale1))
        k = rotate(k, angles)
        img = gated(img, gate1, self.img_attn.proj(attend(rotate(q, angles), k, v)))
        return gated(img, gate2, self.img_mlp(modulated(img, shift2, scale2))), (k, v)


class SingleBlock(nn.Module):
    """Attention and MLP side by side, one residual, on text and image as one sequence.

    x       (B, L, D)      tokens, text first, then image
    mod     three of (B or 1, 1, D): shift, scale, gate
    angles  (L, d/2)
    →       (B, L, D)

    y = x + gate · W₂ [ attention(q, k, v) ; silu(a) · b ],   [q k v a b] = W₁ (norm(x)(1 + scale) + shift)

    Parallel layers: Dehghani et al. 2023, arXiv:2302.05442 §2.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.split = (3 * config.width, 2 * config.mlp)
        self.linear1 = nn.Linear(config.width, sum(self.split), bias=False)
        self.linear2 = nn.Linear(config.width + config.mlp, config.width, bias=False)
        self.norm = QKNorm(config.width // config.heads)
        self.gate = Gated()

    def forward(self, x: Tensor, mod: tuple[Tensor, ...], angles: Tensor, kept: Kept | None = None) -> Tensor:
        return self.alone(x, mod, angles, kept)[0]

    def alone(
        self, x: Tensor, mod: tuple[Tensor, ...], angles: Tensor, kept: Kept | None = None
    ) -> tuple[Tensor, Kept]:
        """The same, and the keys and values of these tokens."""
        shift, scale, gate = mod
        qkv, m = self.linear1(modulated(x, shift, scale)).split(self.split, dim=-1)
        q, k, v = heads_of(qkv, self.heads)
        q, k = self.norm(q, k)
        k = rotate(k, angles)
        mixed = attend(rotate(q, angles), *beside(k, v, kept))
        return finite(gated(x, gate, self.linear2(torch.cat((mixed, self.gate(m)), dim=-1)))), (k, v)


def by_themselves(kept: Kept) -> Kept:
    """The same in memory of their own: values are a part of all that a block's first product gives."""
    k, v = kept
    return k, v.clone(memory_format=torch.contiguous_format)


def beside(k: Tensor, v: Tensor, kept: Kept | None) -> tuple[Tensor, Tensor]:
    """These keys and values and the kept ones: (B, heads, L, d) → (B, heads, L+R, d)."""
    if kept is None:
        return k, v
    more = (one.expand(len(k), -1, -1, -1) for one in kept)
    return torch.cat((k, next(more)), dim=2), torch.cat((v, next(more)), dim=2)


class FinalLayer(nn.Module):
    """norm(x)(1 + scale) + shift, then down to the features of a token: (B, N, D), (B, 2·D) → (B, N, C)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.linear = nn.Linear(config.width, config.out_channels, bias=False)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.width, 2 * config.width, bias=False))

    def forward(self, x: Tensor, mod: Tensor) -> Tensor:
        shift, scale = parts_of(mod, 2)
        return self.linear(modulated(x, shift, scale))


class Transformer(nn.Module):
    """Velocity of image tokens. A step is `forward`; what does not change between steps is made before it:

        vec = net.vector(t, guidance)                  # (S·B, D) of all steps at once, or (B, D)
        modulation = net.modulation(vec)
        txt = net.txt_in(text)                         # (B, L, Dt) → (B, L, D)
        ref = net.img_in(references)                   # (B, R, C) → (B, R, D), where there are any
        angles = net.angles(ids)                       # of text, image, references in this order
        v = net(img, txt, modulation, angles, ref)     # (B, N, C) → (B, N, C)

    Built under `torch.device("meta")` it takes no memory. Training is ordinary autograd through these lines.
    """

    passage: Passage = staticmethod(whole)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.img_in = nn.Linear(config.in_channels, width, bias=False)
        self.time_in = Embed(256, width, bias=False)
        if config.guidance:
            self.guidance_in = Embed(256, width, bias=False)
        self.txt_in = nn.Linear(config.text_width, width, bias=False)
        self.double_stream_modulation_img = Modulate(width, 6, bias=False)
        self.double_stream_modulation_txt = Modulate(width, 6, bias=False)
        self.single_stream_modulation = Modulate(width, 3, bias=False)
        self.double_blocks = Blocks(DoubleBlock(config) for _ in range(config.double_blocks))
        self.single_blocks = Blocks(SingleBlock(config) for _ in range(config.single_blocks))
        self.final_layer = FinalLayer(config)

    def vector(self, t: Tensor, guidance: Tensor | None = None) -> Tensor:
        """What every block is conditioned on: time + guidance.

        t         (B,)    1 is noise, 0 is image
        guidance  (B,)    only read by models that were distilled with it; without it, dev is conditioned on time alone
        →         (B, D)

        Both are rounded to the model's dtype *before* they are multiplied by 1000, as diffusers does.
        """
        dtype = self.img_in.weight.dtype
        vec = self.time_in(sinusoid(t.to(dtype) * 1000).to(dtype))
        if self.config.guidance and guidance is not None:
            vec = vec + self.guidance_in(sinusoid(guidance.to(dtype) * 1000).to(dtype))
        return vec

    def modulation(self, vec: Tensor) -> Modulation:
        """Shifts, scales and gates of all blocks: (…, D) → Modulation with the same leading axes."""
        return Modulation(
            self.double_stream_modulation_img(vec),
            self.double_stream_modulation_txt(vec),
            self.single_stream_modulation(vec),
            self.final_layer.adaLN_modulation(vec),
        )

    def angles(self, ids: Tensor) -> Tensor:
        """Positions (L, 4) → cosines and sines (L, d/2), complex."""
        return rope_table(ids, self.config.axes, self.config.theta)

    def remembered(self, references: Tensor, modulation: Modulation, angles: Tensor) -> list[Kept]:
        """Keys and values of reference tokens in every block: (B, R, D), their own `angles` (R, d/2).

        The tokens look at each other alone, so nothing of it changes while sampling.
        """
        x, kept = references, []
        img_mod, mod = parts_of(modulation.img, 6), parts_of(modulation.single, 3)
        for block in self.double_blocks.in_order():
            x, pair = block.alone(x, img_mod, angles)
            kept.append(by_themselves(pair))
        for block in self.single_blocks.in_order():
            x, pair = block.alone(x, mod, angles)
            kept.append(by_themselves(pair))
        return kept

    def forward(
        self,
        img: Tensor,
        txt: Tensor,
        modulation: Modulation,
        angles: Tensor,
        references: Tensor | None = None,
        kept: Sequence[Kept] = (),
    ) -> Tensor:
        """One evaluation of the velocity.

        img         (B, N, C_in)    packed latents
        txt         (B, L, D)       text features, already through `txt_in`
        modulation                  of this step, leading axis B or 1
        angles      (L+N+R, d/2)    from `angles`
        references  (B or 1, R, D)  tokens of reference pictures, already through `img_in`
        kept                        or what `remembered` made of them; `angles` are then without theirs
        →           (B, N, C_out)
        """
        x = self.img_in(img)
        walk = self.walk(x, txt, modulation, angles, references, kept)
        return self.passage(x, walk, lambda tokens: self.final_layer(tokens, modulation.final))

    def walk(
        self, x: Tensor, txt: Tensor, modulation: Modulation, angles: Tensor, ref: Tensor | None, kept: Sequence[Kept]
    ) -> Walk:
        """The image's tokens after each block, without those of references: (B, N, D)."""
        start, count = txt.shape[1], x.shape[1]
        if ref is not None:
            x = torch.cat((x, ref.expand(len(x), -1, -1)), dim=1)
        img_mod, txt_mod = parts_of(modulation.img, 6), parts_of(modulation.txt, 6)
        pairs = iter(kept)
        for block in self.double_blocks.in_order():
            x, txt = block(x, txt, img_mod, txt_mod, angles, next(pairs, None))
            yield x[:, :count]
        x = torch.cat((txt, x), dim=1)
        mod = parts_of(modulation.single, 3)
        for block in self.single_blocks.in_order():
            x = block(x, mod, angles, next(pairs, None))
            yield x[:, start : start + count]

    def before_loop(self) -> list[str]:
        """Names of the parameters no step reads: `forward` runs without them once the lines above have run."""
        early = ("time_in.", "guidance_in.", "txt_in.", "final_layer.adaLN_modulation.")
        shared = ("double_stream_modulation_img.", "double_stream_modulation_txt.", "single_stream_modulation.")
        return [name for name in self.state_dict() if name.startswith((*early, *shared))]


def feed_forward(config: Config) -> nn.Sequential:
    """Linear, silu(a) · b, Linear: D → 2·M → M → D."""
    up = nn.Linear(config.width, 2 * config.mlp, bias=False)
    return nn.Sequential(up, Gated(), nn.Linear(config.mlp, config.width, bias=False))


def velocity(
    net: Transformer,
    conditioning: Mapping[str, Tensor],
    shape: Sequence[int],
    sigmas: Sequence[float],
    guidance: float = 4.0,
    dtype: torch.dtype | None = None,
    references_once: bool = False,
) -> Velocity:
    """v(x, σ) of latents, with all that does not depend on x made now.

    conditioning  text (P, L, Dt); prompts are repeated one by one to fill the batch (p₀ p₀ p₁ p₁). "reference.0",
                  "reference.1", … (P, C, h', w') are latents of reference pictures, of any sizes. An entry "guidance"
                  (P,) takes the place of the argument
    shape         (B, C, h, w) of the latents
    sigmas        every σ that will be asked for (`sampling.loop.visited`). Others are answered too, while the weights
                  of `before_loop` are there
    guidance      distilled guidance; ignored by models without it, and never "off" for those with it
    dtype         what the network computes in; that of `img_in` when not given
    references_once  look at the references before the first step only, as klein's KV models were trained to: they see
                  neither text nor picture, and are seen as at σ = 0. For other models another picture comes out

    Nothing in the returned function waits for the device. Refused: a batch the prompts do not divide, other widths.
    """
    batch, _, height, width = shape
    text, references = conditioning["text"], references_of(conditioning)
    refuse(
        "flux2",
        own_channels(shape, net.config.latent_channels),
        fills_batch(text, shape),
        own_text(text, net.config.text_width, ": dev's is Mistral, klein's is Qwen3 4B or 8B"),
        (
            any(one.ndim != 4 or one.shape[1] != net.config.in_channels for one in references),
            f"references are {[list(one.shape) for one in references]}, this model takes {net.config.in_channels} "
            "channels.",
            "Encode the reference picture with the autoencoder of this model.",
        ),
    )
    dtype, device = dtype or net.img_in.weight.dtype, net.img_in.weight.device
    strength = conditioning.get("guidance", torch.full((1,), guidance))
    if len(strength) > 1:
        strength = strength.repeat_interleave(batch // len(strength), 0)
    strength = strength.to(dtype=dtype)

    def filled(given: Tensor) -> Tensor:
        """(P, …) on the device, each repeated so that there are B; one alone stays one."""
        given = given.to(device, dtype)
        return given.repeat_interleave(batch // len(given), 0) if len(given) > 1 else given

    def modulation(levels: Sequence[float]) -> Modulation:
        t = (torch.tensor(levels) * 1000).to(dtype) / 1000  # rounded as diffusers' pipeline rounds its timesteps
        t, g = (a.to(device) for a in torch.broadcast_tensors(t[:, None], strength))
        return net.modulation(net.vector(t.flatten(), g.flatten()).unflatten(0, (len(levels), -1)))

    with torch.no_grad():
        modulated_at = made_before(modulation, sigmas)
        txt = net.txt_in(filled(text)).expand(batch, -1, -1)
        ref = net.img_in(torch.cat([pack(filled(one)) for one in references], dim=1)) if references else None
        places = [image_ids(one.shape[2], one.shape[3], APART * (i + 1), device) for i, one in enumerate(references)]
        here, kept = [text_ids(text.shape[1], device), image_ids(height, width, 0, device)], []
        if references_once and ref is not None:
            kept = net.remembered(ref, modulation([0.0]).at(0), net.angles(torch.cat(places)))
            ref, places = None, []
        angles = net.angles(torch.cat(here + places))

    def at(x: Tensor, sigma: float) -> Tensor:
        with torch.no_grad():
            v = net(pack(x.to(device, dtype)), txt, modulated_at(sigma), angles, ref, kept)
        return unpack(v, height, width).to(x.device, x.dtype)

    return at
