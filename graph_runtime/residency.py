"""Which models are in memory, under a budget of bytes.

    device budget   what models may take where they compute
    host budget     what models that left the device may take in the machine's memory, to be back sooner than from disk.
                    Where the device is the CPU there is only one memory, and only this budget

A model in use never leaves. Of the others the one that was used longest ago leaves first: from the device to the host
if there is room, from the host for good. What is loaded is loaded under the best of its plans that fits beside what is
in use, and leaves as much room as it is said to be worked with in (`graph_runtime.plans`). When memory runs out all the
same, everything that is not in use leaves and the model is loaded once more under its next plan; then the run fails
with the numbers.

Knows models only as `Recipe` and `Loaded`: no tensor, no device library. Out of memory is `MemoryError`, any exception
class named `OutOfMemoryError`, or what the CPU's allocator says.
"""

from __future__ import annotations

import gc
import itertools
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from graph_runtime.context import Footprint, InParts, Loaded, Plan, Recipe
from graph_runtime.plans import choose, least, resident, smaller
from graph_runtime.problem import Problem, Refused
from graph_runtime.sockets import socket_of

HOST = "cpu"


@dataclass(slots=True)
class _Held:
    """One model in memory."""

    key: str
    recipe: Recipe
    loaded: Loaded
    weight: int  # bytes of the whole of it, when it waits on the host
    plan: Plan
    on_device: bool = True
    users: int = 0
    used: int = 0  # larger is later

    @property
    def device_bytes(self) -> int:
        """All it may take while it is used, though some of that comes and goes."""
        return max(self.plan.device, self.loaded.nbytes) if self.on_device else 0

    @property
    def host_bytes(self) -> int:
        return self.plan.host if self.on_device else self.weight


class Residency:
    """The models of one worker. Every method may be called from any thread."""

    def __init__(
        self,
        device: str,
        gpu_bytes: int,
        host_bytes: int,
        spare: int = 0,
        budget_of: Callable[[str], int] | None = None,
    ) -> None:
        """`gpu_bytes` is the device's budget; where `device` is "cpu" it is not looked at.

        spare      bytes beyond the budget that are there to be worked with
        budget_of  bytes for models on another GPU, for recipes whose `placed_on` names one
        """
        self._spare, self._budget_of = spare, budget_of
        self._elsewhere: dict[str, Residency] = {}  # recipes with a device of their own
        self.device = device
        self._one_memory = device == HOST
        self._device_budget = host_bytes if self._one_memory else gpu_bytes
        self._host_budget = 0 if self._one_memory else host_bytes
        self._held: dict[str, _Held] = {}
        self._demoted: dict[str, Plan] = {}  # what ran out of memory, and the plan it had
        self._may_retry = False
        self._when_it_ran_out = ""
        self._clock = itertools.count()
        self._lock = threading.RLock()  # a recipe may use another while it loads

    @contextmanager
    def use(self, recipe: Recipe, room: int = 0) -> Iterator[Any]:
        """The recipe's model, on the device for as long as the block lasts.

        room  bytes that will be worked with meanwhile. The plan leaves them free, or as many of them as any plan does

        Raises Refused when it does not fit, with what is needed, what is free, and who holds the rest. When memory runs
        out inside the block, the error passes, and the model is loaded under its next plan the next time.
        """
        other = self._other(recipe)
        if other is not None:
            with other.use(recipe, room) as value:
                yield value
            return
        held = self._take(recipe, room)
        try:
            yield held.loaded.value
        except BaseException as error:
            if is_out_of_memory(error):
                with self._lock:
                    self._when_it_ran_out = self._standing()
                    self._demote(held)
            raise
        finally:
            with self._lock:
                held.users -= 1
                if not held.users and self._demoted.get(held.key) == held.plan:
                    self._close(held, for_good=False)

    def recover(self, error: BaseException) -> bool:
        """After an out-of-memory: let everything go that is not in use. Whether to try once more is worth it."""
        if not is_out_of_memory(error):
            return False
        with self._lock:
            traceback.clear_frames(error.__traceback__)  # locals of the failed call keep tensors alive
            retry = self._may_retry or any(not held.users for held in self._held.values())
            self._may_retry = False
            others = [other.recover(error) for other in self._elsewhere.values()]
            self.evict()
            return retry or any(others)

    def make_room(self, wanted: int) -> bool:
        """Let models that are not in use leave the device until there are `wanted` bytes to work with; are there now?

        Models stay where they are if all of them together would not be enough.
        """
        with self._lock:
            wanted -= self._spare
            if wanted > self._device_budget - self._device_bytes(in_use=True):
                return wanted <= 0
            self._make_room(wanted)
            return True

    def evict(self, *, close: bool = True) -> None:
        """Let every model go that is not in use: for good, or (`close=False`) from the device to the host."""
        with self._lock:
            for held in self._idle():
                if close or self._one_memory:
                    self._close(held)
                elif held.on_device:
                    self._leave_device(held)
            if close:
                for other in self._elsewhere.values():
                    other.evict()
            gc.collect()

    def explain(self, error: BaseException, place: str) -> Problem:
        """The Problem of an out-of-memory in a step, with who held what when it happened. Ask before `recover`."""
        with self._lock:
            standing, self._when_it_ran_out = self._when_it_ran_out or self._standing(), ""
            said = str(error).strip().partition("\n")[0] or type(error).__name__
            return self._problem(place, f"memory ran out: {said}", standing)

    def report(self) -> dict[str, Any]:
        """What is in memory now, as plain data; the last used first."""
        with self._lock:
            models = [
                {
                    "title": called(held.recipe),
                    "plan": held.plan.name,
                    "in_use": held.users > 0,
                    "device_bytes": held.device_bytes,
                    "host_bytes": held.host_bytes,
                }
                for held in sorted(self._held.values(), key=lambda held: -held.used)
            ]
            for other in self._elsewhere.values():
                for model in other.report()["models"]:
                    there = {"device": other.device, "elsewhere_bytes": model["device_bytes"]}
                    models.append({**model, "device_bytes": 0, **there})
            return {
                "device": self.device,
                "device_budget": self._device_budget,
                "device_bytes": self._device_bytes(),
                "host_budget": self._host_budget,
                "host_bytes": self._host_bytes(),
                "models": models,
            }

    def _other(self, recipe: Recipe) -> Residency | None:
        """Who holds the models of a device that is not this one; on the host it may take what this one has not."""
        device = getattr(recipe, "placed_on", "auto")
        if device in ("auto", "balanced", self.device):
            return None
        with self._lock:
            if device not in self._elsewhere:
                budget = self._budget_of(device) if self._budget_of and device != HOST else 0
                self._elsewhere[device] = Residency(device, budget, 0 if device != HOST else self._host_budget)
            other = self._elsewhere[device]
            if device == HOST:
                if recipe.key() not in other._held:
                    self._make_host_room(recipe.nbytes())
                other._device_budget = self._host_budget - self._host_bytes() + self._placed_on_host()
            return other

    # Everything below is called with the lock held.

    def _take(self, recipe: Recipe, room: int) -> _Held:
        with self._lock:
            room = max(0, room - self._spare)
            held = self._held.get(recipe.key())
            if held is not None and self._leaves_too_little(held, room):
                self._close(held, for_good=False)
                held = None
            if held is not None and not held.on_device and not self._return_to_device(held):
                held = None
            if held is None:
                held = self._load(recipe, room)
            held.users += 1
            held.used = next(self._clock)
            if room:
                self.make_room(room + self._spare)
            return held

    def _leaves_too_little(self, held: _Held, room: int) -> bool:
        """Whether another plan of a model that nobody uses would leave the room that this one does not."""
        free = self._device_budget - self._device_bytes(in_use=True)
        if held.users or not room or held.plan.device + room <= free:
            return False
        better = self._chosen(held.recipe, held.recipe.nbytes(), self._demoted.get(held.key), room)
        return better is not None and better.device < held.plan.device

    def _load(self, recipe: Recipe, room: int) -> _Held:
        """Load under the best plan that fits beside what is in use; after an out-of-memory once more, under the next.

        Nothing is read where no plan fits.
        """
        key, weight = recipe.key(), recipe.nbytes()
        tried = self._demoted.get(key)
        reason = ""
        for _ in range(2):
            plan = self._chosen(recipe, weight, tried, room)
            if plan is None:
                break
            self._make_room(plan.device)
            self._make_host_room(plan.host)
            try:
                loaded = recipe.load(self.device, plan)
            except BaseException as error:
                if not is_out_of_memory(error):
                    raise
                reason = f"{self._needs(recipe, weight)}, and memory ran out while loading"
                traceback.clear_frames(error.__traceback__)
            else:
                held = _Held(key, recipe, loaded, max(weight, loaded.nbytes), plan)
                held.users = 1  # while room is made for what it took beyond its estimate
                self._held[key] = held
                self._make_room(0)
                held.users = 0
                return held
            self.evict()
            tried = plan
        raise Refused(self._problem(called(recipe), reason or self._needs(recipe, weight), self._standing()))

    def _chosen(self, recipe: Recipe, weight: int, tried: Plan | None, room: int) -> Plan | None:
        """The best plan that fits beside what is in use and leaves the room, and is smaller than the one that was
        tried. Where none leaves so much, the one that takes least."""
        free = self._device_budget - self._device_bytes(in_use=True)
        if tried is None and weight + room <= free:
            return resident(weight)
        parts, host = _parts(recipe, weight), self._host_budget - self._host_bytes(in_use=True)
        return choose(parts, free - room, host, self._one_memory, tried) or (
            choose(parts, min(free, least(parts, self._one_memory, host).device), host, self._one_memory, tried)
        )

    def _needs(self, recipe: Recipe, weight: int) -> str:
        """What the model takes as a whole, and what it takes at the least."""
        smallest = least(_parts(recipe, weight), self._one_memory)
        at_least = f", at least {size(smallest.device)} under the plan {smallest.name}"
        return f"it needs {size(weight)}{at_least if smallest.device < weight else ''}"

    def _return_to_device(self, held: _Held) -> bool:
        """Bring a parked model back; False if there is no room, and it is then closed."""
        if held.plan.device <= self._device_budget - self._device_bytes(in_use=True):
            held.users += 1  # so that making room does not take it
            try:
                self._make_room(held.plan.device)
                held.loaded.move(self.device)
                held.on_device = True
                return True
            except BaseException as error:
                if not is_out_of_memory(error):
                    raise
                self._demote(held)
            finally:
                held.users -= 1
        self._close(held, for_good=False)
        return False

    def _demote(self, held: _Held) -> None:
        """Let the model be loaded under its next plan the next time, if it has one."""
        if isinstance(held.recipe, InParts) and smaller(held.recipe.footprint(), self._one_memory, held.plan):
            self._demoted[held.key] = held.plan
            self._may_retry = True

    def _make_room(self, wanted: int) -> None:
        """Let models leave the device until `wanted` bytes are free, or none is left that may."""
        for held in self._idle():
            if self._device_budget - self._device_bytes() >= wanted:
                return
            if held.on_device:
                self._leave_device(held)

    def _make_host_room(self, wanted: int) -> None:
        for held in self._idle():
            if self._host_budget - self._host_bytes() >= wanted:
                return
            if held.host_bytes:
                self._close(held)

    def _leave_device(self, held: _Held) -> None:
        if self._one_memory or held.plan.blocks == "disk" or held.weight > self._host_budget:
            self._close(held)
            return
        held.users += 1
        self._make_host_room(held.weight)
        held.users -= 1
        if self._host_budget - self._host_bytes() < held.weight:
            self._close(held)
            return
        try:
            held.loaded.move(HOST)
            held.on_device = False
        except BaseException as error:
            self._close(held)
            if not is_out_of_memory(error):
                raise

    def _close(self, held: _Held, *, for_good: bool = True) -> None:
        """Out of memory altogether. `for_good`: the next load begins with the best plan again."""
        if for_good:
            self._demoted.pop(held.key, None)
        self._held.pop(held.key, None)
        held.loaded.close()

    def _idle(self) -> list[_Held]:
        """Models that may leave, the one used longest ago first."""
        return sorted((held for held in self._held.values() if not held.users), key=lambda held: held.used)

    def _device_bytes(self, *, in_use: bool = False) -> int:
        return sum(held.device_bytes for held in self._held.values() if held.users or not in_use)

    def _host_bytes(self, *, in_use: bool = False) -> int:
        counted = (held for held in self._held.values() if held.users or not in_use)
        return 0 if self._one_memory else sum(held.host_bytes for held in counted) + self._placed_on_host()

    def _placed_on_host(self) -> int:
        """Bytes of models that were asked to be on the CPU though there is a GPU."""
        return self._elsewhere[HOST]._device_bytes() if HOST in self._elsewhere else 0

    def _standing(self) -> str:
        """What is free and who holds the rest, in words."""
        free = max(0, self._device_budget - self._device_bytes())
        holders = [
            f"{called(held.recipe)} {size(held.device_bytes)}{' in use' if held.users else ''}"
            for held in sorted(self._held.values(), key=lambda held: -held.device_bytes)
            if held.device_bytes
        ]
        standing = f"{size(free)} of {size(self._device_budget)} for models are free on {self.device}"
        return standing + (f"; held by {', '.join(holders)}" if holders else "; no other model holds any")

    def _problem(self, place: str, reason: str, standing: str) -> Problem:
        setting = "host_memory" if self._one_memory else "gpu_memory"
        fix = f"Use a smaller or quantized model or a smaller picture, or allow more with the setting {setting}."
        return Problem("out-of-memory", place, f"{reason}; {standing}.", fix)


def called(recipe: Recipe) -> str:
    """Its title, and what wires call such a recipe: one file often has three models under one title."""
    return f"{recipe.title} ({kind_of(recipe)})"


def kind_of(recipe: Recipe) -> str:
    """What wires call such a recipe; its attribute `kind` where it stands for another."""
    socket = socket_of(type(recipe))
    return getattr(recipe, "kind", "") or (socket.name if socket else type(recipe).__name__.upper())


def _parts(recipe: Recipe, weight: int) -> Footprint:
    return recipe.footprint() if isinstance(recipe, InParts) else Footprint(weight)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, whichever library says so."""
    if isinstance(error, MemoryError) or any(cls.__name__ == "OutOfMemoryError" for cls in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def size(count: int) -> str:
    """Bytes as people say them: "6.0 GB"."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
