/** A panel at the side of the canvas: heading, a button that closes it, and whatever is in it. */
import { X } from "lucide-react";
import { type ReactNode, useId } from "react";
import { useEditor } from "../app/context";
import { IconButton } from "../ui/button";
import { t } from "../ui/text";

interface Props {
  side: "left" | "right";
  title: string;
  children: ReactNode;
  /** Buttons beside the heading. */
  tools?: ReactNode;
  className?: string;
}

export function Side({ side, title, children, tools, className = "" }: Props): ReactNode {
  const { shell } = useEditor();
  const id = useId();
  return (
    <aside className={`side ${side} ${className}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {tools}
        <IconButton label={t("close")} onClick={() => shell.setState({ [side]: null })}>
          <X size={16} />
        </IconButton>
      </header>
      {children}
    </aside>
  );
}
