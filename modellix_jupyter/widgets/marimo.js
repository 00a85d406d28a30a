// The panel in marimo, which shows anywidgets, and has the models of all other widgets too.
//
// Draws the panel's tree: controls of ipywidgets by what stands in their models, under the class
// names by which the style sheet knows them, and anywidgets by their own code. To Python:
// {settle: id}, which {settled: id} answers.

const LAYOUT = ["display", "width", "min_width", "max_width", "flex_flow", "align_items"];

/** How marimo wants to be asked for what a model names. */
const reference = (name) => name.replace("IPY_MODEL_", "anywidget:");

/** Do it now, and whenever one of these traits changes, until the signal. */
function keep(model, traits, update, signal) {
  const names = traits.map((name) => `change:${name}`).join(" ");
  signal.addEventListener("abort", follow(model, { [names]: update }));
  update();
}

// -- the kinds of controls: each fills its element, and returns what to do when its traits change

function box(el, model, page, signal) {
  const shown = new Map();
  let turn = 0;
  const show = async () => {
    const mine = ++turn;
    const names = model.get("children");
    for (const [name, { end }] of shown) if (!names.includes(name)) end.abort(), shown.delete(name);
    for (const name of names) if (!shown.has(name)) shown.set(name, child(name, page, signal));
    const drawn = await Promise.all(names.map((name) => shown.get(name).drawn));
    if (mine === turn) el.replaceChildren(...drawn);
  };
  keep(model, ["children"], show, signal);
}

/** Draw a child, which ends with its parent, or before. */
function child(name, page, signal) {
  const end = new AbortController();
  signal.addEventListener("abort", () => end.abort());
  return { end, drawn: draw(name, page, end.signal) };
}

function tabs(el, model, page, signal) {
  const bar = h("div", { class: "lm-TabBar lm-TabBar-content", role: "tablist" });
  const pages = h("div", { class: "widget-tab-contents" });
  el.append(bar, pages);
  box(pages, model, page, signal);
  const titles = model.get("titles") ?? Object.values(model.get("_titles"));
  const made = titles.map((title, index) =>
    h("button", { class: "lm-TabBar-tab", role: "tab", click: () => setTrait(model, "selected_index", index) }, title));
  bar.append(...made);
  const show = () => {
    const chosen = model.get("selected_index") ?? 0;
    made.forEach((tab, index) => {
      tab.classList.toggle("lm-mod-current", index === chosen);
      set(tab, "aria-selected", index === chosen);
    });
    set(pages, "data-shown", chosen);
  };
  keep(model, ["selected_index"], show, signal);
}

function markup(el, model, _, signal) {
  const content = h("div", { class: "widget-html-content" });
  el.append(content);
  // what is in it was escaped in the kernel, as for every notebook
  keep(model, ["value"], () => { content.innerHTML = model.get("value"); }, signal);
}

function button(el, model, page, signal) {
  const toggles = model.get("_view_name") === "ToggleButtonView";
  el.addEventListener("click", () => {
    if (toggles) setTrait(model, "value", !model.get("value"));
    else page.settle().then(() => model.send({ event: "click" }));
  });
  const show = () => {
    el.className = ["jupyter-button", model.get("button_style") && `mod-${model.get("button_style")}`, toggles && model.get("value") && "mod-active", ...model.get("_dom_classes")].filter(Boolean).join(" ");
    el.textContent = model.get("description");
    el.title = model.get("tooltip") ?? "";
    el.disabled = model.get("disabled");
  };
  keep(model, ["description", "disabled", "value"], show, signal);
}

function choices(el, model, _, signal) {
  const made = model.get("_options_labels").map((label, index) =>
    h("button", { class: "jupyter-button", title: model.get("tooltips")?.[index] ?? "", click: () => setTrait(model, "index", index) }, label));
  el.append(...made);
  const show = () => made.forEach((each, index) => {
    each.classList.toggle("mod-active", index === model.get("index"));
    set(each, "aria-pressed", index === model.get("index"));
  });
  keep(model, ["index"], show, signal);
}

/** A field with its label: `read` and `write` say what its value is. */
function field(el, model, input, signal, traits, read, write) {
  const id = `mx-${unique()}`;
  input.id = id;
  input.title = model.get("tooltip") ?? model.get("description_tooltip") ?? "";
  if (input.type === "checkbox") el.append(h("label", {}, input, model.get("description")));
  else el.append(h("label", { class: "widget-label", for: id }, model.get("description")), input);
  input.addEventListener("change", () => {
    const [name, value] = read();
    setTrait(model, name, value);
  });
  const show = () => {
    input.disabled = model.get("disabled");
    write();
  };
  keep(model, [...traits, "disabled"], show, signal);
}

function text(tag, attributes = {}) {
  return (el, model, _, signal) => {
    const input = h(tag, { ...attributes, placeholder: model.get("placeholder") ?? "", rows: tag === "textarea" && (model.get("rows") ?? 3) });
    const value = () => (attributes.type === "number" ? Number(input.value) : input.value);
    field(el, model, input, signal, ["value"], () => ["value", value()], () => { input.value = model.get("value"); });
  };
}

function number(el, model, page, signal) {
  const step = model.get("step") ?? "any";
  text("input", { type: "number", min: model.get("min"), max: model.get("max"), step })(el, model, page, signal);
}

function select(el, model, _, signal) {
  const input = h("select");
  const write = () => {
    input.replaceChildren(...model.get("_options_labels").map((label) => h("option", {}, label)));
    input.selectedIndex = model.get("index") ?? -1;
  };
  field(el, model, input, signal, ["_options_labels", "index"], () => ["index", input.selectedIndex], write);
}

function tick(el, model, _, signal) {
  const input = h("input", { type: "checkbox" });
  field(el, model, input, signal, ["value"], () => ["value", input.checked], () => { input.checked = model.get("value"); });
}

const LABELLED = "widget-inline-hbox";
const KINDS = {
  VBoxView: [box, "div", "mx-vbox"],
  HBoxView: [box, "div", "mx-hbox"],
  TabView: [tabs, "div", "jupyter-widget-tab"],
  HTMLView: [markup, "div", "widget-html"],
  ButtonView: [button, "button", ""],
  ToggleButtonView: [button, "button", ""],
  ToggleButtonsView: [choices, "div", "widget-toggle-buttons mx-hbox"],
  TextView: [text("input", { type: "text" }), "div", LABELLED],
  TextareaView: [text("textarea"), "div", LABELLED],
  IntTextView: [number, "div", LABELLED],
  FloatTextView: [number, "div", LABELLED],
  DropdownView: [select, "div", LABELLED],
  CheckboxView: [tick, "div", `widget-checkbox ${LABELLED}`],
};

/** Return the element of a widget, which follows its model until the signal. */
async function draw(name, page, signal) {
  const model = await page.getModel(reference(name));
  const [fill, tag, classes] = KINDS[model.get("_view_name")] ?? [null, "div", ""];
  const el = h(tag, { class: `${classes} ${(model.get("_dom_classes") ?? []).join(" ")}` });
  if (fill) fill(el, model, page, signal);
  else await (await page.getWidget(reference(name))).render({ el, signal });
  const layout = await page.getModel(reference(model.get("layout")));
  const lay = () => LAYOUT.forEach((each) => el.style.setProperty(each.replaceAll("_", "-"), layout.get(each) ?? ""));
  keep(layout, LAYOUT, lay, signal);
  return el;
}

/** Return what resolves when Python has answered: marimo sends each change by itself, and by then
 *  the last change of every field has arrived. */
function settled(model, signal) {
  const waiting = new Map();
  const receive = ({ settled }) => waiting.get(settled)?.();
  signal.addEventListener("abort", follow(model, { "msg:custom": receive }));
  return () => new Promise((resolve) => {
    const id = unique();
    waiting.set(id, () => waiting.delete(id) && resolve());
    model.send({ settle: id });
  });
}

function render({ model, el, host }) {
  const end = new AbortController();
  const page = {
    getModel: (name) => host.getModel(name),
    getWidget: (name) => host.getWidget(name),
    settle: settled(model, end.signal),
  };
  // the viewer opens outside of the shadow that this stands in
  const style = h("style", {}, model.get("_css"));
  document.head.append(style);
  el.classList.add("mx-panel", "mx-vbox");
  box(el, model, page, end.signal);
  return () => {
    end.abort();
    style.remove();
  };
}

export default { render };
