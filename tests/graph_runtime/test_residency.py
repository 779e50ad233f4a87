"""Planning memory needs no GPU: a device that only counts bytes, and models that are plain bytearrays."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_runtime.context import Footprint, Plan
from graph_runtime.problem import Refused
from graph_runtime.residency import Residency, is_out_of_memory, size


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


@dataclass
class NullDevice:
    """Bytes of each memory, and what is taken of them. Raises as a real device does when one is full."""

    capacity: dict[str, int]
    taken: dict[str, int] = field(default_factory=lambda: {"gpu": 0, "cpu": 0})
    most: int = 0

    def take(self, memory: str, count: int) -> None:
        if self.taken[memory] + count > self.capacity.get(memory, 1 << 60):
            raise OutOfMemoryError(f"Tried to allocate {count} bytes.\nMore text.")
        self.taken[memory] += count
        self.most = max(self.most, self.taken["gpu"])

    def give(self, memory: str, count: int) -> None:
        self.taken[memory] -= count
        assert self.taken[memory] >= 0


class Weights:
    """A loaded model."""

    def __init__(self, recipe: Bytes, device: str, plan: Plan) -> None:
        self.recipe, self.plan, self.where = recipe, plan, device
        self.closed = False
        recipe.device.take(device, plan.device)
        recipe.device.take("cpu", plan.host)
        self.value = bytearray(recipe.title.encode())

    @property
    def nbytes(self) -> int:
        return 0 if self.closed else self.plan.device

    def takes(self, where: str) -> dict[str, int]:
        """Bytes of each memory when it is there."""
        return {where: self.plan.device, "cpu": self.plan.host} if where != "cpu" else {"cpu": self.recipe.count}

    def move(self, device: str) -> None:
        for memory, count in self.takes(device).items():
            self.recipe.device.take(memory, count)
        for memory, count in self.takes(self.where).items():
            self.recipe.device.give(memory, count)
        self.where = device

    def close(self) -> None:
        assert not self.closed, "closed twice"
        for memory, count in self.takes(self.where).items():
            self.recipe.device.give(memory, count)
        self.closed = True


@dataclass(frozen=True)
class Bytes:
    """How to make `count` bytes."""

    title: str
    count: int
    device: NullDevice
    loads: list[str] = field(default_factory=list)

    def key(self) -> str:
        return self.title

    def nbytes(self) -> int:
        return self.count

    def load(self, device: str, plan: Plan) -> Weights:
        self.loads.append(plan.name)
        return Weights(self, device, plan)


@dataclass(frozen=True)
class Parts(Bytes):
    """The same, of which a tenth is always needed and the rest is in thirty blocks."""

    def footprint(self) -> Footprint:
        each = (self.count - self.count // 10) // 30
        return Footprint(self.count - 30 * each, blocks=(each,) * 30)


def on_gpu(gpu: int, host: int, real: int | None = None) -> tuple[Residency, NullDevice]:
    return Residency("gpu", gpu, host), NullDevice({"gpu": real if real is not None else gpu})


def titles(residency: Residency, memory: str = "device_bytes") -> set[str]:
    return {model["title"].partition(" (")[0] for model in residency.report()["models"] if model[memory]}


def use(residency: Residency, *recipes: Bytes) -> None:
    for recipe in recipes:
        with residency.use(recipe) as value:
            assert value == recipe.title.encode()


def test_a_model_is_loaded_once_however_often_it_is_used() -> None:
    residency, device = on_gpu(100, 0)
    model = Bytes("a", 60, device)
    use(residency, model, model)
    with residency.use(model), residency.use(model):
        pass
    assert model.loads == ["resident"]


def test_the_one_used_longest_ago_leaves_first() -> None:
    residency, device = on_gpu(100, 0)
    a, b, c = (Bytes(name, 40, device) for name in "abc")
    use(residency, a, b, a, c)
    assert titles(residency) == {"a", "c"}


def test_a_model_in_use_never_leaves() -> None:
    residency, device = on_gpu(100, 0)
    a, b, c = (Bytes(name, 40, device) for name in "abc")
    with residency.use(a) as value:
        use(residency, b, c)
        assert titles(residency) == {"a", "c"}
        assert value == b"a"


def test_what_leaves_the_gpu_waits_in_host_memory_and_returns_without_loading() -> None:
    residency, device = on_gpu(100, 160)
    a, b = Bytes("a", 80, device), Bytes("b", 80, device)
    use(residency, a, b)
    assert (titles(residency), titles(residency, "host_bytes")) == ({"b"}, {"a"})
    use(residency, a)
    assert (titles(residency), titles(residency, "host_bytes")) == ({"a"}, {"b"})
    assert a.loads == b.loads == ["resident"]
    assert device.taken == {"gpu": 80, "cpu": 80}


def test_host_memory_has_its_budget_too_and_its_oldest_leaves_for_good() -> None:
    residency, device = on_gpu(50, 100)
    models = [Bytes(name, 50, device) for name in "abcd"]
    use(residency, *models)
    assert titles(residency, "host_bytes") == {"b", "c"}
    assert device.taken == {"gpu": 50, "cpu": 100}


def test_a_model_larger_than_the_device_has_its_blocks_elsewhere_at_once() -> None:
    residency, device = on_gpu(100, 1000)
    model = Parts("huge", 450, device)
    use(residency, model)
    (held,) = residency.report()["models"]
    assert model.loads == ["prefetch"] and held["plan"] == "prefetch"
    assert held["device_bytes"] == 60 + 3 * 13, "beside the ring there was room for none"
    with pytest.raises(Refused, match=r"at least 1\.1 kB under the plan prefetch"):
        use(residency, Parts("too much", 6000, device))


def test_a_plan_leaves_the_room_that_is_worked_with() -> None:
    residency, device = on_gpu(100, 1000)
    model, other = Parts("model", 60, device), Bytes("other", 30, device)
    use(residency, other)
    with residency.use(model, 35):
        assert (titles(residency), model.loads) == ({"model"}, ["resident"]), "the other one made room"
    with residency.use(model, 60):
        assert model.loads == ["resident", "prefetch"] and device.taken["gpu"] <= 40, "loaded again, to leave more"
    with residency.use(model, 10), residency.use(model, 60):
        assert len(model.loads) == 2, "what leaves enough stays"
    with residency.use(model, 95):
        assert device.taken["gpu"] == 30 + 3 * 1, "no plan leaves so much: the one that takes least"
    whole = Bytes("whole", 90, device)
    with residency.use(whole, 50):
        assert whole.loads == ["resident"], "it has no other plan"


def test_memory_beyond_the_budget_is_worked_with_first() -> None:
    residency, device = Residency("gpu", 100, 1000, spare=50), NullDevice({"gpu": 100})
    model = Parts("model", 90, device)
    with residency.use(model, 60):
        assert model.loads == ["resident"]
    with residency.use(model, 70):
        assert model.loads == ["resident", "prefetch"]


def test_models_of_one_file_are_told_apart() -> None:
    class Vae(Bytes):
        def key(self) -> str:
            return f"vae {self.title}"

    residency, device = on_gpu(100, 0)
    with residency.use(Vae("flux", 10, device)), pytest.raises(Refused, match=r"flux \(VAE\) 10 B in use") as refused:
        use(residency, Bytes("flux", 500, device))
    assert refused.value.problems[0].place == "flux (BYTES)"
    assert [one["title"] for one in residency.report()["models"]] == ["flux (VAE)"]


def test_out_of_memory_while_loading_empties_the_device_and_tries_the_next_plan() -> None:
    residency, device = on_gpu(100, 1000, real=70)  # somebody else holds 30
    a, b = Bytes("a", 40, device), Parts("b", 40, device)
    use(residency, a, b)
    assert b.loads == ["resident", "prefetch"]
    assert titles(residency) == {"b"}
    use(residency, a)
    assert a.loads == ["resident", "resident"], "what was evicted begins again with the best plan"


def test_when_the_last_plan_fails_as_well_the_problem_has_the_numbers() -> None:
    residency, device = on_gpu(6_000_000_000, 10**12, real=4_010_000_000)
    small, large = Bytes("VAE", 4_000_000_000, device), Parts("Flux", 1_900_000_000, device)
    with residency.use(small), pytest.raises(Refused) as refused, residency.use(large):
        pass
    (problem,) = refused.value.problems
    assert (problem.code, problem.place) == ("out-of-memory", "Flux (PARTS)")
    for number in ("needs 1.9 GB", "2.0 GB of 6.0 GB for models are free", "VAE (BYTES) 4.0 GB in use"):
        assert number in problem.what
    assert "gpu_memory" in problem.fix
    assert large.loads == ["resident", "prefetch"], "retried once, not more"


def test_on_the_cpu_there_is_one_memory_and_what_leaves_is_gone() -> None:
    device = NullDevice({"cpu": 1000})
    residency = Residency("cpu", 0, 100)
    a, b = Bytes("a", 60, device), Bytes("b", 60, device)
    use(residency, a, b)
    assert device.taken["cpu"] == 60
    with pytest.raises(Refused, match="needs 200 B; 40 B of 100 B for models are free on cpu"):
        use(residency, Bytes("c", 200, device))


def test_out_of_memory_in_a_step_is_worth_one_more_try_under_the_next_plan() -> None:
    residency, device = on_gpu(100, 1000)
    idle, model = Bytes("idle", 10, device), Parts("model", 60, device)
    use(residency, idle)
    tries = 0

    def step() -> None:
        nonlocal tries
        tries += 1
        with residency.use(model):
            device.take("gpu", 60)
            device.give("gpu", 60)

    with pytest.raises(OutOfMemoryError) as first:
        step()
    assert residency.recover(first.value)
    step()
    assert (tries, model.loads) == (2, ["resident", "prefetch"])
    assert titles(residency) == {"model"}
    with pytest.raises(OutOfMemoryError) as second, residency.use(model):
        device.take("gpu", 1000)
    assert residency.recover(second.value), "the model itself is idle now and may leave"
    assert not residency.recover(second.value), "nothing is left that could"
    assert not residency.recover(ValueError("no memory error"))
    problem = residency.explain(second.value, "sample")
    assert "held by model (PARTS) 33 B in use" in problem.what, "the numbers are of when it happened"
    assert problem.place == "sample" and "Tried to allocate 1000 bytes" in problem.what and "More" not in problem.what


def test_an_error_while_loading_leaves_nothing_behind() -> None:
    class Broken(Bytes):
        def load(self, device: str, plan: Plan) -> Weights:
            raise KeyError("a tensor is missing")

    residency, device = on_gpu(100, 100)
    with pytest.raises(KeyError), residency.use(Broken("broken", 10, device)):
        pass
    assert residency.report()["models"] == []


def test_threads_may_use_models_at_the_same_time() -> None:
    residency, device = on_gpu(100, 100)
    models = [Bytes(name, 30, device) for name in "abcde"]
    failures: list[BaseException] = []

    def work(offset: int) -> None:
        try:
            for turn in range(60):
                use(residency, models[(turn * 7 + offset) % 5])
        except BaseException as error:  # pragma: no cover - what the test looks for
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert device.most <= 100
    residency.evict()
    assert device.taken == {"gpu": 0, "cpu": 0}


@settings(max_examples=150, deadline=None)
@given(
    gpu=st.integers(10, 100),
    host=st.integers(0, 100),
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    turns=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30),
)
def test_whatever_is_used_in_whatever_order_budgets_hold_and_users_keep_their_model(
    gpu: int, host: int, counts: list[int], turns: list[tuple[int, bool]]
) -> None:
    residency, device = on_gpu(gpu, host)
    models = [Bytes(str(index), count, device) for index, count in enumerate(counts)]
    with ExitStack() as held:
        in_use: set[str] = set()
        for index, keep in turns:
            model = models[index % len(models)]
            try:
                if keep:
                    held.enter_context(residency.use(model))
                    in_use.add(model.title)
                else:
                    use(residency, model)
            except Refused:
                pass
            report = residency.report()
            assert device.taken["gpu"] == report["device_bytes"] <= gpu
            assert device.taken["cpu"] <= host
            assert in_use == {one["title"].partition(" (")[0] for one in report["models"] if one["in_use"]}
    residency.evict()
    assert device.taken == {"gpu": 0, "cpu": 0}


def test_out_of_memory_is_known_by_any_librarys_name_for_it() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(OutOfMemoryError())
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))


def test_sizes_are_said_as_people_say_them() -> None:
    assert [size(n) for n in (0, 999, 1500, 6 * 10**9)] == ["0 B", "999 B", "1.5 kB", "6.0 GB"]
