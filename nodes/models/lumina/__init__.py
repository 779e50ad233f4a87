"""Lumina-Next (2B, with and without shared key heads). Alpha-VLLM 2024, arXiv:2406.18583, github.com/Alpha-VLLM."""
