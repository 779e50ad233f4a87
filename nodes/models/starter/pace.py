"""A clock for training that has to end at a given minute: how far it is, and the learning rate that goes with it."""

from __future__ import annotations

import math
import time


class Pace:
    """Counts wall-clock time; `spent` is what an earlier, interrupted run has already used."""

    def __init__(self, minutes: float, spent: float = 0.0) -> None:
        self.total = minutes * 60
        self.begin = time.time() - spent

    @property
    def seconds(self) -> float:
        return time.time() - self.begin

    @property
    def part(self) -> float:
        """0 at the start, 1 at the end."""
        return min(1.0, self.seconds / max(self.total, 1e-9))

    @property
    def over(self) -> bool:
        return self.seconds >= self.total

    def rate(self, warmup: float, floor: float, flat: float = 0.0) -> float:
        """Linear rise over `warmup`, full until `flat`, then a half cosine down to `floor`; all parts of the whole."""
        if self.part < warmup:
            return max(self.part / warmup, 0.02)
        x = max(0.0, (self.part - max(flat, warmup)) / (1 - max(flat, warmup)))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * x))
