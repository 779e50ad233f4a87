/** Where an arrow key leads: sideways along the first wire, else to the nearest node in that direction. */

import type { Point } from "../core/types";
import type { Scene } from "./scene";
import type { SceneNode } from "./scene_types";

export function neighbour(scene: Scene, from: string | null, dx: number, dy: number, center: Point): string | null {
  const node = from === null ? undefined : scene.nodes.get(from);
  if (!node) return nearestTo(scene, center)?.id ?? null;
  if (dx !== 0) {
    const along = alongWire(scene, node, dx);
    if (along) return along.id;
  }
  return towards(scene, node, dx, dy)?.id ?? null;
}

/** The nearest of the nodes that feed it (left) or that it feeds (right). */
function alongWire(scene: Scene, node: SceneNode, dx: number): SceneNode | null {
  const ends = scene.linksOf(node.id).flatMap((link) => {
    if (dx > 0) return link.from === node ? [link.to] : [];
    return link.to === node ? [link.from] : [];
  });
  return least(ends, (one) => Math.abs(middle(one)[1] - middle(node)[1]));
}

function towards(scene: Scene, node: SceneNode, dx: number, dy: number): SceneNode | null {
  const [x, y] = middle(node);
  const others = [...scene.nodes.values()].filter((one) => {
    const [ox, oy] = middle(one);
    return one !== node && (ox - x) * dx + (oy - y) * dy > 1;
  });
  return least(others, (one) => {
    const [ox, oy] = middle(one);
    const along = Math.abs((ox - x) * dx + (oy - y) * dy);
    const aside = Math.abs((ox - x) * dy + (oy - y) * dx);
    return along + 2.5 * aside;
  });
}

const nearestTo = (scene: Scene, [x, y]: Point): SceneNode | null =>
  least([...scene.nodes.values()], (one) => Math.hypot(middle(one)[0] - x, middle(one)[1] - y));

const middle = ({ rect }: SceneNode): Point => [rect.x + rect.width / 2, rect.y + rect.height / 2];

function least<T>(some: readonly T[], of: (one: T) => number): T | null {
  let best: T | null = null;
  let value = Number.POSITIVE_INFINITY;
  for (const one of some) {
    const own = of(one);
    if (own < value) {
      best = one;
      value = own;
    }
  }
  return best;
}
