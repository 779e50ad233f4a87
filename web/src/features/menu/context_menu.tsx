/** What can be done with what was clicked: a selection of the command table. */
import type { ReactNode } from "react";
import { COLORS } from "../../app/commands/node";
import { useEditor, useView } from "../../app/context";
import type { OpenDocument } from "../../app/open_document";
import type { MenuRequest } from "../../app/stores";
import { addReroute, disconnect, exposeKnob, resetValue, unexposeKnob } from "../../core/commands";
import { pinKnob } from "../../core/commands/form";
import { boardAt } from "../../core/document";
import { MenuAt, type MenuPart } from "../../ui/menu";
import { t } from "../../ui/text";
import { type Commands, useCommands } from "../use_commands";

export function ContextMenu({ open }: { open: OpenDocument }): ReactNode {
  const menu = useView(open, (view) => view.menu);
  const commands = useCommands();
  const { server } = useEditor();
  if (!menu) return null;
  const palette = server.getState().palette;
  const parts = menu.on === "link" || menu.on === "input" ? forEnd(open, menu, palette) : forItems(menu, commands);
  if (!parts.length) return null;
  return (
    <MenuAt
      key={`${menu.screen[0]} ${menu.screen[1]}`}
      at={menu.screen}
      parts={parts}
      label={t("menu")}
      close={() => open.view.setState({ menu: null })}
    />
  );
}

function forItems(menu: MenuRequest, { entry, can, brought }: Commands): MenuPart[] {
  const some = (...ids: string[]): MenuPart[] => ids.filter(can).map((id) => entry(id));
  const ofPacks = some(
    ...brought.filter((one) => one.menu === (menu.on === "canvas" ? "canvas" : "node")).map(({ id }) => id),
  );
  if (menu.on === "canvas") {
    return [
      ...some("node.add", "node.note", "edit.paste"),
      "line",
      ...some("edit.undo", "edit.redo", "edit.all"),
      "line",
      ...some("view.out", "view.fit", "node.layout", "view.snap", "view.minimap"),
      ...(ofPacks.length ? (["line", ...ofPacks] as MenuPart[]) : []),
    ];
  }
  const parts: MenuPart[] = [];
  const add = (...more: MenuPart[]) => {
    if (!more.length) return;
    if (parts.length) parts.push("line");
    parts.push(...more);
  };
  add(...some("run.selected"));
  add(...some("view.enter", "node.unpack", "node.subgraph", "node.group", "node.replace"));
  add(
    ...some("node.mute", "node.bypass", "node.collapse", "node.compact", "node.detach", "node.extract"),
    ...some("node.hide-wires", "node.lock"),
  );
  add(...some("edit.copy", "edit.cut", "edit.duplicate", "view.fit-selected"));
  add(...ofPacks);
  const swatches = COLORS.map(([name, color]) => ({ ...entry(`node.${name}`), color }));
  if (can("node.color.none")) add({ swatches });
  add(...some("edit.delete-join"), ...(can("edit.delete") ? [entry("edit.delete", { bad: true })] : []));
  return parts;
}

type Palette = Parameters<typeof resetValue>[3];

function forEnd(open: OpenDocument, menu: MenuRequest, palette: Palette): MenuPart[] {
  const { path, readOnly } = open.view.getState();
  if (readOnly) return [];
  const { id: step, field: input = "", index = 0 } = menu;
  const run = open.document.run;
  const known = boardAt(open.document.getState(), path).steps[step];
  if (!known) return [];
  const wire = { step, input, index };
  if (menu.on === "link") {
    return [
      { id: "reroute", label: t("link.reroute"), run: () => run(addReroute(path, wire, 0, menu.at)) },
      { id: "cut", label: t("link.cut"), bad: true, run: () => run(disconnect(path, [wire])) },
    ];
  }
  const exposed = known.exposed.includes(input);
  return [
    exposed
      ? { id: "widget", label: t("input.widget"), run: () => run(unexposeKnob(path, step, input)) }
      : { id: "wire", label: t("input.wire"), run: () => run(exposeKnob(path, step, input)) },
    ...(path.length || exposed
      ? []
      : [{ id: "pin", label: t("form.pin"), run: () => run(pinKnob([step, input], palette)) }]),
    { id: "reset", label: t("input.reset"), run: () => run(resetValue(path, step, input, palette)) },
  ];
}
