/** What of the editor the modules of packs reach. */
import { setValue } from "../../core/commands";
import { writeDocument } from "../../core/document";
import type { Json } from "../../core/types";
import { type Ground as Around, attempt, say, sayProblems } from "../editor";
import type { OpenDocument } from "../open_document";
import type { Dispose, PackRun } from "./contract";
import type { Ground } from "./pack_host";

export function groundOf(editor: Around): Ground {
  const { client, feed, runner, server, settings, shell, workspace } = editor;
  return {
    server,
    settings,
    load: (address) => import(/* @vite-ignore */ address),
    workflow: {
      read: () => (workspace.active ? structuredClone(writeDocument(workspace.active.document.getState())) : null),
      selection: () => {
        const view = workspace.active?.view.getState();
        const steps = workspace.active?.document.getState().steps ?? {};
        return view && !view.path.length ? [...view.selection].filter((id) => Object.hasOwn(steps, id)) : [];
      },
      set: (step, values) => setValues(workspace.active, step, values),
      run: (targets) => {
        const open = workspace.active;
        if (open) void attempt(editor, () => runner.run(open, targets?.length ? { targets } : {}));
      },
    },
    on: (event, heard) => {
      if (event === "run") {
        return feed.onEnd((run) => {
          const files = run.files.map(({ id, name, media }) => ({ id, name, media, url: client.fileUrl(id) }));
          const said: PackRun = { id: run.id, status: run.status, seconds: run.seconds, files };
          heard(said as never);
        });
      }
      return followFront(editor, (open) =>
        event === "workflow"
          ? open.document.subscribe(() => heard())
          : open.view.subscribe((now, before) => now.selection !== before.selection && heard()),
      )(heard);
    },
    say: (text) => say(editor, "good", text.slice(0, 400)),
    failed: (problem) => sayProblems(editor, [problem]),
    toggle: ({ name, given }) => {
      const side = given.side === "right" ? "right" : "left";
      shell.setState((state) => ({ [side]: state[side] === `pack:${name}` ? null : (`pack:${name}` as const) }));
    },
  };
}

function setValues(open: OpenDocument | null, step: string, values: Record<string, Json>): void {
  if (!open || !Object.hasOwn(open.document.getState().steps, step)) throw new Error(`There is no step ${step}.`);
  if (open.view.getState().readOnly) throw new Error("The workflow may not be changed now.");
  const given = structuredClone(Object.entries(values));
  open.document.run({
    label: "value",
    change: (draft) => {
      for (const [input, value] of given) setValue([], step, input, value).change(draft);
    },
  });
}

/** Follow whatever document is in front: `join` it, and be told when it is another. */
function followFront(editor: Around, join: (open: OpenDocument) => Dispose): (turned: () => void) => Dispose {
  return (turned) => {
    const { workspace } = editor;
    let now = workspace.active;
    let leave = now ? join(now) : () => {};
    const stop = workspace.store.subscribe(() => {
      if (workspace.active === now) return;
      leave();
      now = workspace.active;
      leave = now ? join(now) : () => {};
      turned();
    });
    return () => {
      stop();
      leave();
    };
  };
}
