/** What is wrong with the workflow, and the way there. */
import { TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { useStore } from "zustand";
import { useRun } from "../../app/context";
import { goTo } from "../../app/go_to";
import type { OpenDocument } from "../../app/open_document";
import type { Problem } from "../../core/types";
import { Menu } from "../../ui/menu";
import { t } from "../../ui/text";

const MOST = 20;

export function ErrorList({ open }: { open: OpenDocument }): ReactNode {
  const now = useStore(open.problems, ({ problems }) => problems);
  const refused = useRun(open, ({ status, problems }) => (status === "" || status === "failed" ? problems : NONE));
  const problems = now.length ? now : refused;
  if (!problems.length) return null;
  const parts = [
    { title: t("errors.title") },
    ...problems.slice(0, MOST).map((one, index) => ({
      id: `${index}`,
      label: `${one.place}: ${one.what}`,
      run: () => goTo(open, one.step, one.field),
    })),
  ];
  const text = problems.length === 1 ? t("errors.one") : t("errors.some", { count: problems.length });
  return (
    <Menu parts={parts} align="end">
      <button type="button" className="button errors" title={problems[0]?.fix}>
        <TriangleAlert size={14} />
        {text}
      </button>
    </Menu>
  );
}

const NONE: readonly Problem[] = [];
