/**
 * What lies in a group.
 *
 * Of an open frame that is geometry: what is put into it belongs to it, what is taken out does not. A folded frame is only
 * its bar, and the room under it is anybody's; so its members are written down when it is folded (`Group.members`), and
 * neither what is put there meanwhile nor another frame laid over it gets hold of them.
 */

import { boardAt, own } from "./document";
import { center, contains, groupRect, holds, nodeRect } from "./geometry";
import type { Board, Document, Group, Palette, Path, Rect, Selection } from "./types";

const KINDS = ["steps", "groups", "notes"] as const;
type Kind = (typeof KINDS)[number];

/** What lies in a group: steps and notes whose middle does, and frames that do as a whole, with what those hide. */
export function groupContent(document: Document, path: Path, id: string, palette: Palette): Selection {
  const board = boardAt(document, path);
  const group = own(board.groups, id);
  if (!group) throw new Error(`there is no group ${JSON.stringify(id)}`);
  if (group.collapsed) return folded(document, path, group, palette);
  const hidden = hiddenItems(document, path, palette);
  const found = geometric(document, path, group, palette, (what, one) => !hidden[what].has(one));
  const inside = new Set(found.groups);
  const with_ = (what: Kind): string[] => [
    ...found[what],
    ...[...hidden[what]].flatMap(([one, by]) => (inside.has(by) ? [one] : [])),
  ];
  return { steps: with_("steps"), groups: with_("groups"), notes: with_("notes") };
}

/** Steps, frames and notes that folded groups hide, with the group whose bar stands for them. */
export function hiddenItems(document: Document, path: Path, palette: Palette): Hidden {
  const board = boardAt(document, path);
  const kept = known.get(board);
  if (kept?.palette === palette) return kept.hidden;
  const hidden = findHidden(document, path, palette);
  if (Object.isFrozen(document)) known.set(board, { palette, hidden });
  return hidden;
}

type Hidden = Record<Kind, ReadonlyMap<string, string>>;
/** By board, as long as it is the same. */
const known = new WeakMap<Board, { palette: Palette; hidden: Hidden }>();

function findHidden(document: Document, path: Path, palette: Palette): Hidden {
  const hidden = { steps: new Map(), groups: new Map(), notes: new Map() } as Record<Kind, Map<string, string>>;
  const shut = Object.values(boardAt(document, path).groups).filter((one) => one.collapsed);
  if (!shut.length) return hidden;
  const contents = shut.map((one) => [one.id, folded(document, path, one, palette)] as const);
  const within = new Set(contents.flatMap(([, content]) => content.groups));
  for (const [id, content] of contents) {
    if (within.has(id)) continue; // the one around it hides all of it
    for (const what of KINDS) for (const one of content[what]) if (!hidden[what].has(one)) hidden[what].set(one, id);
  }
  return hidden;
}

/** What is selected and all that lies in its frames. */
export function withContent(document: Document, path: Path, selection: Selection, palette: Palette): Selection {
  const { groups } = boardAt(document, path);
  const contents = selection.groups.flatMap((id) =>
    Object.hasOwn(groups, id) ? [groupContent(document, path, id, palette)] : [],
  );
  const all = (what: Kind): string[] => [...new Set([selection, ...contents].flatMap((one) => one[what]))];
  return { steps: all("steps"), groups: all("groups"), notes: all("notes") };
}

/** What is moved along with a frame: what lies in it, but for locked steps, and locked frames with what lies in those. */
export function takenAlong(document: Document, path: Path, id: string, palette: Palette): Selection {
  const { steps, groups } = boardAt(document, path);
  if (own(groups, id)?.locked) return { steps: [], groups: [], notes: [] };
  const content = groupContent(document, path, id, palette);
  const stay = content.groups.filter((one) => groups[one]!.locked);
  const kept = stay.map((one) => groupContent(document, path, one, palette));
  const free = (what: Kind): string[] =>
    content[what].filter((one) => !kept.some((other) => other[what].includes(one)));
  return {
    steps: free("steps").filter((one) => !steps[one]!.locked),
    groups: free("groups").filter((one) => !stay.includes(one)),
    notes: free("notes"),
  };
}

/** Steps that lie in locked frames: what puts a board in order leaves them where they are. */
export function heldSteps(document: Document, path: Path, palette: Palette): Set<string> {
  const locked = Object.values(boardAt(document, path).groups).filter((one) => one.locked);
  return new Set(locked.flatMap(({ id }) => groupContent(document, path, id, palette).steps));
}

/** The innermost frame that each thing lies in, of those that `frames` gives; what lies in none has no entry. */
export function innermost(
  document: Document,
  path: Path,
  palette: Palette,
  frames: (id: string) => boolean,
): { steps: Map<string, string>; groups: Map<string, string>; notes: Map<string, string> } {
  const found = { steps: new Map(), groups: new Map(), notes: new Map() } as Record<Kind, Map<string, string>>;
  const size = ({ rect }: Group): number => rect.width * rect.height;
  const order = Object.values(boardAt(document, path).groups).sort((a, b) => size(a) - size(b));
  for (const { id } of order) {
    if (!frames(id)) continue;
    const content = groupContent(document, path, id, palette);
    for (const what of KINDS) for (const one of content[what]) if (!found[what].has(one)) found[what].set(one, id);
  }
  return found;
}

/** Forget that things were there: a new one with the same id is no member of what they were members of. */
export function forgetMembers(board: Board, gone: { [K in Kind]?: ReadonlySet<string> }): void {
  for (const group of Object.values(board.groups)) {
    const { members } = group;
    if (!members || !KINDS.some((what) => members[what].some((id) => gone[what]?.has(id)))) continue;
    const left = (what: Kind): string[] => members[what].filter((id) => !gone[what]?.has(id));
    group.members = { steps: left("steps"), groups: left("groups"), notes: left("notes") };
  }
}

/** Members under the ids that they have now; those without one are none any more. */
export function renamedMembers(group: Group, ids: Record<Kind, ReadonlyMap<string, string>>): Selection | null {
  if (!group.members) return null;
  const named = (what: Kind): string[] => group.members![what].flatMap((id) => ids[what].get(id) ?? []);
  return { steps: named("steps"), groups: named("groups"), notes: named("notes") };
}

/** Of a folded group: what was written down; of one that was folded by a program that does not, what lies under it. */
function folded(document: Document, path: Path, group: Group, palette: Palette): Selection {
  const board = boardAt(document, path);
  const { members } = group;
  if (!members) return geometric(document, path, group, palette, () => true);
  const there = (what: Kind): string[] =>
    members[what].filter((id) => Object.hasOwn(board[what], id) && !(what === "groups" && id === group.id));
  return { steps: there("steps"), groups: there("groups"), notes: there("notes") };
}

function geometric(
  document: Document,
  path: Path,
  group: Group,
  palette: Palette,
  takes: (what: Kind, id: string) => boolean,
): Selection {
  const board = boardAt(document, path);
  const middle = (rect: Rect): boolean => holds(group.rect, center(rect));
  return {
    steps: Object.keys(board.steps).filter((id) => takes("steps", id) && middle(nodeRect(document, path, id, palette))),
    groups: Object.values(board.groups)
      .filter((one) => one.id !== group.id && takes("groups", one.id))
      .filter((one) => contains(group.rect, groupRect(one)) && !sameFrame(one, group))
      .map((one) => one.id),
    notes: Object.values(board.notes)
      .filter((one) => takes("notes", one.id) && middle(one.rect))
      .map((one) => one.id),
  };
}

/** Of two frames of exactly the same size, the one made later lies in the other. */
const sameFrame = (one: Group, group: Group): boolean => contains(groupRect(one), group.rect) && one.id < group.id;
