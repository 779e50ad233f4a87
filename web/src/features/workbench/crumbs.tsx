import { ChevronRight } from "lucide-react";
import type { ReactNode } from "react";
import { useDocument, useView } from "../../app/context";
import type { OpenDocument } from "../../app/open_document";
import { t } from "../../ui/text";

/** Where one is among subgraphs, and the way back. */
export function Crumbs({ open }: { open: OpenDocument }): ReactNode {
  const path = useView(open, (view) => view.path);
  const definitions = useDocument(open, (document) => document.definitions);
  const title = useDocument(open, (document) => document.title);
  if (!path.length) return null;
  const names = [title || t("crumbs.top"), ...path.map((id) => definitions[id]?.title || id)];
  const leave = (depth: number) =>
    open.view.setState(({ scope }) => ({
      path: path.slice(0, depth),
      scope: scope.slice(0, depth),
      selection: new Set<string>(scope[depth] ? [scope[depth]] : []),
    }));
  return (
    <nav className="crumbs" aria-label={t("crumbs.title")}>
      <ol>
        {names.map((name, depth) => (
          <li key={depth}>
            {depth ? <ChevronRight size={14} aria-hidden="true" /> : null}
            <button
              type="button"
              aria-current={depth === path.length ? "location" : undefined}
              onClick={() => leave(depth)}
            >
              {name}
            </button>
          </li>
        ))}
      </ol>
    </nav>
  );
}
