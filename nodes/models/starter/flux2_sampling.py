"""Pictures from the Flux.2 starter while it is in training: Euler steps with true classifier-free guidance.

The same arithmetic as the klein pipeline: sigmas 1 − i/n bent by a static shift, v = v_empty + s·(v_text − v_empty);
a picture that is shown is shown to both.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from nodes.models.flux2.tokens import pack, unpack
from nodes.models.starter.flux2_flow import SIDE, Parts, velocity
from nodes.models.starter.flux2_text import LENGTH, encode
from nodes.models.starter.sampling import Settings, sigmas
from nodes.models.starter.vae_stage import to_tensor


@torch.no_grad()
def latents(
    parts: Parts, texts: list[str], seeds: list[int], settings: Settings, shown: Tensor | None = None
) -> Tensor:
    """(B, 64, 8, 8) sampled latents, one generator per picture; `shown` are packed latents (B, 64, 64)."""
    ids, counts = parts.words.ids([*texts, ""], LENGTH)
    features, n = encode(parts.qwen, ids, counts), len(texts)
    text = torch.cat((features[:n], features[n:].expand(n, -1, -1)))
    x = pack(torch.cat([torch.randn(1, 64, SIDE, SIDE, generator=torch.Generator().manual_seed(s)) for s in seeds]))
    before = None if shown is None else torch.cat((shown, shown))
    for now, after in itertools.pairwise(sigmas(settings)):
        t = torch.full((2 * n,), now)
        v_text, v_empty = velocity(parts.transformer, torch.cat((x, x)), t, text, before).chunk(2)
        x = x + (after - now) * (v_empty + settings.guidance * (v_text - v_empty))
    return unpack(x, SIDE, SIDE)


@torch.no_grad()
def images(
    parts: Parts,
    texts: list[str],
    seeds: list[int],
    settings: Settings,
    shown: np.ndarray | None = None,
    batch: int = 16,
) -> np.ndarray:
    """(B, 128, 128, 3) uint8 from prompts, or from instructions and the pictures (B, 128, 128, 3) that they are for."""
    out, vae = [], parts.vae
    for i in range(0, len(texts), batch):
        before = None
        if shown is not None:
            before = pack(vae.scaled(vae.encode(to_tensor(shown[i : i + batch]))[0]))
        z = latents(parts, texts[i : i + batch], seeds[i : i + batch], settings, before)
        y = vae.decode(vae.unscaled(z)).clamp(-1, 1)
        out.append(((y + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(out)
