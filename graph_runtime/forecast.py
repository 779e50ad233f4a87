"""What a workflow would have in memory, step by step, told before anything runs and without reading a weight.

Steps that only make recipes are called, as loaders read headers alone, and so is what these need, such as names of
files put together. Every other step that is given a recipe is called too where its inputs are known, up to where it
asks for a model; where they are not, it is taken to use the model. The decisions are `Residency`'s own: it is given
models that take bytes in its books and nowhere else. What a step works with beside them, its node tells by its outlook,
from what other steps of its pack gave or would give. Knows no tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from typing import Any, NoReturn

from graph_runtime.call import outputs_of
from graph_runtime.context import Context, Footprint, InParts, Outlook, Plan, Recipe
from graph_runtime.files import Files
from graph_runtime.graph import Graph, Join, in_order, joins, sources, wanted_steps
from graph_runtime.node_def import NodeDef
from graph_runtime.problem import Problem, Refused
from graph_runtime.residency import Residency, called, kind_of, size
from graph_runtime.values import Many


class _Unknown(Exception):
    """A step's outputs are not known before it runs."""


@dataclass(frozen=True)
class _Books:
    """A model that is not there, by what it would take."""

    plan: Plan
    value: None = None

    @property
    def nbytes(self) -> int:
        return self.plan.device

    def move(self, device: str) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class _Weightless:
    """A recipe whose model is loaded in the books only."""

    recipe: Recipe
    kind: str
    chosen: list[Plan] = field(default_factory=list, compare=False)

    @property
    def title(self) -> str:
        return self.recipe.title

    @property
    def placed_on(self) -> str:
        return getattr(self.recipe, "placed_on", "auto")

    def key(self) -> str:
        return self.recipe.key()

    def nbytes(self) -> int:
        return self.recipe.nbytes()

    def footprint(self) -> Footprint:
        return self.recipe.footprint() if isinstance(self.recipe, InParts) else Footprint(self.recipe.nbytes())

    def load(self, device: str, plan: Plan) -> _Books:
        self.chosen.append(plan)
        return _Books(plan)


@dataclass(frozen=True)
class _HeadersOnly:
    """What a loader may ask for while nothing runs: files, and no model."""

    device: str
    files: Files

    def use(self, recipe: Recipe, room: int = 0) -> NoReturn:
        raise _Unknown

    def room(self, nbytes: int) -> bool:
        return True

    def find(self, kind: str, name: str) -> Path:
        return self.files.find(kind, name)

    def save(self, *given: object) -> NoReturn:
        raise _Unknown


class _Silent:
    """A reporter that nobody listens to."""

    def progress(self, *given: object) -> None: ...

    def preview(self, *given: object) -> None: ...

    def log(self, *given: object) -> None: ...


class Forecast:
    """The walk through one graph."""

    def __init__(
        self, graph: Graph, defs: Mapping[str, NodeDef], sockets: Mapping[str, type], files: Files, residency: Residency
    ) -> None:
        self.graph, self.defs, self.residency = graph, defs, residency
        self.services = _HeadersOnly(residency.device, files)
        self.recipes = {
            name for name, cls in sockets.items() if all(hasattr(cls, n) for n in ("key", "nbytes", "load"))
        }
        self.known: dict[str, dict[str, Any]] = {}
        self.imagined: set[str] = set()  # steps of which stand-ins are known

    def rows(self) -> Iterator[dict[str, Any]]:
        """For each step that uses models, in the order in which they would run: what is used, and what there is then.

        Raises Refused where something fits under no plan, with the numbers.
        """
        for id in in_order(self.graph, wanted_steps(self.graph, self.defs)):
            step = self.graph.steps[id]
            node = self.defs[step.kind]
            if self._makes_recipes(node) or not node.context or self._needs_none(id):
                continue
            try:
                used = [one for name in step.inputs for one in self._recipes_in(step.inputs[name])]
            except _Unknown:
                nothing = {"uses": [], "unknown": True, "works_with": None, "fits": True}
                yield {"step": id, "kind": step.kind, **nothing, **self._standing()}
                continue
            if used:
                seen = self._outlook(id, node)
                yield {"step": id, "kind": step.kind, "unknown": False, **self._use(id, used, seen.works_with)}

    def _use(self, step: str, recipes: list[Recipe], works_with: int | None) -> dict[str, Any]:
        before = {model["title"] for model in self.residency.report()["models"] if model["device_bytes"]}
        with ExitStack() as stack:
            told = []
            for recipe in recipes:
                weightless = _Weightless(recipe, kind_of(recipe))
                try:
                    stack.enter_context(self.residency.use(weightless, works_with or 0))
                except Refused as refused:
                    raise Refused(
                        Problem(one.code, f"{step}: {one.place}", one.what, one.fix, step) for one in refused.problems
                    ) from None
                told.append(weightless)
            here = all(one.placed_on in ("auto", "balanced", self.residency.device) for one in told)
            fits = not works_with or not here or self.residency.make_room(works_with)
            standing = self._standing()
            plans = {model["title"]: model for model in self.residency.report()["models"]}
        there = {model["title"] for model in standing["resident"]}
        left = sorted(before - there)
        uses = [self._told(one, plans, left) for one in told]
        return {"uses": uses, "left": left, "works_with": works_with, "fits": fits, **standing}

    def _told(self, one: _Weightless, there: Mapping[str, Any], left: list[str]) -> dict[str, Any]:
        held = there[called(one)]
        whole = one.nbytes()
        fits = f"it fits once {' and '.join(left)} left" if left else "it fits"
        why = fits if one.chosen else "it is there already"
        if one.chosen and one.chosen[-1].name != "resident":
            plan = one.chosen[-1]
            why = f"as a whole it needs {size(whole)}"
            if plan.away:
                why += f"; {len(plan.away)} of {len(one.footprint().blocks)} blocks come from the {_place(plan.blocks)}"
            elif plan.early != "device":
                why += f"; what comes before its blocks comes from the {_place(plan.early)}"
        return {
            "title": called(one),
            "plan": held["plan"],
            "device": held.get("device", self.residency.device),
            "device_bytes": held["device_bytes"] or held.get("elsewhere_bytes", 0),
            "host_bytes": held["host_bytes"],
            "bytes": whole,
            "why": why,
        }

    def _standing(self) -> dict[str, Any]:
        report = self.residency.report()
        return {
            "resident": [model for model in report["models"] if model["device_bytes"]],
            "waiting": [model for model in report["models"] if not model["device_bytes"]],
            "device_bytes": report["device_bytes"],
            "host_bytes": report["host_bytes"],
        }

    def _outlook(self, id: str, node: NodeDef) -> Outlook:
        """What the step's node says of it beforehand; what it would give is then known to the steps behind it."""
        if node.outlook is None:
            return Outlook()
        try:
            waiting = sources(self.graph.steps[id])
            for one in waiting:
                self._outputs(one, node.pack)
            seen: Outlook = node.outlook(**{wire.name: None for wire in node.wires} | self._given(id, node))
        except Exception:  # not known, or refused, or not to be told from a stand-in
            return Outlook()
        if id not in self.known and {one.name for one in node.outputs} <= seen.gives.keys():
            self.known[id] = dict(seen.gives)
            self.imagined.add(id)
        return seen

    def _needs_none(self, id: str) -> bool:
        """Whether a step that is given a recipe does without its model, like one that only asks for sizes."""
        try:
            given = any(self._recipes_in(value) for value in self.graph.steps[id].inputs.values())
            return not given or bool(self._outputs(id))
        except _Unknown:
            return False

    def _makes_recipes(self, node: NodeDef) -> bool:
        return bool(node.outputs) and all(one.type in self.recipes for one in node.outputs)

    def _recipes_in(self, value: Any) -> list[Recipe]:
        """The recipes that come over an input, each with what is used beside it."""
        found: list[Recipe] = []
        for join in joins(value):
            node = self.defs[self.graph.steps[join.step].kind]
            output = node.output_named(join.output)
            if output is not None and output.type in self.recipes:
                came = self._outputs(join.step)[join.output]
                for one in came if type(came) is Many else (came,):
                    beside = getattr(one, "together", None)
                    found += beside() if beside else (one,)
        return found

    def _outputs(self, id: str, pack: str = "") -> dict[str, Any]:
        """The outputs of a step that needs no model, called now. Raises _Unknown for every other.

        pack  whose steps may be called for it; "" is any
        """
        waiting = [id]
        while waiting:
            step = self.graph.steps[waiting[-1]]
            if pack and waiting[-1] not in self.known and self.defs[step.kind].pack != pack:
                raise _Unknown
            missing = [one for one in sources(step) if one not in self.known]
            if missing:
                waiting += missing
                continue
            here = waiting.pop()
            if here not in self.known:
                self.known[here] = self._called(here)
        return self.known[id]

    def _called(self, id: str) -> dict[str, Any]:
        step = self.graph.steps[id]
        node = self.defs[step.kind]
        given = self._given(id, node)
        if node.function is None or node.output or node.purity == "impure":
            raise _Unknown
        if node.context:
            given[node.context] = Context("plan", id, _Silent(), self.services, Flag())
        if self.imagined.isdisjoint(sources(step)):
            return outputs_of(node, node.function(**given), id)
        try:
            outputs = outputs_of(node, node.function(**given), id)
        except Exception:  # a stand-in has no content
            raise _Unknown from None
        self.imagined.add(id)
        return outputs

    def _given(self, id: str, node: NodeDef) -> dict[str, Any]:
        """The inputs of a step, when what they come from is known. Raises _Unknown for a list that is gone through."""
        given: dict[str, Any] = {knob.name: knob.normalised(knob.default) for knob in node.knobs}
        given |= {wire.name: [] for wire in node.wires if wire.many} | dict.fromkeys(node.lazy)
        for name, value in self.graph.steps[id].inputs.items():
            given[name] = self._value(node, name, value)
        if any(type(value) is Many for value in given.values()):
            raise _Unknown
        return given

    def _value(self, node: NodeDef, name: str, value: Any) -> Any:
        if isinstance(value, Join):
            return self.known[value.step][value.output]
        if isinstance(value, list):
            return [self.known[one.step][one.output] if isinstance(one, Join) else one for one in value]
        knob = next((one for one in node.knobs if one.name == name), None)
        return knob.normalised(value) if knob else value


def _place(where: str) -> str:
    return {"host": "machine's memory", "disk": "file"}.get(where, where)


def forecast(
    graph: Graph, defs: Mapping[str, NodeDef], sockets: Mapping[str, type], files: Files, residency: Residency
) -> dict[str, Any]:
    """The whole of it as plain data: budgets, and a row for each step that uses models. Raises Refused as `rows` does.

    plan  in a word: "resident" if nothing ever leaves, "take turns" if each model is resident while it is used, or the
          last resort that any of them needs
    works_with  of a step: bytes on the device beside its models, None where nobody knows;  fits  whether they are free
    """
    before = residency.report()
    rows = list(Forecast(graph, defs, sockets, files, residency).rows())
    plans = [one["plan"] for row in rows for one in row["uses"]]
    order = ("resident", "lean", "prefetch", "disk")
    worst = max(plans, key=order.index, default="resident")
    turns = worst == "resident" and any(row.get("left") for row in rows)
    return {
        "device": before["device"],
        "device_budget": before["device_budget"],
        "host_budget": before["host_budget"],
        "plan": "take turns" if turns else worst,
        "steps": rows,
    }
