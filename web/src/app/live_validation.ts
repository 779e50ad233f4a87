/** Judges each open document by the server's rules, shortly after it or what the server has was changed. */
import { validate } from "../core/validate";
import { missingIn, problemOf } from "./models_used";
import type { OpenDocument } from "./open_document";
import type { ServerStore } from "./stores";
import type { Workspace } from "./workspace";

const SOON = 60; // milliseconds; a drag changes the document many times

export function followProblems(workspace: Workspace, server: ServerStore): void {
  workspace.onOpen((open) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const judge = () => {
      clearTimeout(timer);
      timer = setTimeout(() => judgeNow(open, server), SOON);
    };
    const leave = [
      open.document.subscribe((now, before) =>
        now.steps !== before.steps || now.definitions !== before.definitions ? judge() : null,
      ),
      server.subscribe((now, before) =>
        now.palette !== before.palette || now.names !== before.names || now.models !== before.models ? judge() : null,
      ),
    ];
    workspace.store.subscribe((state) => {
      if (!state.open.includes(open)) for (const one of leave.splice(0)) one();
    });
    judge();
  });
}

function judgeNow(open: OpenDocument, server: ServerStore): void {
  const shelf = server.getState();
  const { palette } = shelf;
  const document = open.document.getState();
  const wrong = palette.nodes.size ? validate(document, palette) : [];
  const said = new Set(wrong.map(({ step, field }) => `${step} ${field}`));
  const missing = missingIn(document, palette, shelf).map((one) => problemOf(one, shelf));
  const problems = [...wrong, ...missing.filter(({ step, field }) => !said.has(`${step} ${field}`))];
  // What the server refused was another document than the one there is now.
  const { status, problems: refused } = open.run.getState();
  if (status === "" && refused.length) open.run.setState({ problems: [] });
  if (problems.length || open.problems.getState().problems.length) open.problems.setState({ problems });
}
