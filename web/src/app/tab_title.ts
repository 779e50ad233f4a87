/**
 * The browser tab's title: how far the run is, then the document. Set as soon as something is heard, not when a frame is
 * drawn: a tab in the background draws none.
 */
import type { ServerStore } from "./stores";
import type { Workspace } from "./workspace";

export function titleOf(name: string, parts: readonly number[], waiting: number): string {
  const base = name ? `${name} · Latent Loom` : "Latent Loom";
  if (parts.length) return `${Math.round(Math.max(...parts) * 100)}% ${base}`;
  return waiting ? `(${waiting}) ${base}` : base;
}

export function followTitle(server: ServerStore, workspace: Workspace): void {
  let leave = () => {};
  let followed = "";
  const tell = () => {
    const { runs, progress } = server.getState();
    const running = runs.filter(({ status }) => status === "running");
    const waiting = runs.filter(({ status }) => status === "queued").length;
    const name = workspace.active?.document.getState().title ?? "";
    const title = titleOf(
      name,
      running.map(({ id }) => progress[id]?.part ?? 0),
      waiting,
    );
    if (document.title !== title) document.title = title;
  };
  server.subscribe(tell);
  workspace.store.subscribe(() => {
    const { active } = workspace;
    if (active && active.id !== followed) {
      leave();
      followed = active.id;
      leave = active.document.subscribe((now, before) => now.title !== before.title && tell());
    }
    tell();
  });
}
