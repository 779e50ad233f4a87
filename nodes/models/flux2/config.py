"""The sizes of a Flux.2 transformer. Knows no file and no tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace

from graph_runtime.problem import Problem, Refused


@dataclass(frozen=True, slots=True)
class Config:
    """The defaults are FLUX.2-dev; the klein models are smaller and have no `guidance`.

    in_channels     features of an image token: one cell of a latent, which the autoencoder has made of 2 × 2 of its own
    text_width      width of the text features: three layers of the text encoder side by side
    axes            head features turned by each position axis (picture, row, column, word); their sum is width / heads
    mlp             inner width of the gated feed-forward networks
    """

    in_channels: int = 128
    out_channels: int = 128
    width: int = 6144
    heads: int = 48
    double_blocks: int = 8
    single_blocks: int = 48
    text_width: int = 15360
    axes: tuple[int, ...] = (32, 32, 32, 32)
    theta: int = 2000
    guidance: bool = True
    mlp: int = 18432

    def __post_init__(self) -> None:
        problems = []
        if self.heads < 1 or self.width % self.heads:
            problems.append(f"width {self.width} does not divide into {self.heads} heads")
        elif sum(self.axes) != self.width // self.heads:
            problems.append(f"axes {self.axes} sum to {sum(self.axes)}, a head has {self.width // self.heads} features")
        if len(self.axes) != 4 or any(width % 2 for width in self.axes):
            problems.append(f"axes {self.axes} must be four even numbers")
        if self.in_channels != self.out_channels:
            problems.append(f"its input has {self.in_channels} features and its output {self.out_channels}")
        if self.text_width % 3:
            problems.append(f"{self.text_width} text features are not three layers side by side")
        if problems:
            fix = "Take the numbers from the model's own config.json."
            raise Refused(Problem("bad-config", "flux2 config", f"{what}.", fix) for what in problems)

    @property
    def latent_channels(self) -> int:
        """Channels of the latent that is sampled: 128 in every release."""
        return self.out_channels

    def step_bytes(self, batch: int, tokens: int, levels: int, itemsize: int, kept: int = 0) -> int:
        """What painting takes beside the weights, at the most: 25 numbers as wide as the model for each token of a
        step, what modulates the blocks at each level, and keys and values of `kept` reference tokens in
        every block and once more beside a block's own.

        Counted at the releases' proportions: tests/nodes/models/test_working_bytes.py
        """
        beside = 15 * levels + (2 * (self.double_blocks + self.single_blocks) + 4) * kept
        return batch * self.width * itemsize * (25 * tokens + beside)

    @property
    def wants_picture(self) -> bool:
        """Whether its input holds a picture beside the latent: never, pictures come as tokens of their own."""
        return False

    @classmethod
    def dev(cls) -> Config:
        return cls()

    @classmethod
    def klein_4b(cls) -> Config:
        return cls(width=3072, heads=24, double_blocks=5, single_blocks=20, text_width=7680, guidance=False, mlp=9216)

    @classmethod
    def klein_9b(cls) -> Config:
        return cls(width=4096, heads=32, double_blocks=8, single_blocks=24, text_width=12288, guidance=False, mlp=12288)

    @classmethod
    def tiny(cls, **changes: object) -> Config:
        """Small enough for a test, nothing left out: two blocks of each kind."""
        small = cls(width=64, heads=2, double_blocks=2, single_blocks=2, text_width=48, axes=(8, 8, 8, 8), mlp=192)
        return replace(small, **changes)  # type: ignore[arg-type]
