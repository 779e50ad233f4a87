"""The Flux.1 transformer: image and text tokens in, velocity out.

What is unusual about it: text and image run with their own weights first (double blocks), then as one sequence with
shared ones (single blocks); every block is modulated by one vector made from time, pooled text and guidance. That
vector never sees the image, so the modulation of all steps is computed before the loop, in one product per block, and
a quarter of the weights need not be in memory while sampling (`before_loop`).

Knows nothing of files, sigmas, samplers or pixels. Parameters have the names of the original files.
Esser et al. 2024, arXiv:2403.03206 §4; black-forest-labs/flux `src/flux/model.py`, `modules/layers.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodes.models.flux1.config import Config
from nodes.models.layers.attention import attend, heads_of
from nodes.models.layers.blocks import Blocks
from nodes.models.layers.embed import Embed, sinusoid
from nodes.models.layers.fits import own_channels, refuse, whole_patches
from nodes.models.layers.modulation import Modulate, finite, gated, modulated, parts_of
from nodes.models.layers.norm import QKNorm
from nodes.models.layers.passage import Passage, Walk, whole
from nodes.models.layers.patches import patches_of as pack
from nodes.models.layers.rope import rope_table, rotate
from nodes.models.layers.steps import made_before
from nodes.models.sampling.solvers import Velocity


class Modulation(NamedTuple):
    """Shifts, scales and gates of every block, for any number of leading axes (steps, batch).

    double   per double block: image (…, 6·D), text (…, 6·D), each shift₁ scale₁ gate₁ shift₂ scale₂ gate₂
    single   per single block: (…, 3·D), shift scale gate
    final    (…, 2·D), shift scale
    """

    double: tuple[tuple[Tensor, Tensor], ...]
    single: tuple[Tensor, ...]
    final: Tensor

    def at(self, step: int) -> Modulation:
        """One entry of the first axis; views, nothing is copied."""
        return Modulation(
            tuple((img[step], txt[step]) for img, txt in self.double),
            tuple(one[step] for one in self.single),
            self.final[step],
        )


class Attention(nn.Module):
    """The projections around attention: [q k v] = qkv(x), norms over a head's features, and the way out."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.norm = QKNorm(config.width // config.heads)
        self.proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, D) → normed q, normed k, v, each (B, heads, L, d)."""
        q, k, v = heads_of(self.qkv(x), self.heads)
        return *self.norm(q, k), v


class DoubleBlock(nn.Module):
    """Text and image attend to each other; each keeps its own weights.

    img     (B, N, D),  img_mod (B, 6·D)
    txt     (B, L, D),  txt_mod (B, 6·D)
    angles  (L+N, d/2)      cosine and sine of each position as one complex number, text first
    →       img, txt

    For each stream s:  s ← s + gate₁ · W_o attention(…),  then  s ← s + gate₂ · mlp(norm(s)(1 + scale₂) + shift₂),
    where attention runs over [txt ; img] of norm(s)(1 + scale₁) + shift₁.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.img_mod = Modulate(config.width, 6)
        self.img_attn = Attention(config)
        self.img_mlp = feed_forward(config)
        self.txt_mod = Modulate(config.width, 6)
        self.txt_attn = Attention(config)
        self.txt_mlp = feed_forward(config)

    def forward(
        self, img: Tensor, txt: Tensor, img_mod: Tensor, txt_mod: Tensor, angles: Tensor
    ) -> tuple[Tensor, Tensor]:
        img_shift1, img_scale1, img_gate1, img_shift2, img_scale2, img_gate2 = parts_of(img_mod, 6)
        txt_shift1, txt_scale1, txt_gate1, txt_shift2, txt_scale2, txt_gate2 = parts_of(txt_mod, 6)

        img_q, img_k, img_v = self.img_attn(modulated(img, img_shift1, img_scale1))
        txt_q, txt_k, txt_v = self.txt_attn(modulated(txt, txt_shift1, txt_scale1))
        q, k, v = (torch.cat(pair, dim=2) for pair in ((txt_q, img_q), (txt_k, img_k), (txt_v, img_v)))
        mixed = attend(rotate(q, angles), rotate(k, angles), v)
        txt_mixed, img_mixed = mixed.split((txt.shape[1], img.shape[1]), dim=1)

        img = gated(img, img_gate1, self.img_attn.proj(img_mixed))
        img = gated(img, img_gate2, self.img_mlp(modulated(img, img_shift2, img_scale2)))
        txt = gated(txt, txt_gate1, self.txt_attn.proj(txt_mixed))
        txt = gated(txt, txt_gate2, self.txt_mlp(modulated(txt, txt_shift2, txt_scale2)))
        return img, finite(txt)


class SingleBlock(nn.Module):
    """Attention and MLP side by side, one residual, on text and image as one sequence.

    x       (B, L, D)      tokens, text first, then image
    mod     (B, 3·D)       shift, scale, gate
    angles  (L, d/2)
    →       (B, L, D)

    y = x + gate · W₂ [ attention(q, k, v) ; gelu(m) ],   [q k v m] = W₁ (norm(x)(1 + scale) + shift)

    Parallel layers: Dehghani et al. 2023, arXiv:2302.05442 §2.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.split = (3 * config.width, config.mlp_ratio * config.width)
        self.linear1 = nn.Linear(config.width, sum(self.split))
        self.linear2 = nn.Linear(config.width + self.split[1], config.width)
        self.norm = QKNorm(config.width // config.heads)
        self.modulation = Modulate(config.width, 3)

    def forward(self, x: Tensor, mod: Tensor, angles: Tensor) -> Tensor:
        shift, scale, gate = parts_of(mod, 3)
        qkv, m = self.linear1(modulated(x, shift, scale)).split(self.split, dim=-1)
        q, k, v = heads_of(qkv, self.heads)
        q, k = self.norm(q, k)
        mixed = attend(rotate(q, angles), rotate(k, angles), v)
        return finite(gated(x, gate, self.linear2(torch.cat((mixed, F.gelu(m, approximate="tanh")), dim=-1))))


class FinalLayer(nn.Module):
    """norm(x)(1 + scale) + shift, then down to the features of a token: (B, N, D), (B, 2·D) → (B, N, C)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.linear = nn.Linear(config.width, config.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.width, 2 * config.width))

    def forward(self, x: Tensor, mod: Tensor) -> Tensor:
        shift, scale = parts_of(mod, 2)
        return self.linear(modulated(x, shift, scale))


class Transformer(nn.Module):
    """Velocity of image tokens. A step is `forward`; what does not change between steps is made before it:

        vec = net.vector(t, pooled, guidance)          # (S·B, D) of all steps at once, or (B, D)
        modulation = net.modulation(vec)
        txt = net.txt_in(text)                         # (B, L, Dt) → (B, L, D)
        angles = net.angles(image_ids(h, w), text_ids(L))
        v = net(img, txt, modulation, angles)          # (B, N, C) → (B, N, C)

    Built under `torch.device("meta")` it takes no memory. Training is ordinary autograd through these five lines.
    """

    passage: Passage = staticmethod(whole)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.img_in = nn.Linear(config.in_channels, config.width)
        self.time_in = Embed(256, config.width)
        self.vector_in = Embed(config.pooled_width, config.width)
        if config.guidance:
            self.guidance_in = Embed(256, config.width)
        self.txt_in = nn.Linear(config.text_width, config.width)
        self.double_blocks = Blocks(DoubleBlock(config) for _ in range(config.double_blocks))
        self.single_blocks = Blocks(SingleBlock(config) for _ in range(config.single_blocks))
        self.final_layer = FinalLayer(config)

    def vector(self, t: Tensor, pooled: Tensor, guidance: Tensor | None = None) -> Tensor:
        """What every block is conditioned on: time + guidance + pooled text.

        t         (B,)    1 is noise, 0 is image
        pooled    (B, P)  CLIP's pooled vector
        guidance  (B,)    only read by models that were distilled with it (`config.guidance`); 0 is not "off"
        →         (B, D)

        t and guidance are rounded to the model's dtype *before* they are multiplied by 1000, as the released pipelines
        do: in bfloat16 730 becomes 732, and not doing so moves the output by 15 %.
        """
        dtype = pooled.dtype
        vec = self.time_in(sinusoid(t.to(dtype) * 1000).to(dtype))
        if self.config.guidance:
            if guidance is None:
                raise TypeError("this model is guidance-distilled: vector() needs guidance (B,)")
            vec = vec + self.guidance_in(sinusoid(guidance.to(dtype) * 1000).to(dtype))
        return vec + self.vector_in(pooled)

    def modulation(self, vec: Tensor) -> Modulation:
        """Shifts, scales and gates of all blocks: (…, D) → Modulation with the same leading axes."""
        return Modulation(
            tuple((block.img_mod(vec), block.txt_mod(vec)) for block in self.double_blocks),
            tuple(block.modulation(vec) for block in self.single_blocks),
            self.final_layer.adaLN_modulation(vec),
        )

    def angles(self, img_ids: Tensor, txt_ids: Tensor) -> Tensor:
        """Positions (N, 3) and (L, 3) → cosines and sines (L+N, d/2), complex, text first."""
        return rope_table(torch.cat((txt_ids, img_ids)), self.config.axes, self.config.theta)

    def forward(self, img: Tensor, txt: Tensor, modulation: Modulation, angles: Tensor) -> Tensor:
        """One evaluation of the velocity.

        img         (B, N, C_in)   packed latents
        txt         (B, L, D)      text features, already through `txt_in`
        modulation                 of this step, leading axis B
        angles      (L+N, d/2)     from `angles`
        →           (B, N, C_out)
        """
        x = self.img_in(img)
        walk = self.walk(x, txt, modulation, angles)
        return self.passage(x, walk, lambda tokens: self.final_layer(tokens, modulation.final))

    def walk(self, x: Tensor, txt: Tensor, modulation: Modulation, angles: Tensor) -> Walk:
        """The image's tokens after each block: (B, N, D)."""
        for block, (img_mod, txt_mod) in zip(self.double_blocks.in_order(), modulation.double, strict=True):
            x, txt = block(x, txt, img_mod, txt_mod, angles)
            yield x
        x = torch.cat((txt, x), dim=1)
        for block, mod in zip(self.single_blocks.in_order(), modulation.single, strict=True):
            x = block(x, mod, angles)
            yield x[:, txt.shape[1] :]

    def before_loop(self) -> list[str]:
        """Names of the parameters no step reads: `forward` runs without them once the lines above have run."""
        early = ("time_in.", "vector_in.", "guidance_in.", "txt_in.", "final_layer.adaLN_modulation.")
        inside = (".img_mod.", ".txt_mod.", ".modulation.")
        return [name for name in self.state_dict() if name.startswith(early) or any(k in name for k in inside)]


def feed_forward(config: Config) -> nn.Sequential:
    """Linear, gelu (tanh form), Linear: D → 4·D → D."""
    inner = config.mlp_ratio * config.width
    return nn.Sequential(nn.Linear(config.width, inner), nn.GELU(approximate="tanh"), nn.Linear(inner, config.width))


def velocity(
    net: Transformer,
    conditioning: Mapping[str, Tensor],
    shape: Sequence[int],
    sigmas: Sequence[float],
    guidance: float = 3.5,
    dtype: torch.dtype | None = None,
) -> Velocity:
    """v(x, σ) of unpacked latents, with all that does not depend on x made now.

    conditioning  text (P, L, Dt), pooled (P, W); prompts are repeated one by one to fill the batch (p₀ p₀ p₁ p₁).
                  An entry "guidance" (P,) takes the place of the argument
    shape         (B, C, h, w) of the latents; h and w even
    sigmas        every σ that will be asked for (`sampling.loop.visited`). Others are answered too, while the weights
                  of `before_loop` are there
    guidance      distilled guidance; ignored by models without it, and never "off" for those with it
    dtype         what the network computes in; that of `img_in` when not given

    Nothing in the returned function waits for the device. Refused: odd sizes, a batch the prompts do not divide.
    """
    batch, _, height, width = shape
    text, pooled = conditioning["text"], conditioning["pooled"]
    config, widths = net.config, (text.shape[-1], pooled.shape[-1])
    refuse(
        "flux1",
        whole_patches(shape),
        own_channels(shape, config.latent_channels),
        (
            len(text) != len(pooled) or batch % max(len(text), 1) != 0 or not len(text),
            f"{len(text)} texts and {len(pooled)} pooled vectors cannot fill a batch of {batch}.",
            "Give one prompt, or as many as divide the batch.",
        ),
        (
            widths != (config.text_width, config.pooled_width),
            f"the text is {widths[0]} and {widths[1]} wide, this model takes {config.text_width} and "
            f"{config.pooled_width}.",
            "Encode the prompt with the text encoders of this model.",
        ),
    )
    dtype, device = dtype or net.img_in.weight.dtype, net.img_in.weight.device
    text, pooled = (given.to(device, dtype) for given in (text, pooled))
    strength = conditioning.get("guidance", torch.full((len(pooled),), guidance))
    if len(pooled) > 1:
        text, pooled, strength = (one.repeat_interleave(batch // len(one), 0) for one in (text, pooled, strength))

    def modulation(levels: Sequence[float]) -> Modulation:
        t = (torch.tensor(levels) * 1000).to(dtype) / 1000  # rounded as diffusers' pipeline rounds its timesteps
        t, g = (a.to(device) for a in torch.broadcast_tensors(t[:, None], strength.to(dtype=dtype)))
        vec = net.vector(t.flatten(), pooled.repeat(len(levels), 1), g.flatten())
        return net.modulation(vec.unflatten(0, (len(levels), -1)))

    with torch.no_grad():
        modulated_at = made_before(modulation, sigmas)
        txt = net.txt_in(text).expand(batch, -1, -1)
        angles = net.angles(image_ids(height // 2, width // 2, device), text_ids(text.shape[1], device))

    def at(x: Tensor, sigma: float) -> Tensor:
        with torch.no_grad():
            v = net(pack(x.to(device, dtype)), txt, modulated_at(sigma), angles)
        return unpack(v, height, width).to(x.device, x.dtype)

    return at


def image_ids(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Positions (0, row, column) of height × width tokens, row by row: (height·width, 3), float32."""
    row, column = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return torch.stack((torch.zeros_like(row), row, column), dim=-1).flatten(0, 1).float()


def text_ids(length: int, device: torch.device | str = "cpu") -> Tensor:
    """Text has no position: zeros (length, 3)."""
    return torch.zeros(length, 3, device=device)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """The way back: (B, h/2·w/2, C·4) → (B, C, h, w); height and width in latent cells."""
    b, _, features = tokens.shape
    cells = tokens.view(b, height // 2, width // 2, features // 4, 2, 2)
    return cells.permute(0, 3, 1, 4, 2, 5).reshape(b, features // 4, height, width)
