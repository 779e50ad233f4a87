"""A latent as a small picture without running a decoder: one matrix product, for watching a sampler work.

An autoencoder's colours are nearly linear in its latent, cell by cell, so the matrix is found by least squares: from
the autoencoder itself, or from any latent and the picture it became. Knows no file format and no sampler.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nodes.models.autoencoders.kl import Autoencoder


@dataclass(frozen=True)
class LatentColors:
    """rgb = latent · matrix + bias, per cell.

    matrix  (C, 3), bias (3,)   float32, on the CPU; latents as they are sampled (scaled, shifted), colours −1…1
    """

    matrix: Tensor
    bias: Tensor

    def pixels(self, latent: Tensor) -> Tensor:
        """(C, h, w) → (h, w, 3) uint8 on the CPU, one pixel per cell."""
        colors = latent.float().cpu().permute(1, 2, 0) @ self.matrix + self.bias
        return ((colors / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)


def fitted(latents: Tensor, pictures: Tensor) -> LatentColors:
    """The best matrix for latents (B, C, h, w), as sampled, and what they decode to, (B, 3, H, W) in −1…1."""
    small = F.adaptive_avg_pool2d(pictures.float().cpu(), tuple(latents.shape[2:]))
    cells = latents.float().cpu().permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    with_one = torch.cat((cells, torch.ones(len(cells), 1)), dim=1).double()
    colors = small.permute(0, 2, 3, 1).reshape(-1, 3).double()
    # A little ridge, so that a channel that never varies gets no weight.
    ridge = 1e-4 * len(cells) * torch.eye(with_one.shape[1], dtype=torch.float64)
    matrix = torch.linalg.solve(with_one.T @ with_one + ridge, with_one.T @ colors).float()
    return LatentColors(matrix[:-1], matrix[-1])


def fitted_to(autoencoder: Autoencoder, cells: int = 8, count: int = 32) -> LatentColors:
    """The matrix of an autoencoder, from encoding `count` pictures of cells × cells; always the same.

    Encoding what is known gives the latents that pictures have; random ones decode to what no picture looks like.
    """
    weight = next(autoencoder.encoder.parameters())
    pictures = rectangles(count, cells * autoencoder.config.factor).to(weight)
    with torch.no_grad():
        mean, _ = autoencoder.encode(pictures)
        latents = autoencoder.scaled(mean)
    return fitted(latents, pictures)


def rectangles(count: int, side: int) -> Tensor:
    """Pictures (count, 3, side, side) in −1…1 of two plain rectangles on a plain ground; always the same."""
    generator = torch.Generator().manual_seed(0)
    colors = torch.rand(count, 3, 3, generator=generator) * 2 - 1
    places = (torch.rand(count, 2, 2, 2, generator=generator) * side).long()
    pictures = colors[:, 0, :, None, None].repeat(1, 1, side, side)
    for picture, color, place in zip(pictures, colors, places, strict=True):
        for each, ((x, width), (y, height)) in zip(color[1:], place.tolist(), strict=True):
            picture[:, y : y + height, x : x + width] = each[:, None, None]
    return pictures


def false_colors(latent: Tensor) -> LatentColors:
    """When no autoencoder is at hand: the directions in which this latent (C, h, w) varies most, brightness first.

    Shapes are right, colours are not.
    """
    cells = latent.float().cpu().flatten(1).T
    mean = cells.mean(dim=0)
    _, spread, axes = torch.linalg.svd(cells - mean, full_matrices=False)
    scale = 0.5 * len(cells) ** 0.5 / spread[:1].clamp(min=1e-6)
    first = axes[:3] * scale
    first = first * first.sum(dim=1, keepdim=True).sign()  # a direction has no sign of its own
    light = torch.tensor([[1.0, 1.0, 1.0], [0.5, -0.25, -0.25], [0.25, 0.25, -0.5]])[: len(first)]
    matrix = first.T @ light
    return LatentColors(matrix, -mean @ matrix)
