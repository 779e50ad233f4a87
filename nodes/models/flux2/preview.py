"""About what a Flux.2 latent looks like, without its autoencoder: nothing fitted is published, so none is claimed.

An autoencoder at hand is asked itself (`autoencoders.preview.fitted_to`); otherwise previews show the directions in
which the latent varies most, with right shapes and false colours.
"""

from __future__ import annotations

COLOURS: tuple[tuple[float, float, float], ...] = ()
