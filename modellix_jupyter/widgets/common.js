// Shared by the panel's modules. Every text is set as text: prompts and answers are untrusted.

const PATHS = {
  again: "M4 12a8 8 0 1 1 2.5 5.8M4 20v-5h5",
  alert: "M12 3 2.5 20h19zM12 10v4M12 17v.5",
  check: "M5 12.5l4.5 4.5L19 7.5",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3.5 2",
  close: "M6 6l12 12M18 6 6 18",
  compare: "M12 3v18M4 6h5v12H4zM15 6h5v12h-5z",
  export: "M12 15V4M8 8l4-4 4 4M5 13v7h14v-7",
  form: "M4 5h16v14H4zM10 5v14",
  input: "M4 5h8M4 5v14h16v-7M20 4l-9 9M11 8v5h5",
  never: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM6 6l12 12",
  open: "M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7",
  pause: "M9 6v12M15 6v12",
  play: "M8 5l11 7-11 7z",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 20 20",
  send: "M4 12 20 4l-5 16-4-7z",
  sound: "M9 18a3 3 0 1 1-2-2.8V5l12-2v11.5a3 3 0 1 1-2-2.8V7L9 8.6z",
  star: "M12 4l2.5 5.2 5.7.8-4.1 4 1 5.7-5.1-2.7-5.1 2.7 1-5.7-4.1-4 5.7-.8z",
  stop: "M7 7h10v10H7z",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  unknown: "M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2.2M12 17v.5",
  use: "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4",
};

function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  if (tag === "button") made.type = "button";
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Return the parts of a text, those between backticks as code. */
function ticked(text) {
  const parts = text.split("`");
  return parts.length % 2 ? parts.map((part, i) => (i % 2 ? h("code", {}, part) : part)) : [text];
}

function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "mx-icon");
  path.setAttribute("d", PATHS[name] ?? PATHS.unknown);
  svg.append(path);
  return svg;
}

/** Return a button with an icon; its label is also its tooltip. */
function iconButton(name, label, click, attributes = {}) {
  const about = { class: "mx-icon-button", title: label, "aria-label": label };
  return h("button", { ...about, ...attributes, click }, icon(name));
}

/** Set an attribute only if it differs: a screen reader reads out every attribute that is set. */
function set(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** The type of the data that a picture dragged within the panel carries: the key of its card. */
const RESULT_TYPE = "application/x-modellix-result";

/** What has the focus around a node: a front end may have put the panel into a shadow. */
const focusOf = (node) => node.getRootNode().activeElement ?? null;

const unique = () => Math.random().toString(36).slice(2);

function setTrait(model, name, value) {
  model.set(name, value);
  model.save_changes();
}

/** Listen to a model; return a function that ends it. Not every front end takes several names at once. */
function follow(model, handlers) {
  const pairs = Object.entries(handlers).flatMap(([names, handler]) => names.split(" ").map((name) => [name, handler]));
  for (const [name, handler] of pairs) model.on(name, handler);
  return () => pairs.forEach(([name, handler]) => model.off(name, handler));
}

/** Handle the keys typed inside `root`, and keep them from a notebook's own one-key commands. */
function ownKeys(root, handle) {
  const listen = (event) => {
    const [target] = event.composedPath(); // inside a shadow, if it stands in one
    if (!root.contains(target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (handle(event.key, target)) event.preventDefault();
    // the notebook listens at the document, and would delete a cell at "d d"
    if (event.key !== "Tab") event.stopImmediatePropagation();
  };
  window.addEventListener("keydown", listen, true);
  return () => window.removeEventListener("keydown", listen, true);
}
