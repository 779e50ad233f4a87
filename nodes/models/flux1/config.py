"""The sizes of a Flux.1 transformer. Knows no file and no tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace

from graph_runtime.problem import Problem, Refused


@dataclass(frozen=True, slots=True)
class Config:
    """The defaults are FLUX.1-dev; schnell is the same without `guidance`.

    in_channels     features of an image token: 2 × 2 cells of a latent (16 channels → 64); more for Fill and Control
    text_width      width of the T5 features; `pooled_width` of CLIP's pooled vector
    axes            head features turned by each position axis; their sum is width / heads
    """

    in_channels: int = 64
    out_channels: int = 64
    width: int = 3072
    heads: int = 24
    double_blocks: int = 19
    single_blocks: int = 38
    text_width: int = 4096
    pooled_width: int = 768
    axes: tuple[int, ...] = (16, 56, 56)
    theta: int = 10000
    guidance: bool = True
    mlp_ratio: int = 4

    def __post_init__(self) -> None:
        problems = []
        if self.heads < 1 or self.width % self.heads:
            problems.append(f"width {self.width} does not divide into {self.heads} heads")
        elif sum(self.axes) != self.width // self.heads:
            problems.append(f"axes {self.axes} sum to {sum(self.axes)}, a head has {self.width // self.heads} features")
        if len(self.axes) != 3 or any(width % 2 for width in self.axes):
            problems.append(f"axes {self.axes} must be three even numbers")
        if self.out_channels % 4:
            problems.append(f"{self.out_channels} output features are not 2 × 2 cells of a latent")
        if problems:
            fix = "Take the numbers from the model's own config.json."
            raise Refused(Problem("bad-config", "flux1 config", f"{what}.", fix) for what in problems)

    @property
    def latent_channels(self) -> int:
        """Channels of the latent that is sampled: 16 in every release."""
        return self.out_channels // 4

    def step_bytes(self, batch: int, tokens: int, levels: int, itemsize: int) -> int:
        """What painting takes beside the weights, at the most: 23 numbers as wide as the model for each token of a
        step, and what modulates every block at each level, which is there before the first.

        Counted at the releases' proportions: tests/nodes/models/test_working_bytes.py
        """
        modulation = 12 * self.double_blocks + 3 * self.single_blocks + 2
        return batch * self.width * itemsize * (23 * tokens + modulation * levels)

    @property
    def wants_picture(self) -> bool:
        """Whether its input holds a picture beside the latent, as Fill's and Control's does."""
        return self.in_channels != self.out_channels

    @classmethod
    def schnell(cls) -> Config:
        return cls(guidance=False)

    @classmethod
    def dev(cls) -> Config:
        return cls()

    @classmethod
    def tiny(cls, **changes: object) -> Config:
        """Small enough for a test, nothing left out: two blocks of each kind, uneven axes."""
        small = cls(
            width=64, heads=2, double_blocks=2, single_blocks=2, text_width=48, pooled_width=32, axes=(8, 12, 12)
        )
        return replace(small, **changes)  # type: ignore[arg-type]
