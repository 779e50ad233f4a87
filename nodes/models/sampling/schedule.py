"""Which noise levels to visit: spacing from 1 towards 0, then a shift to where a model needs more steps.

Knows neither models nor solvers; a family's defaults say which Schedule is its own. Everything is computed in float32
and in diffusers' order, so that tables are equal to the last bit: a model multiplies σ by 1000 inside a sine, and a σ
that is off by 6e-8 moved a tiny model's latent by 2e-5.
Esser et al. 2024, arXiv:2403.03206 §5.3.2 (shift by resolution); the options are those that diffusers documents for
FlowMatchEulerDiscreteScheduler and can stand in a model's scheduler_config.json.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from graph_runtime.problem import Problem, Refused

Numbers = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How σ is shifted, and how it is spaced.

    shift       σ' = s·σ / (1 + (s − 1)·σ); 1 leaves it alone. Not used while `dynamic`
    dynamic     shift by resolution instead: mu on the line through (base_tokens, base_shift), (max_tokens, max_shift),
                not clamped outside it;  σ' = e^mu / (e^mu + 1/σ − 1)
    empirical   mu from tokens and steps by Flux.2's formula (`empirical_mu`) instead of from the line; needs `dynamic`
    time_shift  "linear" puts mu in the place of e^mu
    terminal    stretch so that the last σ before 0 is this one
    spacing     a name in SPACINGS: how the shifted interval is divided
    """

    shift: float = 1.0
    dynamic: bool = False
    empirical: bool = False
    base_shift: float = 0.5
    max_shift: float = 1.15
    base_tokens: int = 256
    max_tokens: int = 4096
    time_shift: Literal["exponential", "linear"] = "exponential"
    terminal: float | None = None
    spacing: str = "simple"
    invert: bool = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any], spacing: str = "simple") -> Schedule:
        """From the fields of a scheduler_config.json; absent ones take diffusers' defaults.

        `spacing` is what the family's pipeline asks of its scheduler where the config does not say.
        """
        names = ("karras", "exponential", "beta")
        chosen = [name for name in names if config.get(f"use_{name}_sigmas")]
        return cls(
            shift=float(config.get("shift", 1.0)),
            dynamic=bool(config.get("use_dynamic_shifting", False)),
            base_shift=float(config.get("base_shift") or 0.5),
            max_shift=float(config.get("max_shift") or 1.15),
            base_tokens=int(config.get("base_image_seq_len", 256)),
            max_tokens=int(config.get("max_image_seq_len", 4096)),
            time_shift=config.get("time_shift_type", "exponential"),
            terminal=config.get("shift_terminal"),
            spacing=chosen[0] if chosen else spacing,
            invert=bool(config.get("invert_sigmas", False)),
        )

    @property
    def lowest(self) -> float:
        """The smallest of the thousand levels of training, as diffusers keeps it: shifted, unless dynamic."""
        least = np.array([1], np.float32) / 1000
        return float((least if self.dynamic else self.shifted(least, 0))[0])

    def mu(self, tokens: int, steps: int = 0) -> float:
        """Shift exponent for an image of so many tokens; `steps` is read while `empirical`."""
        if self.empirical:
            return empirical_mu(tokens, steps)
        slope = (self.max_shift - self.base_shift) / (self.max_tokens - self.base_tokens)
        return tokens * slope + (self.base_shift - slope * self.base_tokens)

    def shifted(self, sigmas: Numbers, tokens: int, steps: int = 0) -> Numbers:
        """The shift alone, elementwise, for σ in (0, 1]; as for a run of so many steps, where that counts."""
        if not self.dynamic:
            return self.shift * sigmas / (1 + (self.shift - 1) * sigmas)
        mu = self.mu(tokens, steps or len(sigmas))
        weight = math.exp(mu) if self.time_shift == "exponential" else mu
        return weight / (weight + (1 / sigmas - 1))

    def sigmas(self, steps: int | Sequence[float], tokens: int, counted: int = 0) -> list[float]:
        """The noise levels of a run, ending with 0: steps + 1 numbers.

        steps    how many, or the unshifted levels themselves (1 first, without the 0), which are shifted the same way
        tokens   image tokens (h/2 · w/2 where a token is 2 × 2 cells); only read while `dynamic`
        counted  how many steps the shift is for, when levels are given; 0 is as many as there are levels. Only read
                 while `empirical`

        Refused: no steps, or levels that do not fall from at most 1 to above 0.
        """
        spacing = SPACINGS.get(self.spacing)
        if spacing is None:
            raise _refused(f"the spacing {self.spacing!r} is unknown.", f"Use one of {', '.join(SPACINGS)}.")
        if isinstance(steps, int) and steps > 0:
            levels = spacing.raw(steps, self.lowest)
        else:
            levels = np.atleast_1d(np.asarray(steps, np.float32))
        if not len(levels) or not 0 < levels[-1] <= levels[0] <= 1 or (np.diff(levels) >= 0).any():
            what = f"{steps!r} is neither a number of steps nor levels that fall from 1 towards 0."
            raise _refused(what, "Give one step or more, or falling numbers in (0, 1].")
        levels = self.shifted(levels, tokens, 0 if isinstance(steps, int) else counted)
        if self.terminal:
            levels = 1 - (1 - levels) / ((1 - levels[-1]) / (1 - self.terminal))
        levels = spacing.respaced(levels).astype(np.float32)
        return [*(1 - levels).tolist(), 1.0] if self.invert else [*levels.tolist(), 0.0]


def empirical_mu(tokens: int, steps: int) -> float:
    """Shift exponent that Flux.2 was found to be best with, by image tokens and steps.

    Up to 4300 tokens: on the line through the values for 10 and 200 steps, each linear in the tokens. Beyond: that for
    200 steps alone, so that mu jumps there (50 steps: from 2.04 to 1.18). black-forest-labs/flux2 `sampling.py`.
    """
    many = 0.00016927 * tokens + 0.45666666
    if tokens > 4300:
        return many
    few = 8.73809524e-05 * tokens + 1.89833333
    slope = (many - few) / 190.0
    return slope * steps + (many - 200.0 * slope)


@dataclass(frozen=True, slots=True)
class Spacing:
    """How an interval is divided: `raw` before the shift (n numbers from 1 down), `respaced` after it.

    `raw` is also told the smallest level of training.
    """

    title: str
    raw: Callable[[int, float], Numbers]
    respaced: Callable[[Numbers], Numbers]


def last_steps(sigmas: list[float], strength: float) -> list[float]:
    """The end of a schedule that changes a picture by `strength` (0…1): its last n − int(max(n − n·s, 0)) steps.

    diffusers' FluxImg2ImgPipeline.get_timesteps. Refused when no step is left.
    """
    n = len(sigmas) - 1
    start = int(max(n - min(n * strength, n), 0))
    if start >= n:
        raise _refused(f"strength {strength:g} leaves none of the {n} steps.", "Raise the strength or the steps.")
    return sigmas[start:]


def _refused(what: str, fix: str) -> Refused:
    return Refused(Problem("bad-schedule", "sigmas", what, fix))


def _even(n: int, lowest: float) -> Numbers:
    """1, 1 − 1/n, … 1/n: equal steps down to 0."""
    return np.linspace(1.0, 1 / n, n).astype(np.float32)


def _to_lowest(n: int, lowest: float) -> Numbers:
    """1 … the smallest level of training in equal steps, before the shift: so that one is shifted twice.

    What diffusers' scheduler does, in float64, when it is asked for a number of steps; and ComfyUI's "normal".
    """
    return np.linspace(1000.0, lowest * 1000, n) / 1000


def _sigmoid(n: int, lowest: float) -> Numbers:
    """1 … towards 0 along a logistic curve: small steps at both ends, as Lumina-Next's paper proposes.

    Ours: arXiv:2406.18583 names the curve and no released code has it. It is steep enough for steps in the middle that
    are four times those at the ends.
    """
    steep = 2.634  # the slope of 1 / (1 + e⁻ˣ) is 1/4 at 0 and 1/16 here
    curve = 1 / (1 + np.exp(-steep * (1 - 2 * np.arange(n) / n)))
    low, high = 1 / (1 + math.exp(steep)), 1 / (1 + math.exp(-steep))
    return ((curve - low) / (high - low)).astype(np.float32)


def _karras(levels: Numbers) -> Numbers:
    """Equal steps in σ^(1/7). Karras et al. 2022, arXiv:2206.00364 (5)."""
    top, bottom = float(levels[0]) ** (1 / 7), float(levels[-1]) ** (1 / 7)
    return np.asarray((top + np.linspace(0, 1, len(levels)) * (bottom - top)) ** 7)


def _exponential(levels: Numbers) -> Numbers:
    """Equal steps in ln σ."""
    return np.exp(np.linspace(math.log(float(levels[0])), math.log(float(levels[-1])), len(levels)))


def _beta(levels: Numbers) -> Numbers:
    """Quantiles of Beta(0.6, 0.6): many steps at both ends. Lee et al. 2024, arXiv:2407.12173."""
    low, high = float(levels[-1]), float(levels[0])
    return np.array([low + (high - low) * beta_quantile(1 - p, 0.6) for p in np.linspace(0, 1, len(levels))])


def beta_quantile(p: float, a: float) -> float:
    """x with P(X ≤ x) = p for X ~ Beta(a, a), by bisection; good to 1e-12."""
    if p > 0.5:  # the distribution is symmetric
        return 1 - beta_quantile(1 - p, a)
    low, high = 0.0, 0.5
    for _ in range(60):
        x = (low + high) / 2
        low, high = (x, high) if _beta_below(x, a) < p else (low, x)
    return (low + high) / 2


def _beta_below(x: float, a: float) -> float:
    """P(X ≤ x) for X ~ Beta(a, a), x ≤ 1/2: the power series of the incomplete beta function, DLMF 8.17.8."""
    if x == 0:
        return 0.0
    term, total = 1.0, 1.0
    for n in range(200):
        term *= x * (2 * a + n) / (a + 1 + n)
        total += term
        if term < 1e-17 * total:
            break
    scale = math.exp(math.lgamma(2 * a) - 2 * math.lgamma(a) + a * math.log(x) + a * math.log1p(-x))
    return scale * total / a


def _same(levels: Numbers) -> Numbers:
    return levels


SPACINGS: dict[str, Spacing] = {
    "simple": Spacing("Simple", _even, _same),
    "normal": Spacing("Normal", _to_lowest, _same),
    "sigmoid": Spacing("Sigmoid", _sigmoid, _same),
    "karras": Spacing("Karras", _even, _karras),
    "exponential": Spacing("Exponential", _even, _exponential),
    "beta": Spacing("Beta", _even, _beta),
}
