/** Adds nodes: where one looks, joined to the wire they were asked for, or in the place of others. */
import { addStep, connect, replaceKind } from "../core/commands";
import { boardAt } from "../core/document";
import { HEADER, NODE_WIDTH, nodeRect } from "../core/geometry";
import type { Palette, Point } from "../core/types";
import type { Editor } from "./editor";
import type { OpenDocument } from "./open_document";
import type { PaletteRequest } from "./stores";

const GAP = 64;

/** Count that a kind was used: it comes earlier in the search. */
function used(editor: Editor, kind: string): void {
  editor.settings.setState(({ used: before }) => ({ used: { ...before, [kind]: (before[kind] ?? 0) + 1 } }));
}

/** Add a node; gives its id. */
export function addNode(editor: Editor, open: OpenDocument, kind: string, at: Point, gesture = ""): string {
  const { path } = open.view.getState();
  const { palette } = editor.server.getState();
  const position: Point = [Math.round(at[0]), Math.round(at[1])];
  const id = open.document.run(addStep(path, { kind, position }, palette), gesture);
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
  const position = request.screen ? placeAt(request) : (beside(open, palette) ?? placeAt(request));
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
  // By mouse it is where the pointer is; by keyboard it is brought into view, and has the keyboard.
  if (!request.screen) requestAnimationFrame(() => open.view.getState().canvas?.focusStep(id));
}

/** With the end that is to be joined at the place that was asked for. */
function placeAt({ at: [x, y], from }: PaletteRequest): Point {
  return [Math.round(x - (from?.side === "input" ? NODE_WIDTH : 0)), Math.round(y - HEADER / 2)];
}

/** To the right of what is selected, so that nodes added one after another do not lie on each other. */
function beside(open: OpenDocument, palette: Palette): Point | null {
  const { path, selection } = open.view.getState();
  const document = open.document.getState();
  const { steps } = boardAt(document, path);
  const last = [...selection].filter((id) => Object.hasOwn(steps, id)).at(-1);
  if (last === undefined) return null;
  const rect = nodeRect(document, path, last, palette);
  return [rect.x + rect.width + GAP, rect.y];
}
