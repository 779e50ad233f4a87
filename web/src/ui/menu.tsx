/** Menus: under a button, or at a place in the page. Not modal, so that the page needs no style for a scroll lock. */
import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";
import "./menu.css";

export interface MenuEntry {
  id: string;
  label: string;
  keys?: string;
  bad?: boolean;
  disabled?: boolean;
  run: () => void;
}

export type MenuPart = MenuEntry | "line" | { title: string };

function Parts({ parts }: { parts: readonly MenuPart[] }): ReactNode {
  return parts.map((part, index) => {
    if (part === "line") return <DropdownMenu.Separator key={index} className="menu-line" />;
    if ("title" in part) {
      return (
        <DropdownMenu.Label key={index} className="menu-title">
          {part.title}
        </DropdownMenu.Label>
      );
    }
    return (
      <DropdownMenu.Item
        key={part.id}
        className={`menu-item ${part.bad ? "bad" : ""}`}
        disabled={part.disabled ?? false}
        onSelect={() => setTimeout(part.run)}
      >
        <span>{part.label}</span>
        {part.keys ? <kbd>{part.keys}</kbd> : null}
      </DropdownMenu.Item>
    );
  });
}

/** A menu under the button that is its child. */
export function Menu({
  children,
  parts,
  align = "start",
}: {
  children: ReactNode;
  parts: readonly MenuPart[];
  align?: "start" | "end";
}) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{children}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align={align} sideOffset={4} collisionPadding={8}>
          <Parts parts={parts} />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

/** A menu at a place in the page, open until something is chosen. */
export function MenuAt({
  at,
  parts,
  close,
  label,
}: {
  at: readonly [number, number];
  parts: readonly MenuPart[];
  close: () => void;
  label: string;
}) {
  return (
    <DropdownMenu.Root modal={false} open onOpenChange={(open) => !open && close()}>
      <DropdownMenu.Trigger asChild>
        <span aria-hidden="true" style={{ position: "fixed", left: at[0], top: at[1], width: 0, height: 0 }} />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="start" aria-label={label} sideOffset={0} collisionPadding={8}>
          <Parts parts={parts} />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
