/** Judges each open document by the server's rules, shortly after it or the palette has changed. */
import { validate } from "../core/validate";
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
      server.subscribe((now, before) => now.palette !== before.palette && judge()),
    ];
    workspace.store.subscribe((state) => {
      if (!state.open.includes(open)) for (const one of leave.splice(0)) one();
    });
    judge();
  });
}

function judgeNow(open: OpenDocument, server: ServerStore): void {
  const { palette } = server.getState();
  const problems = palette.nodes.size ? validate(open.document.getState(), palette) : [];
  // What the server refused was another document than the one there is now.
  const { status, problems: refused } = open.run.getState();
  if (status === "" && refused.length) open.run.setState({ problems: [] });
  if (problems.length || open.problems.getState().problems.length) open.problems.setState({ problems });
}
