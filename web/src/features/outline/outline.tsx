/**
 * The whole board as a tree: nodes in the order of the work, their inputs, values and outputs. Always complete, whatever
 * the canvas shows. Arrows walk, → opens, ← closes, Enter goes to the node on the canvas.
 */
import { ChevronRight, Search } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useMemo, useRef, useState } from "react";
import { useActive, useDocument, useServer, useView } from "../../app/context";
import { showStep } from "../../app/go_to";
import type { OpenDocument } from "../../app/open_document";
import { type OutlineItem, outline } from "../../core/outline";
import { folded } from "../../core/search";
import { t } from "../../ui/text";
import { Side } from "../side";
import "./outline.css";

export default function OutlinePanel(): ReactNode {
  const open = useActive();
  return (
    <Side side="left" title={t("outline.title")} className="outline">
      {open ? <Tree key={open.id} open={open} /> : null}
    </Side>
  );
}

function Tree({ open }: { open: OpenDocument }): ReactNode {
  const document = useDocument(open, (state) => state);
  const path = useView(open, (view) => view.path);
  const scope = useView(open, (view) => view.scope);
  const selection = useView(open, (view) => view.selection);
  const palette = useServer((server) => server.palette);
  const [query, setQuery] = useState("");
  const [unfolded, setUnfolded] = useState<ReadonlySet<string>>(new Set());
  const [focus, setFocus] = useState("");
  const tree = useRef<HTMLDivElement>(null);

  const items = useMemo(() => {
    const words = folded(query.trim());
    const all = outline(document, path, palette);
    return words ? all.filter((one) => [one, ...one.children].some(({ text }) => folded(text).includes(words))) : all;
  }, [document, path, palette, query]);

  const shown = items.flatMap((one) => [one, ...(unfolded.has(one.key) ? one.children : [])]);
  const now = shown.find(({ key }) => key === focus) ?? shown[0];
  const fold = (key: string, unfold: boolean) => {
    const next = new Set(unfolded);
    if (unfold) next.add(key);
    else next.delete(key);
    setUnfolded(next);
  };
  const focusOn = (item: OutlineItem | undefined) => {
    if (!item) return;
    setFocus(item.key);
    tree.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(item.key)}"]`)?.focus();
  };
  const go = (item: OutlineItem) =>
    showStep(open, { path, scope, step: item.step }, item.what === "step" ? "" : item.field);

  const key = (event: KeyboardEvent) => {
    if (!now) return;
    const at = shown.indexOf(now);
    const isStep = now.what === "step";
    if (event.key === "ArrowDown") focusOn(shown[at + 1]);
    else if (event.key === "ArrowUp") focusOn(shown[at - 1]);
    else if (event.key === "Home") focusOn(shown[0]);
    else if (event.key === "End") focusOn(shown.at(-1));
    else if (event.key === "ArrowRight" && isStep) {
      if (unfolded.has(now.key)) focusOn(now.children[0]);
      else fold(now.key, true);
    } else if (event.key === "ArrowLeft") {
      if (isStep) fold(now.key, false);
      else focusOn(items.find(({ step }) => step === now.step));
    } else if (event.key === "Enter" || event.key === " ") go(now);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const row = (item: OutlineItem): ReactNode => {
    const isStep = item.what === "step";
    return (
      // biome-ignore lint/a11y/useKeyWithClickEvents: the tree has the keys.
      <div
        key={item.key}
        role="treeitem"
        data-key={item.key}
        tabIndex={item === now ? 0 : -1}
        aria-level={isStep ? 1 : 2}
        aria-selected={isStep && selection.has(item.step)}
        aria-expanded={isStep ? unfolded.has(item.key) : undefined}
        onFocus={(event) => event.target === event.currentTarget && setFocus(item.key)}
        onClick={(event) => {
          event.stopPropagation();
          setFocus(item.key);
          go(item);
        }}
      >
        <div className="text">
          {isStep ? (
            // biome-ignore lint/a11y/noStaticElementInteractions: → and ← do it.
            // biome-ignore lint/a11y/useKeyWithClickEvents: → and ← do it.
            <span
              onClick={(event) => {
                event.stopPropagation();
                fold(item.key, !unfolded.has(item.key));
              }}
            >
              <ChevronRight size={14} aria-hidden="true" />
            </span>
          ) : null}
          <span className="cut">{item.text}</span>
        </div>
        {isStep && unfolded.has(item.key) ? (
          // biome-ignore lint/a11y/useSemanticElements: a part of a tree is a group.
          <div role="group">{item.children.map(row)}</div>
        ) : null}
      </div>
    );
  };

  return (
    <>
      <div className="tools">
        <label className="search spring">
          <Search size={14} />
          <input
            className="field"
            type="search"
            aria-label={t("outline.search")}
            placeholder={t("outline.search")}
            value={query}
            onChange={(event) => setQuery(event.target.value)}
          />
        </label>
      </div>
      <div className="scroll">
        {items.length ? (
          <div ref={tree} role="tree" aria-label={t("outline.title")} tabIndex={-1} onKeyDown={key}>
            {items.map(row)}
          </div>
        ) : (
          <p className="empty">{query ? t("commands.none") : t("outline.none")}</p>
        )}
      </div>
    </>
  );
}
