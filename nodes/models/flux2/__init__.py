"""Flux.2 (dev, and klein as sizes of the same network). Black Forest Labs 2025, github.com/black-forest-labs/flux2."""
