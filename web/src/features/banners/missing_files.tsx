/** Models and pictures that the workflow names and this machine has not: where they were looked for, what would fit. */
import { FileQuestion } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import { useStore } from "zustand";
import { useEditor, useServer, useView } from "../../app/context";
import { goTo } from "../../app/go_to";
import { type Missing, missingIn } from "../../app/models_used";
import type { OpenDocument } from "../../app/open_document";
import { setValue } from "../../core/commands";
import { Button } from "../../ui/button";
import { t } from "../../ui/text";

const MOST = 3;

export function MissingFiles({ open }: { open: OpenDocument }): ReactNode {
  const { server } = useEditor();
  const problems = useStore(open.problems, (state) => state.problems);
  const folders = useServer((state) => state.folders);
  const readOnly = useView(open, (view) => view.readOnly);
  // Several nodes may want the same file: it is asked for once.
  const missing = useMemo(() => {
    const wanted = new Map<string, Missing[]>();
    if (!problems.some(({ code }) => code === "no-file")) return [];
    for (const one of missingIn(open.document.getState(), server.getState().palette, server.getState())) {
      const key = `${one.kind} ${one.name}`;
      wanted.set(key, [...(wanted.get(key) ?? []), one]);
    }
    return [...wanted.values()];
  }, [problems, open, server]);

  const use = (places: readonly Missing[], name: string) =>
    open.document.run({
      label: "value",
      change: (draft) => {
        for (const { path, step, knob } of places) setValue(path, step, knob, name).change(draft);
      },
    });

  return missing.slice(0, MOST).map((places) => {
    const [one] = places;
    if (!one) return null;
    const kind = one.kind.replaceAll("_", " ");
    return (
      <div key={`${one.kind} ${one.name}`} className="banner missing">
        <FileQuestion size={16} />
        <p>
          {t("missing.what", { kind, name: one.name, node: one.title })}{" "}
          <span className="quiet">{t("missing.looked", { places: (folders[one.kind] ?? []).join(", ") })}</span>
        </p>
        {readOnly
          ? null
          : one.matches.map(({ name, by }, index) => (
              <Button key={name} kind={index === 0 ? "main" : "plain"} onClick={() => use(places, name)}>
                {t(by === "content" ? "missing.same" : "missing.like", { name })}
              </Button>
            ))}
        <Button onClick={() => goTo(open, one.runId, one.knob)}>{t("missing.choose")}</Button>
      </div>
    );
  });
}
