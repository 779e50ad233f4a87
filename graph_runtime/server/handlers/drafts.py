"""Drafts: what is being edited, so that nothing is lost and nobody overwrites somebody else."""

from __future__ import annotations

from typing import Any

from graph_runtime.drafts import Draft
from graph_runtime.jsontext import check_json
from graph_runtime.problem import Problem, Refused
from graph_runtime.server import wire
from graph_runtime.server.call import USER, Call


def message(draft: Draft) -> wire.DraftMessage:
    return wire.DraftMessage(**{name: getattr(draft, name) for name in draft.__slots__ if name != "user"})


async def list_drafts(call: Call) -> wire.Drafts:
    """What is being edited, the last changed first."""
    found = await call.server.do(lambda: call.server.store.drafts.page(USER))
    return wire.Drafts(drafts=[message(one) for one in found])


async def get_draft(call: Call) -> wire.DraftDocument:
    """A draft with its document."""
    draft, document = await call.server.do(lambda: call.server.store.drafts.get(call.part("draft")))
    return wire.DraftDocument(draft=message(draft), document=document)


async def put_draft(call: Call) -> wire.DraftMessage:
    """Write a draft down, in place of the revision it was made from. Others who have it open are told."""
    server, body, id = call.server, call.body, call.part("draft")
    if not (0 < len(id) <= 64 and id.isascii() and id.replace("-", "").replace("_", "").isalnum()):
        what = f"{id[:20]!r} cannot be the id of a draft."
        raise Refused(Problem("bad-request", "draft", what, "Use letters, digits, - and _, 64 at most."))

    def begin() -> Any:
        check_json(body.document)
        made = {"user": USER, "name": body.name, "workflow": body.workflow, "based_on": body.based_on}
        return server.store.drafts.put(id, body.document, body.revision, **made)

    draft = message(await server.write(begin))
    server.hub.say(wire.DraftChanged(draft=id, revision=draft.revision, client=body.client).model_dump())
    return draft


async def remove_draft(call: Call) -> wire.Done:
    """Forget a draft."""
    await call.server.write(lambda: call.server.store.drafts.remove(call.part("draft")))
    return wire.Done()
