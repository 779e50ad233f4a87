"""Lumina-Next (2B, with and without shared key heads) and Lumina-T2I (5B, Flag-DiT). Alpha-VLLM 2024, arXiv:2406.18583
and arXiv:2405.05945, github.com/Alpha-VLLM."""
