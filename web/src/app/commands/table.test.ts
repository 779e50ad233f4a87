import { expect, it } from "vitest";
import { emptyDocument } from "../../core/document";
import { TEXTS } from "../../ui/text";
import { openDocument } from "../open_document";
import { USUAL } from "../settings";
import { can } from "./command";
import { COMMANDS, command, commandsFor, keysOf } from "./table";

it("every command has an id of its own, a label and a group", () => {
  expect(new Set(COMMANDS.map(({ id }) => id)).size).toBe(COMMANDS.length);
  for (const one of COMMANDS) expect(TEXTS[one.label], one.id).toBeTruthy();
});

it("no shortcut stands for two commands", () => {
  for (const key of COMMANDS.flatMap((one) => keysOf(one, USUAL))) {
    expect(
      commandsFor(key, USUAL).map(({ id }) => id),
      key,
    ).toHaveLength(1);
  }
});

it("what a person chose counts, also that a command shall have none", () => {
  const keys = { "view.fit": [], "edit.all": ["1"] };
  expect(commandsFor("1", { keys }).map(({ id }) => id)).toEqual(["edit.all"]);
  expect(commandsFor("Mod+A", { keys })).toEqual([]);
});

it("whatever changes the document says so, and so is not offered while somebody else has it", () => {
  for (const one of COMMANDS) {
    if (/^edit\.(undo|redo|cut|paste|duplicate|delete)|^node\./.test(one.id)) expect(one.edits, one.id).toBe(true);
  }
});

it("nothing is done to the canvas while the form is shown instead of it", () => {
  const document = (shown: boolean) => ({ ...emptyDocument(), extra: { form: { shown } } });
  const at = (shown: boolean) => ({ open: openDocument("x", document(shown)), editor: {} }) as never;
  for (const id of ["edit.all", "node.add", "node.note"]) {
    expect(can(command(id), at(false)), id).toBe(true);
    expect(can(command(id), at(true)), id).toBe(false);
  }
  expect(can(command("run.all"), at(true))).toBe(true);
  expect(can(command("view.form"), at(true))).toBe(true);
});
