// A pack's widget, as a pack would write it: stars to click.
export default {
  api: 1,
  render({ model, el, signal }) {
    const buttons = [1, 2, 3, 4, 5].map((count) => {
      const button = document.createElement("button");
      button.textContent = "★";
      button.title = String(count);
      button.addEventListener("click", () => {
        model.set(count);
        show();
      });
      el.append(button);
      return button;
    });
    const show = () => {
      for (const [at, button] of buttons.entries()) button.setAttribute("aria-pressed", String(at < model.get()));
    };
    const end = model.on("change", show);
    signal.addEventListener("abort", () => {
      window.starsEnded = (window.starsEnded ?? 0) + 1;
    });
    show();
    return end;
  },
};
