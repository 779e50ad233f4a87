"""Flux.2 (dev, and klein 4B and 9B as sizes of the same network). Black Forest Labs 2025, github.com/black-forest-labs/flux2."""
