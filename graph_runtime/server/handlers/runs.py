"""Runs and the queue."""

from __future__ import annotations

import asyncio
from typing import Any

from graph_runtime.document import open_document
from graph_runtime.graph import Graph, in_order, wanted_steps
from graph_runtime.problem import Problem, Refused
from graph_runtime.runs import STATUSES, Run, RunStatus
from graph_runtime.server import wire
from graph_runtime.server.call import USER, Call
from graph_runtime.server.state import Server
from graph_runtime.validate import blocking, validate


async def submit(call: Call) -> wire.RunMessage:
    """Put a graph, or what a document makes, in the queue. Answered once it is there to stay."""
    server, body = call.server, call.body
    if server.ending:
        raise Refused(Problem("ending", "server", "the server is ending.", "Try again when it is back."))
    key = call.key

    def begin() -> Any:
        graph, document = prepared(server, body)
        return server.queue.submit(
            graph.to_json(),
            document,
            user=USER,
            priority=body.priority,
            key=key,
            meta=body.meta,
            run=body.run or "",
            front=body.front,
        )

    return message(call, await server.write(begin))


def prepared(server: Server, body: wire.Submission | wire.GraphBody) -> tuple[Graph, dict[str, Any] | None]:
    """The graph to run and the document to embed. Raises Refused with everything that would stop the run.

    Before any worker has ever said what nodes there are, only the shape is looked at; the worker sees to the rest.
    """
    defs, document = server.catalog.defs, None
    if body.document is not None:
        opened, _ = open_document(body.document, defs)
        document = opened.to_json()
        graph = opened.graph(defs) if body.graph is None else Graph.from_json(body.graph)
    elif body.graph is not None:
        graph = Graph.from_json(body.graph)
    else:
        what = "it has neither a graph nor a document."
        raise Refused(Problem("bad-request", "body", what, "Send one of the two."))
    if server.catalog.known:
        wanted = wanted_steps(graph, defs)
        problems = blocking(graph, validate(graph, defs), in_order(graph, wanted))
        if not wanted and not problems:
            what = "nothing in it is an output, so there is nothing to run."
            problems = [Problem("no-output", "graph", what, "Add a node that saves or shows something.")]
        if problems:
            raise Refused(problems)
    return graph, document


def message(call: Call, run: Run) -> wire.RunMessage:
    return wire.RunMessage.model_validate(call.server.run_json(run))


async def list_runs(call: Call) -> wire.RunPage:
    """Runs, newest first, by page."""
    named = [one for one in call.query.status.split(",") if one]
    wrong = [one for one in named if one not in STATUSES]
    if wrong:
        what = f"there is no state {wrong[0][:40]!r}."
        raise Refused(Problem("bad-request", "query.status", what, f"States are {', '.join(STATUSES)}."))
    statuses: list[RunStatus] = [one for one in STATUSES if one in named]
    query, runs = call.query, call.server.store.runs
    page = await call.server.do(lambda: runs.page(statuses, before=query.before, limit=query.limit))
    return wire.RunPage(runs=[message(call, run) for run in page.runs], before=page.before)


async def get_run(call: Call) -> wire.RunMessage:
    """One run, as it is now."""
    return message(call, await call.server.do(lambda: call.server.store.runs.get(call.part("run"))))


async def get_graph(call: Call) -> wire.GraphMessage:
    """What a run was made of."""
    runs, run = call.server.store.runs, call.part("run")
    graph, document = await call.server.do(lambda: (runs.graph(run), runs.document(run)))
    return wire.GraphMessage(graph=graph, document=document)


async def get_steps(call: Call) -> wire.Steps:
    """What each step of each attempt took, and each death of a worker."""
    store, run = call.server.store, call.part("run")
    steps, crashes = await call.server.do(lambda: (store.executions(run), store.runs.crashes(run)))
    made = [
        {name: getattr(one, name) for name in one.__slots__} | {"problems": [each.as_json() for each in one.problems]}
        for one in steps
    ]
    return wire.Steps.model_validate({"steps": made, "crashes": crashes})


async def get_events(call: Call) -> wire.Events:
    """What happened in a run, as the live connection told it."""
    server, run, query = call.server, call.part("run"), call.query

    def work() -> list[dict[str, Any]]:
        server.store.runs.get(run)
        return [server.event_json(one) for one in server.store.events.of_run(run, query.after, query.limit)]

    return wire.Events.model_validate({"events": await server.do(work)})


async def cancel(call: Call) -> wire.RunMessage:
    """Stop a run. Twice, or after its end, changes nothing; the answer says how it is."""
    server, run = call.server, call.part("run")
    found = await server.write(lambda: server.queue.cancel(run))
    if found.status == "running":
        await asyncio.get_running_loop().run_in_executor(
            None, lambda: server.supervisor.cancel(run, force=call.body.force)
        )
        found = await server.do(lambda: server.store.runs.get(run))
    return message(call, found)


async def retry(call: Call) -> wire.RunMessage:
    """Submit what a run that is over was made of, as a new run."""
    server, run, key = call.server, call.part("run"), call.key
    return message(call, await server.write(lambda: server.queue.retry(run, user=USER, key=key)))


async def move(call: Call) -> wire.RunMessage:
    """Let a waiting run be the next, or the last."""
    queue, run = call.server.queue, call.part("run")
    change = queue.move_to_front if call.body.to == "front" else queue.move_to_back
    return message(call, await call.server.write(lambda: change(run)))


async def remove_run(call: Call) -> wire.Done:
    """Forget a run that is over. Its files stay."""
    await call.server.write(lambda: call.server.store.history.remove(call.part("run")))
    return wire.Done()


async def clear_runs(call: Call) -> wire.Removed:
    """Forget all runs that are over. Their files stay."""
    return wire.Removed(count=await call.server.do(lambda: call.server.store.history.clear(USER)))


async def get_queue(call: Call) -> wire.QueueMessage:
    """What waits, in order, and whether anything is started."""
    return wire.QueueMessage.model_validate(await call.server.do(call.server.queue_json))


async def pause(call: Call) -> wire.QueueMessage:
    """Start nothing more; what runs goes on."""
    await call.server.write(call.server.queue.pause)
    return await get_queue(call)


async def resume(call: Call) -> wire.QueueMessage:
    """Go on."""
    await call.server.write(call.server.queue.resume)
    return await get_queue(call)


async def reorder(call: Call) -> wire.QueueMessage:
    """Put these waiting runs in this order, in the places they have among themselves."""
    await call.server.write(lambda: call.server.queue.reorder(call.body.runs))
    return await get_queue(call)


async def empty_queue(call: Call) -> wire.Removed:
    """Cancel everything that waits; what runs goes on."""
    ids = await call.server.write(lambda: call.server.queue.cancel_waiting(USER))
    return wire.Removed(count=len(ids))
