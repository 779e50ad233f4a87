/** A command, a panel and a setting for the editor. What each `add` gives takes it away again; so does turning it off. */
export const api = 1;

export function activate(app) {
  const hash = app.settings.add({ id: "hash", label: "Copy colours with #", usual: true });

  const colors = () => {
    const steps = Object.values(app.workflow.read()?.steps ?? {});
    const said = steps.filter(({ kind }) => kind === "example/gradient").flatMap(({ inputs }) => [inputs.first, inputs.last]);
    return said.filter((one) => typeof one === "string");
  };

  app.commands.add({
    id: "swap",
    label: "Swap the colours of gradients",
    keys: ["Alt+Shift+X"],
    when: () => colors().length > 0,
    run() {
      for (const [id, { kind, inputs }] of Object.entries(app.workflow.read().steps)) {
        if (kind !== "example/gradient") continue;
        app.workflow.set(id, { first: inputs.last ?? "#ffffff", last: inputs.first ?? "#000000" });
      }
    },
  });

  app.panels.add({
    id: "colors",
    label: "Colours",
    render({ el }) {
      const list = document.createElement("ul");
      el.replaceChildren(list);
      const show = () => {
        const lines = colors().map((color) => {
          const line = document.createElement("li");
          line.textContent = hash.get() ? color : color.replace("#", "");
          return line;
        });
        list.replaceChildren(...lines);
      };
      show();
      const leave = [app.on("workflow", show), app.on("settings", show)];
      return () => leave.forEach((one) => one());
    },
  });
}
