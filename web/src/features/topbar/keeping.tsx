/** Whether what is edited is written down. */
import { Check, CloudOff, PenLine, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { useFile } from "../../app/context";
import type { OpenDocument } from "../../app/open_document";
import { t } from "../../ui/text";

const ICONS = { kept: Check, pending: PenLine, offline: CloudOff, conflict: TriangleAlert } as const;

export function Keeping({ open }: { open: OpenDocument }): ReactNode {
  const journal = useFile(open, (file) => file.journal);
  const Icon = ICONS[journal];
  const text = t(`state.${journal}`);
  return (
    <span
      className={`keeping ${journal === "conflict" ? "bad" : ""}`}
      role="img"
      aria-label={text}
      title={text}
      data-journal={journal}
    >
      <Icon size={16} />
    </span>
  );
}
