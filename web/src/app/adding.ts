/** Adds nodes: where one looks, joined to the wire they were asked for, or in the place of others. */
import { addStep, connect, replaceKind } from "../core/commands";
import type { Point } from "../core/types";
import type { Editor } from "./editor";
import type { OpenDocument } from "./open_document";
import type { PaletteRequest } from "./stores";

/** Count that a kind was used: it comes earlier in the search. */
function used(editor: Editor, kind: string): void {
  editor.settings.setState(({ used: before }) => ({ used: { ...before, [kind]: (before[kind] ?? 0) + 1 } }));
}

/** Add a node; gives its id. */
export function addNode(editor: Editor, open: OpenDocument, kind: string, at: Point): string {
  const { path } = open.view.getState();
  const { palette } = editor.server.getState();
  const id = open.document.run(addStep(path, { kind, position: [Math.round(at[0]), Math.round(at[1])] }, palette));
  used(editor, kind);
  open.view.setState({ selection: new Set([id]) });
  return id;
}

/** What a search-to-add palette was opened for is done with this kind. `socket` is the end that fits. */
export function answer(
  editor: Editor,
  open: OpenDocument,
  request: PaletteRequest,
  kind: string,
  socket: string,
): void {
  const { path } = open.view.getState();
  const { palette } = editor.server.getState();
  if (request.replace) {
    const gesture = `replace ${performance.now()}`;
    for (const step of request.replace) open.document.run(replaceKind(path, step, kind, palette), gesture);
    used(editor, kind);
    return;
  }
  const { from } = request;
  const gesture = `add ${performance.now()}`;
  const [x, y] = request.at;
  const position: Point = [Math.round(x - (from?.side === "input" ? 264 : 0)), Math.round(y - 16)];
  const id = open.document.run(addStep(path, { kind, position }, palette), gesture);
  used(editor, kind);
  if (from && socket) {
    const wire =
      from.side === "output"
        ? connect(path, { step: from.step, output: from.name }, { step: id, input: socket }, palette)
        : connect(path, { step: id, output: socket }, { step: from.step, input: from.name }, palette);
    open.document.run(wire, gesture);
  }
  open.view.setState({ selection: new Set([id]) });
  requestAnimationFrame(() => open.view.getState().canvas?.focusStep(id));
}
