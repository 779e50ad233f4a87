from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from graph_runtime.events import Failed, Finished, Progress, Reused, Started
from graph_runtime.problem import Problem, Refused
from graph_runtime.run_queue import Claim, RunQueue
from graph_runtime.store import Limits, Store

FREE = Limits(ballast_bytes=0, reserve_bytes=0)
MEMORY = Path("/dev/shm")


def graph(n: int = 0) -> dict[str, Any]:
    return {"steps": {"a": {"kind": "core/number", "inputs": {"value": n}}}, "targets": ["a"]}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, limits=FREE)
    yield store
    store.close()


@pytest.fixture
def runs(store: Store) -> RunQueue:
    return RunQueue(store)


def submit(runs: RunQueue, n: int = 0, **more: Any) -> str:
    return runs.submit(graph(n), **more).result().id


def claim(runs: RunQueue) -> Claim:
    found = runs.claim("gpu0").result()
    assert found is not None
    return found


def code(refusal: pytest.ExceptionInfo[Refused]) -> str:
    return refusal.value.problems[0].code


# ── one rule each ──


def test_what_was_submitted_is_what_a_worker_gets(runs: RunQueue) -> None:
    document = {"format": "latentloom", "note": "ü"}
    id = submit(runs, 7, meta={"client": "x"})
    other = runs.submit(graph(8), document).result()
    first, second = claim(runs), claim(runs)
    assert (first.run.id, first.attempt, first.graph, first.document) == (id, 1, graph(7), None)
    assert (second.run.id, second.document) == (other.id, document)
    assert first.run.meta == {"client": "x"}
    assert runs.claim("gpu0").result() is None


def test_the_same_key_is_the_same_run_for_its_user_only(runs: RunQueue) -> None:
    first = runs.submit(graph(), user="ann", key="k").result()
    again = runs.submit(graph(), user="ann", key="k").result()
    assert (again.id, first.again, again.again) == (first.id, False, True)
    assert submit(runs, user="bob", key="k") != first.id
    with pytest.raises(Refused) as refusal:
        submit(runs, 1, user="ann", key="k")
    assert code(refusal) == "key-reused"
    assert len(runs.store.runs.page().runs) == 2


def test_a_report_of_an_attempt_that_is_over_changes_nothing(runs: RunQueue) -> None:
    id = submit(runs)
    old = claim(runs)
    runs.crash(id, old.attempt, step="a").result()
    new = claim(runs)
    assert new.attempt == 2
    assert not runs.finish(id, old.attempt, "failed").result()
    assert not runs.record(id, old.attempt, [Started(id, "a")]).result()
    assert not runs.put_back(id, old.attempt).result()
    assert runs.crash(id, old.attempt).result() is None
    assert runs.finish(id, new.attempt, "succeeded", result={"a": 1}).result()
    assert not runs.finish(id, new.attempt, "failed").result()
    assert runs.store.runs.get(id).result == {"a": 1}


def test_a_run_that_kills_the_worker_twice_fails_with_the_nodes_name(runs: RunQueue) -> None:
    id = submit(runs)
    other = submit(runs)
    first = claim(runs)
    runs.record(id, 1, [Started(id, "mix")]).result()
    after = runs.crash(id, first.attempt, kind="blur/strong", detail={"signal": 11, "log": ["x"]}).result()
    assert after is not None and (after.status, after.crashes, after.last_step) == ("queued", 1, "mix")
    assert [one.run for one in runs.positions()] == [other, id], "it waits at the back"
    assert claim(runs).run.id == other
    runs.crash(id, claim(runs).attempt, step="mix", kind="blur/strong").result()
    over = runs.store.runs.get(id)
    assert (over.status, over.crashes) == ("failed", 2)
    assert over.problems[0].what == "the node mix (pack blur) killed the worker twice."
    assert [(one["attempt"], one["detail"]) for one in runs.store.runs.crashes(id)] == [
        (1, {"signal": 11, "log": ["x"]}),
        (2, {}),
    ]


def test_a_step_that_must_not_be_repeated_is_not(runs: RunQueue) -> None:
    id = submit(runs)
    after = runs.crash(id, claim(runs).attempt, step="send", again=False).result()
    assert after is not None and after.status == "failed"
    assert "send" in after.problems[0].what


def test_the_back_of_the_queue_is_behind_those_of_less_priority(runs: RunQueue) -> None:
    high, low = submit(runs, priority=5), submit(runs, priority=-5)
    runs.crash(high, claim(runs).attempt).result()
    assert [one.run for one in runs.positions()] == [low, high]


def test_cancelling_a_run_that_waits_ends_it_and_one_that_runs_is_asked(runs: RunQueue) -> None:
    waits, works = submit(runs, 1), submit(runs, 2, priority=1)
    held = claim(runs)
    assert held.run.id == works
    assert runs.cancel(waits).result().status == "cancelled"
    asked = runs.cancel(works).result()
    assert (asked.status, asked.cancelling) == ("running", True)
    assert runs.cancel(works).result() == asked, "twice is once"
    assert runs.finish(works, held.attempt, "cancelled").result()
    assert runs.cancel(works).result().status == "cancelled"
    with pytest.raises(Refused) as refusal:
        runs.cancel("nobody").result()
    assert code(refusal) == "unknown-run"


def test_a_worker_that_dies_while_its_run_is_cancelled_ends_it(runs: RunQueue) -> None:
    id = submit(runs)
    held = claim(runs)
    runs.cancel(id).result()
    after = runs.crash(id, held.attempt).result()
    assert after is not None and after.status == "cancelled"


def test_users_take_turns_and_priority_comes_first(runs: RunQueue) -> None:
    ann = [submit(runs, user="ann") for _ in range(3)]
    bob = [submit(runs, user="bob") for _ in range(2)]
    urgent = submit(runs, user="ann", priority=1)
    expected = [urgent, bob[0], ann[0], bob[1], ann[1], ann[2]]
    assert [one.run for one in runs.positions()] == expected
    assert [claim(runs).run.id for _ in expected] == expected


def test_moving_and_reordering(runs: RunQueue) -> None:
    a, b, c, d = (submit(runs, n) for n in range(4))
    runs.move_to_front(c).result()
    assert [one.run for one in runs.positions()] == [c, a, b, d]
    runs.reorder([d, b, a]).result()
    assert [one.run for one in runs.positions()] == [c, d, b, a]
    runs.move_to_back(c).result()
    assert [one.run for one in runs.positions()] == [d, b, a, c]
    held = claim(runs).run.id
    for wrong in ([a, held], [a, "nobody"], [a, a]):
        with pytest.raises(Refused) as refusal:
            runs.reorder(wrong).result()
        assert code(refusal) == "not-waiting"
    with pytest.raises(Refused):
        runs.move_to_front(held).result()
    assert [one.run for one in runs.positions()] == [b, a, c]
    assert submit(runs, front=True) == runs.positions()[0].run


def test_positions_say_when_as_far_as_earlier_runs_tell(tmp_path: Path) -> None:
    now = [1000.0]
    store = Store(tmp_path, limits=FREE, clock=lambda: now[0])
    runs = RunQueue(store)
    first = submit(runs)
    assert [one.starts_in for one in runs.positions()] == [0.0]
    held = claim(runs)
    submit(runs)
    assert [one.starts_in for one in runs.positions()] == [None]
    now[0] += 10
    runs.finish(first, held.attempt, "succeeded").result()
    claim(runs)
    now[0] += 4
    submit(runs), submit(runs)
    assert [one.starts_in for one in runs.positions()] == [6.0, 16.0]
    assert [one.starts_in for one in runs.positions(workers=2)] == [0.0, 6.0]
    store.close()


def test_a_paused_queue_starts_nothing_and_remembers_it(tmp_path: Path) -> None:
    store = Store(tmp_path, limits=FREE)
    runs = RunQueue(store)
    submit(runs)
    runs.pause().result()
    assert (runs.claim("gpu0").result(), runs.paused()) == (None, ("person",))
    store.close()
    store = Store(tmp_path, limits=FREE)
    runs = RunQueue(store)
    assert runs.claim("gpu0").result() is None
    runs.resume().result()
    assert claim(runs) and runs.paused() == ()
    store.close()


def test_the_limits_of_the_queue_hold_at_their_number(tmp_path: Path) -> None:
    store = Store(tmp_path, limits=Limits(queue_per_user=2, queue=3, ballast_bytes=0, reserve_bytes=0))
    runs = RunQueue(store)
    submit(runs, user="ann"), submit(runs, user="ann")
    with pytest.raises(Refused) as refusal:
        submit(runs, user="ann")
    assert code(refusal) == "queue-full"
    submit(runs, user="bob")
    with pytest.raises(Refused):
        submit(runs, user="cy")
    claim(runs)
    submit(runs, user="cy")
    store.close()


def test_a_run_that_is_over_can_be_submitted_anew(runs: RunQueue) -> None:
    id = runs.submit(graph(3), {"note": 1}, user="ann", meta={"m": 1}).result().id
    with pytest.raises(Refused) as refusal:
        runs.retry(id)
    assert code(refusal) == "not-over"
    runs.cancel(id).result()
    again = runs.retry(id).result()
    assert (again.retry_of, again.user, again.meta, again.status) == (id, "ann", {"m": 1}, "queued")
    assert runs.store.runs.graph(again.id) == graph(3)
    assert runs.store.runs.document(again.id) == {"note": 1}
    assert runs.store.runs.get(id).status == "cancelled"


def test_an_id_made_by_the_client_is_taken_once(runs: RunQueue) -> None:
    assert submit(runs, run="mine") == "mine"
    with pytest.raises(Refused) as refusal:
        submit(runs, run="mine")
    assert code(refusal) == "id-taken"


def test_emptying_the_queue_leaves_what_runs_and_other_users(runs: RunQueue) -> None:
    works = submit(runs, user="ann", priority=1)
    claim(runs)
    mine, theirs = submit(runs, user="ann"), submit(runs, user="bob")
    assert runs.cancel_waiting("ann").result() == [mine]
    assert [runs.store.runs.get(id).status for id in (works, mine, theirs)] == ["running", "cancelled", "queued"]


def test_what_each_step_took_is_kept(runs: RunQueue) -> None:
    id = submit(runs)
    attempt = claim(runs).attempt
    problem = Problem("x", "c", "what", "fix")
    events = [
        Started(id, "a"),
        Progress(id, "a", 1, 2),
        Finished(id, "a", 0.5, 1 << 20, {"latent": "1×4"}),
        Reused(id, ("b",), "memory"),
        Failed(id, "c", "core/c", (problem,)),
    ]
    assert runs.record(id, attempt, events).result()
    found = {one.step: one for one in runs.store.executions(id)}
    assert {step: one.status for step, one in found.items()} == {"a": "finished", "b": "reused", "c": "failed"}
    assert (found["a"].seconds, found["a"].peak_bytes, found["a"].outputs) == (0.5, 1 << 20, {"latent": "1×4"})
    assert found["c"].problems == (problem,)
    kinds = [event.data["type"] for event in runs.store.events.of_run(id)]
    assert kinds == ["run-status", "run-status", "started", "finished", "reused", "failed"]


# ── the server's own death ──


def die(store: Store, target: Path) -> Path:
    """What a crash at this moment would leave on the disk."""
    shutil.copytree(store.folder, target, ignore=shutil.ignore_patterns("*-shm"))
    store.close()
    return target


def test_what_ran_when_the_server_died_waits_again_with_its_attempt(tmp_path: Path) -> None:
    store = Store(tmp_path / "0", limits=FREE)
    runs = RunQueue(store)
    works, asked, waits = (submit(runs, n) for n in range(3))
    claim(runs), claim(runs)
    runs.cancel(asked).result()
    store = Store(die(store, tmp_path / "1"), limits=FREE)
    runs = RunQueue(store)
    assert [store.runs.get(id).status for id in (works, asked, waits)] == ["queued", "cancelled", "queued"]
    assert [one.run for one in runs.positions()] == [works, waits]
    assert (runs.paused(), runs.notices) == ((), ())
    assert claim(runs).attempt == 2
    store.close()


def test_a_run_under_which_the_server_died_twice_in_a_row_pauses_the_queue(tmp_path: Path) -> None:
    store = Store(tmp_path / "0", limits=FREE)
    runs = RunQueue(store)
    id = submit(runs)
    for boot in range(1, 3):
        runs.record(id, claim(runs).attempt, [Started(id, "boom")]).result()
        store = Store(die(store, tmp_path / str(boot)), limits=FREE)
        runs = RunQueue(store)
    assert runs.paused() == ("boot",)
    assert [(one.code, one.place, one.step) for one in runs.notices] == [("server-died-twice", id, "boom")]
    assert runs.claim("gpu0").result() is None
    runs.resume().result()
    assert claim(runs).attempt == 3
    store.close()


def test_a_good_boot_in_between_forgets_the_first_death(tmp_path: Path) -> None:
    store = Store(tmp_path / "0", limits=FREE)
    runs = RunQueue(store)
    id = submit(runs)
    for boot in range(1, 4):
        held = claim(runs)
        if boot == 2:
            runs.put_back(id, held.attempt).result()
        store = Store(die(store, tmp_path / str(boot)), limits=FREE)
        runs = RunQueue(store)
    assert runs.paused() == ()
    store.close()


def test_the_table_itself_refuses_to_change_what_is_over(runs: RunQueue) -> None:
    for status in ("succeeded", "failed", "cancelled"):
        id = submit(runs)
        runs.finish(id, claim(runs).attempt, status).result()  # type: ignore[arg-type]
        for change in ("status = 'queued'", "status = 'running'", "status = 'failed', ended = 1", "attempt = 9",
                       "result = '1'", "problems = '[1]'", "ended = NULL", "crashes = 3"):  # fmt: skip
            with pytest.raises(sqlite3.IntegrityError):
                runs.database.write(
                    lambda t, c=change, i=id: t.execute(f"UPDATE runs SET {c} WHERE id = ?", (i,))
                ).result()
        assert runs.store.runs.get(id).status == status
    waits = submit(runs)
    for wrong in ("succeeded", "failed", "crashed", "lost"):
        with pytest.raises(sqlite3.IntegrityError):
            runs.database.write(
                lambda t, w=wrong: t.execute("UPDATE runs SET status = ? WHERE id = ?", (w, waits))
            ).result()


# ── against a model ──


@dataclass
class Expected:
    """A run as plain Python has it."""

    user: str
    priority: int
    place: int
    status: str = "queued"
    attempt: int = 0
    crashes: int = 0
    cancelling: bool = False
    died: int = 0
    ends: int = 0


@dataclass
class Model:
    """The rules of the queue in the plainest words."""

    runs: dict[str, Expected] = field(default_factory=dict)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    served: dict[str, int] = field(default_factory=dict)
    turn: int = 0
    place: int = 0
    boot: int = 1
    paused: set[str] = field(default_factory=set)

    def waiting(self) -> dict[str, Expected]:
        return {id: one for id, one in self.runs.items() if one.status == "queued"}

    def next(self, served: dict[str, int], waiting: dict[str, Expected]) -> str | None:
        if not waiting:
            return None
        top = max(one.priority for one in waiting.values())
        best = [(served[one.user], one.user, one.place, id) for id, one in waiting.items() if one.priority == top]
        return min(best)[-1]

    def order(self) -> list[str]:
        served, waiting, turn, order = dict(self.served), self.waiting(), self.turn, []
        while (id := self.next(served, waiting)) is not None:
            turn += 1
            served[waiting.pop(id).user] = turn
            order.append(id)
        return order

    def to_back(self, id: str) -> None:
        self.place += 1
        others = [one.priority for other, one in self.waiting().items() if other != id]
        self.runs[id].place = self.place
        self.runs[id].priority = min(self.runs[id].priority, min(others, default=self.runs[id].priority))

    def end(self, id: str, status: str) -> None:
        run = self.runs[id]
        run.status, run.ends = status, run.ends + 1


class QueueMachine(RuleBasedStateMachine):
    """Everything that can be asked of the queue, in any order, with crashes of the server in between."""

    ids = Bundle("ids")
    claims = Bundle("claims")

    @initialize()
    def begin(self) -> None:
        self.top = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.images = 0
        self.model = Model()
        self.submitted = 0
        self.open(self.top / "0")

    def open(self, folder: Path) -> None:
        self.store = Store(folder, limits=FREE)
        self.runs = RunQueue(self.store)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.top)

    @rule(target=ids, user=st.sampled_from("ab"), priority=st.integers(-1, 1), key=st.sampled_from(["", "k", "l"]))
    def submit(self, user: str, priority: int, key: str) -> str:
        run = self.runs.submit(graph(), user=user, priority=priority, key=key).result()
        model = self.model
        known = model.keys.get((user, key)) if key else None
        assert run.again == (known is not None)
        if known is not None:
            assert run.id == known
            return run.id
        assert run.id not in model.runs
        model.place += 1
        model.served.setdefault(user, 0)
        model.runs[run.id] = Expected(user, priority, model.place)
        if key:
            model.keys[user, key] = run.id
        return run.id

    @rule(target=claims)
    def claim(self) -> tuple[str, int]:
        model = self.model
        found = self.runs.claim("w").result()
        expected = None if model.paused else model.next(model.served, model.waiting())
        assert (found.run.id if found else None) == expected
        if found is None or expected is None:
            return ("nobody", 0)
        run = model.runs[expected]
        run.status, run.attempt = "running", run.attempt + 1
        model.turn += 1
        model.served[run.user] = model.turn
        assert found.attempt == run.attempt
        return (expected, run.attempt)

    def holds(self, claim: tuple[str, int]) -> Expected | None:
        run = self.model.runs.get(claim[0])
        return run if run and run.status == "running" and run.attempt == claim[1] else None

    @rule(claim=claims, status=st.sampled_from(["succeeded", "failed", "cancelled"]))
    def finish(self, claim: tuple[str, int], status: Any) -> None:
        run = self.holds(claim)
        assert self.runs.finish(*claim, status).result() == (run is not None)
        if run is not None:
            self.model.end(claim[0], status)

    @rule(claim=claims, again=st.booleans())
    def crash(self, claim: tuple[str, int], again: bool) -> None:
        run = self.holds(claim)
        after = self.runs.crash(*claim, step="a", kind="p/a", again=again).result()
        assert (after is not None) == (run is not None)
        if run is None:
            return
        run.crashes += 1
        if run.cancelling:
            self.model.end(claim[0], "cancelled")
        elif again and run.crashes < 2:
            run.status = "queued"
            self.model.to_back(claim[0])
        else:
            self.model.end(claim[0], "failed")

    @rule(claim=claims)
    def put_back(self, claim: tuple[str, int]) -> None:
        run = self.holds(claim)
        assert self.runs.put_back(*claim).result() == (run is not None)
        if run is not None and run.cancelling:
            self.model.end(claim[0], "cancelled")
        elif run is not None:
            run.status = "queued"

    @rule(id=ids)
    def cancel(self, id: str) -> None:
        run = self.model.runs.get(id)
        if run is None:
            with pytest.raises(Refused):
                self.runs.cancel(id).result()
            return
        if run.status == "running":
            run.cancelling = True
        elif run.status == "queued":
            self.model.end(id, "cancelled")
        assert self.runs.cancel(id).result().status == run.status

    @rule(id=ids, front=st.booleans())
    def move(self, id: str, front: bool) -> None:
        run = self.model.runs.get(id)
        move = self.runs.move_to_front if front else self.runs.move_to_back
        if run is None or run.status != "queued":
            with pytest.raises(Refused):
                move(id).result()
            return
        move(id).result()
        if front:
            waiting = self.model.waiting().values()
            run.place = min(one.place for one in waiting) - 1
            run.priority = max(one.priority for one in waiting)
        else:
            self.model.to_back(id)

    @rule(data=st.data())
    def reorder(self, data: st.DataObject) -> None:
        waiting = self.model.waiting()
        ids = data.draw(st.permutations(sorted(waiting)))[: data.draw(st.integers(0, 4))]
        self.runs.reorder(ids).result()
        slots = sorted((-waiting[id].priority, waiting[id].place) for id in ids)
        for id, (priority, place) in zip(ids, slots, strict=True):
            waiting[id].priority, waiting[id].place = -priority, place

    @rule(on=st.booleans())
    def pause(self, on: bool) -> None:
        (self.runs.pause() if on else self.runs.resume()).result()
        self.model.paused = {"person"} if on else set()

    @rule(id=consumes(ids))
    def remove(self, id: str) -> None:
        run = self.model.runs.get(id)
        if run is None or run.status not in ("succeeded", "failed", "cancelled"):
            with pytest.raises(Refused):
                self.store.history.remove(id).result()
            return
        self.store.history.remove(id).result()
        del self.model.runs[id]
        self.model.keys = {key: other for key, other in self.model.keys.items() if other != id}

    @rule(clean=st.booleans())
    def reopen(self, clean: bool) -> None:
        """The server dies, or ends, and another begins on what is on the disk."""
        self.images += 1
        folder = self.top / str(self.images)
        if clean:
            self.store.close()
            self.store.folder.rename(folder)
        else:
            die(self.store, folder)
        self.open(folder)
        model = self.model
        model.boot += 1
        for id, run in model.runs.items():
            if run.status == "running" and run.cancelling:
                model.end(id, "cancelled")
            elif run.status == "running":
                if run.died == model.boot - 1:
                    model.paused.add("boot")
                run.status, run.died = "queued", model.boot

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        if not hasattr(self, "store"):
            return
        found = {run.id: run for run in self.store.runs.page(limit=500).runs}
        facts = {id: (run.status, run.attempt, run.crashes, run.cancelling, run.user) for id, run in found.items()}
        assert facts == {
            id: (one.status, one.attempt, one.crashes, one.cancelling, one.user) for id, one in self.model.runs.items()
        }
        assert [one.run for one in self.runs.positions()] == self.model.order()
        assert set(self.runs.paused()) == self.model.paused
        assert all(one.ends <= 1 for one in self.model.runs.values()), "nothing ends twice"


def test_the_queue_does_what_plain_python_does() -> None:
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.slow
def test_the_queue_does_what_plain_python_does_for_long() -> None:
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=400, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
