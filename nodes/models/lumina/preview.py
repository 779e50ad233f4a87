"""About what a Lumina latent looks like, without its autoencoder, which is SDXL's."""

from nodes.models.autoencoders.sdxl import COLOURS

__all__ = ["COLOURS"]
