/** Menus: under a button, or at a place in the page. Not modal, so that the page needs no style for a scroll lock. */
import { DropdownMenu } from "radix-ui";
import { type ReactNode, useRef } from "react";
import "./menu.css";

export interface MenuEntry {
  id: string;
  label: string;
  keys?: string;
  bad?: boolean;
  disabled?: boolean;
  run: () => void;
}

export interface Swatch extends MenuEntry {
  /** "" for none. */
  color: string;
}

export type MenuPart = MenuEntry | "line" | { title: string } | { swatches: readonly Swatch[] };

/** What is in a menu; as a function it is asked when the menu is opened. */
type Given = readonly MenuPart[] | (() => readonly MenuPart[]);

function Parts({ parts, choose }: { parts: Given; choose: (run: () => void) => void }): ReactNode {
  const now = typeof parts === "function" ? parts() : parts;
  return now.map((part, index) => {
    if (part === "line") return <DropdownMenu.Separator key={index} className="menu-line" />;
    if ("title" in part) {
      return (
        <DropdownMenu.Label key={index} className="menu-title">
          {part.title}
        </DropdownMenu.Label>
      );
    }
    if ("swatches" in part) {
      return (
        <div key={index} className="menu-swatches">
          {part.swatches.map((one) => (
            <DropdownMenu.Item
              key={one.id}
              className="menu-swatch"
              aria-label={one.label}
              title={one.label}
              disabled={one.disabled ?? false}
              onSelect={() => choose(one.run)}
            >
              <i style={one.color ? { background: one.color } : {}} />
            </DropdownMenu.Item>
          ))}
        </div>
      );
    }
    return (
      <DropdownMenu.Item
        key={part.id}
        className={`menu-item ${part.bad ? "bad" : ""}`}
        disabled={part.disabled ?? false}
        onSelect={() => choose(part.run)}
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
  parts: Given;
  align?: "start" | "end";
}) {
  const chosen = useRef<(() => void) | null>(null);
  // What is chosen is done once the button has the focus again: it may move the focus elsewhere.
  const closed = () => {
    const run = chosen.current;
    chosen.current = null;
    if (run) setTimeout(run);
  };
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{children}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          className="menu"
          align={align}
          sideOffset={4}
          collisionPadding={8}
          onCloseAutoFocus={closed}
        >
          <Parts
            parts={parts}
            choose={(run) => {
              chosen.current = run;
            }}
          />
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
  parts: Given;
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
          <Parts parts={parts} choose={(run) => setTimeout(run)} />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
