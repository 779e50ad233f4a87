"""The sizes of a Lumina-Next or Lumina-T2I transformer. Knows no file and no tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace

from graph_runtime.problem import Problem, Refused


@dataclass(frozen=True, slots=True)
class Config:
    """The defaults are Lumina-Next-SFT and -T2I; the model without shared key heads has 32 of them.

    flag             the network is Lumina-T2I's, Flag-DiT: rows that end with a token, positions of one axis, blocks
                     with shifts

    latent_channels  of the latent; a token is 2 × 2 cells of it
    out_channels     of what comes out: twice as many where it also learned a variance, which nobody reads
    kv_heads         of keys and values, each for heads / kv_heads of the queries
    mlp              width inside the feed-forward
    condition        width of what time and text say to every block
    qk_norm          whether queries and keys are normed
    side             cells of the latent it was trained on, each way: beyond, positions are scaled
    """

    latent_channels: int = 4
    out_channels: int = 8
    width: int = 2304
    layers: int = 24
    heads: int = 32
    kv_heads: int = 8
    text_width: int = 2048
    mlp: int = 6144
    condition: int = 1024
    qk_norm: bool = True
    eps: float = 1e-5
    side: int = 128
    flag: bool = False

    def __post_init__(self) -> None:
        problems = []
        if self.heads < 1 or self.width % (4 * self.heads):
            problems.append(f"width {self.width} does not divide into {self.heads} heads of fours of features")
        if self.kv_heads < 1 or self.heads % self.kv_heads:
            problems.append(f"{self.heads} heads do not share {self.kv_heads} heads of keys")
        if self.out_channels < self.latent_channels or self.latent_channels < 1:
            problems.append(f"{self.out_channels} channels out are fewer than {self.latent_channels} in")
        if problems:
            fix = "Take the numbers from the model's own config.json."
            raise Refused(Problem("bad-config", "lumina config", f"{what}.", fix) for what in problems)

    @property
    def guidance(self) -> bool:
        """It was not distilled with guidance."""
        return False

    def step_bytes(self, batch: int, tokens: int, levels: int, itemsize: int) -> int:
        """What painting takes beside the weights, at the most: 13 numbers as wide as the model for each token of a
        step, and what modulates every block at each level, which is there before the first.

        Counted at the releases' proportions: tests/nodes/models/test_working_bytes.py
        """
        modulation = 6 * self.layers
        return batch * self.width * itemsize * (13 * tokens + modulation * levels)

    @property
    def wants_picture(self) -> bool:
        """It paints from text alone."""
        return False

    @classmethod
    def flag_dit(cls) -> Config:
        """Lumina-T2I 5B, `DiT_Llama_5B_patch2`, with LLaMA-2-7B's text."""
        return cls(width=3072, layers=32, kv_heads=32, text_width=4096, mlp=8192, flag=True)

    @classmethod
    def tiny(cls, **changes: object) -> Config:
        """Small enough for a test, nothing left out: shared key heads, a condition narrower than the model."""
        small = cls(
            width=64, layers=2, heads=4, kv_heads=2, text_width=48, mlp=80, condition=32, side=16
        )  # a latent of 16 × 16 cells: 128 pixels
        return replace(small, **changes)  # type: ignore[arg-type]
