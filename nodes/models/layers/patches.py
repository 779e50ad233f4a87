"""A latent as tokens of 2 × 2 cells, and the way back as AuraFlow and Lumina were trained: in another order."""

from torch import Tensor


def patches_of(latent: Tensor) -> Tensor:
    """2 × 2 cells become one token: (B, C, h, w) → (B, h/2·w/2, C·4), features in the order channel, row, column."""
    b, c, h, w = latent.shape
    return latent.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, h // 2 * (w // 2), c * 4)


def latent_of(tokens: Tensor, height: int, width: int) -> Tensor:
    """(B, h/2·w/2, 4·C) → (B, C, h, w). Not the way back: what comes out is in the order row, column, channel."""
    b, _, features = tokens.shape
    cells = tokens.view(b, height // 2, width // 2, 2, 2, features // 4)
    return cells.permute(0, 5, 1, 3, 2, 4).reshape(b, features // 4, height, width)
