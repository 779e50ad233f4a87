"""The sizes of an AuraFlow transformer. Knows no file and no tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace

from graph_runtime.problem import Problem, Refused


@dataclass(frozen=True, slots=True)
class Config:
    """The defaults are AuraFlow 0.3; 0.1 and 0.2 have a grid of 64.

    latent_channels  of the latent, in and out; a token is 2 × 2 cells of it
    mlp              width inside the feed-forward
    grid             side of the square of learned positions, in tokens: no picture may be larger
    registers        learned tokens in front of the text
    """

    latent_channels: int = 4
    width: int = 3072
    heads: int = 12
    double_blocks: int = 4
    single_blocks: int = 32
    text_width: int = 2048
    mlp: int = 8192
    grid: int = 96
    registers: int = 8

    def __post_init__(self) -> None:
        problems = []
        if self.heads < 1 or self.width % self.heads:
            problems.append(f"width {self.width} does not divide into {self.heads} heads")
        if min(self.latent_channels, self.grid, self.mlp, self.registers) < 1 or self.double_blocks < 1:
            problems.append("channels, grid, registers, widths and double blocks must be at least 1")
        if problems:
            fix = "Take the numbers from the model's own config.json."
            raise Refused(Problem("bad-config", "auraflow config", f"{what}.", fix) for what in problems)

    @property
    def guidance(self) -> bool:
        """It was not distilled with guidance."""
        return False

    def step_bytes(self, batch: int, tokens: int, levels: int, itemsize: int) -> int:
        """What painting takes beside the weights, at the most: 20 numbers as wide as the model for each token of a
        step, and what modulates every block at each level, which is there before the first.

        Counted at the releases' proportions: tests/nodes/models/test_working_bytes.py
        """
        modulation = 12 * self.double_blocks + 6 * self.single_blocks + 2
        return batch * self.width * itemsize * (20 * tokens + modulation * levels)

    @property
    def wants_picture(self) -> bool:
        """It paints from text alone."""
        return False

    @property
    def longest_side(self) -> int:
        """Pixels of the largest picture its positions reach."""
        return self.grid * 16

    @classmethod
    def tiny(cls, **changes: object) -> Config:
        """Small enough for a test, nothing left out: two blocks of each kind, an even grid."""
        small = cls(width=64, heads=4, double_blocks=2, single_blocks=2, text_width=48, mlp=80, grid=8, registers=3)
        return replace(small, **changes)  # type: ignore[arg-type]
