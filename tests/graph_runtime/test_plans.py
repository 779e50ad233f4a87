"""A choice by bytes: properties over any model and any budget."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from graph_runtime.context import Footprint, Plan
from graph_runtime.plans import AHEAD, NAMES, choose, least, plans, smaller, spread

FLUX1 = Footprint(  # in MB, bfloat16, as the published file is
    always=600, early=6500, leaf=113, blocks=(*[453] * 19, *[283] * 38)
)

footprints = st.builds(
    Footprint,
    always=st.integers(0, 300),
    early=st.integers(0, 300),
    leaf=st.integers(0, 60),
    blocks=st.lists(st.integers(1, 50), max_size=12).map(tuple),
)
budgets = st.integers(0, 1200)


def order(parts: Footprint, one_memory: bool, plan: Plan | None) -> int:
    every = list(plans(parts, one_memory))
    return every.index(plan) if plan else len(every)


@settings(max_examples=120, deadline=None)
@given(parts=footprints, device=budgets, host=budgets, one=st.booleans(), more=st.integers(0, 200))
def test_more_memory_never_means_a_worse_plan(parts: Footprint, device: int, host: int, one: bool, more: int) -> None:
    now = order(parts, one, choose(parts, device, host, one))
    assert order(parts, one, choose(parts, device + more, host, one)) <= now
    assert order(parts, one, choose(parts, device, host + more, one)) <= now


@settings(max_examples=120, deadline=None)
@given(parts=footprints, device=budgets, host=budgets, one=st.booleans())
def test_a_plan_never_exceeds_the_budget_and_one_is_found_if_any_fits(
    parts: Footprint, device: int, host: int, one: bool
) -> None:
    plan = choose(parts, device, host, one)
    fitting = [each for each in plans(parts, one) if each.device <= device and each.host <= host]
    assert (plan is None) == (not fitting)
    assert plan is None or plan == fitting[0]
    assert least(parts, one).device <= min(each.device for each in plans(parts, one))


@settings(max_examples=100, deadline=None)
@given(parts=footprints, one=st.booleans())
def test_every_byte_is_somewhere(parts: Footprint, one: bool) -> None:
    for plan in plans(parts, one):
        assert plan.name in NAMES and len(set(plan.away)) == len(plan.away)
        away = [parts.blocks[number] for number in plan.away]
        ring = (AHEAD + 1) * max(away, default=0)
        early = 0 if plan.early == "device" else parts.early - parts.leaf
        assert plan.device == parts.total - early - sum(away) + ring
        assert not one or plan.host == 0, "there is no host beside the CPU"
        if plan.blocks == "host":
            assert plan.host == parts.early + sum(away)


@settings(max_examples=100, deadline=None)
@given(parts=footprints, one=st.booleans(), data=st.data())
def test_after_memory_ran_out_a_plan_takes_less_and_at_last_there_is_none(
    parts: Footprint, one: bool, data: st.DataObject
) -> None:
    plan: Plan | None = data.draw(st.sampled_from(list(plans(parts, one))))
    for _ in range(20):
        assert plan is not None
        before, plan = plan, choose(parts, 10**6, 10**6, one, after=plan)
        if plan is None:
            assert smaller(parts, one, before) == []
            return
        assert plan.device < before.device or plan.host < before.host
    raise AssertionError("it goes on for ever")


def test_what_flux_gets_on_cards_that_people_have() -> None:
    def name(device: int, host: int = 32_000) -> str:
        plan = choose(FLUX1, device, host)
        return f"{plan.name} {len(plan.away)}" if plan else "none"

    assert name(27_000) == "resident 0"
    assert name(22_000) == "lean 0", "a 24 GB card holds it without the weights of modulation"
    assert name(14_000).startswith("prefetch") and 10 < int(name(14_000).split()[1]) < 40
    assert name(14_000, 4_000).startswith("disk")
    assert name(2_200) == "prefetch 57"
    assert name(1_500) == "none"


def test_blocks_that_are_away_lie_apart() -> None:
    assert spread(12, 4) == (0, 3, 6, 9)
    assert spread(5, 5) == (0, 1, 2, 3, 4)
