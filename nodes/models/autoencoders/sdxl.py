"""The latent space of SDXL's autoencoder, which several families paint in. Numbers only: the network is `kl`'s.

Podell et al. 2023, arXiv:2307.01952; the colours are ComfyUI's, fitted to the released autoencoder
(`comfy/latent_formats.py`, class SDXL).
"""

from __future__ import annotations

CHANNELS = 4
SCALE = 0.13025

# One row per channel of a scaled latent: red, green, blue from −1 to 1; the last row is added.
COLOURS = (
    (0.3651, 0.4232, 0.4341),
    (-0.2533, -0.0042, 0.1068),
    (0.1076, 0.1111, -0.0362),
    (-0.3165, -0.2492, -0.2188),
    (0.1084, -0.0175, -0.0011),
)
