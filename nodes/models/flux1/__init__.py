"""Flux.1 (schnell, dev and the models made from them). Black Forest Labs 2024, github.com/black-forest-labs/flux."""
