import { expect, it } from "vitest";
import { TEXTS } from "../../ui/text";
import { USUAL } from "../settings";
import { COMMANDS, commandsFor, keysOf } from "./table";

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
