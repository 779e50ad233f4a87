/** A widget: two buttons around a number. Plain JavaScript, no build; the value lives in the workflow. */
export default {
  api: 1,
  render({ model, el }) {
    const style = new CSSStyleSheet(); // the page's policy allows no <style>
    style.replaceSync("div { align-items: center; display: flex; gap: 4px } output { flex: 1; text-align: center }");
    el.getRootNode().adoptedStyleSheets = [style];

    const less = document.createElement("button");
    const shown = document.createElement("output");
    const more = document.createElement("button");
    less.textContent = "−";
    more.textContent = "+";
    less.ariaLabel = "fewer";
    more.ariaLabel = "more";
    el.replaceChildren(less, shown, more);

    const { min, max } = model.def;
    const show = (value) => {
      shown.value = value;
      less.disabled = value <= min;
      more.disabled = value >= max;
    };
    less.onclick = () => step(-1);
    more.onclick = () => step(1);
    function step(by) {
      model.set(model.get() + by);
      show(model.get());
    }
    show(model.get());
    return model.on("change", show);
  },
};
