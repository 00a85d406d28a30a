// Inserts cells below the one that shows the panel; if a page does not allow that, offers to copy them.
//
// To Python: {text: token}. From Python: {cells: [text, ...], count, to: token}. If several pages show
// the panel, only the one with the token inserts them.

const BELOW = '[data-command="notebook:insert-cell-below"]'; // a button of JupyterLab and Notebook 7
const FRAMES = 60;

const mouse = (type) => new MouseEvent(type, { bubbles: true, cancelable: true });
const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

/** Call `find` at each frame until it returns something; return that, or undefined if it takes too long. */
async function soon(find) {
  for (let i = 0; i < FRAMES; i++) {
    const found = find();
    if (found) return found;
    await frame();
  }
  return undefined;
}

/** Insert a cell below another; return it, or undefined if the page has no button for it. */
async function insertBelow(cell, text) {
  const active = () => cell.parentElement?.querySelector(":scope > .jp-mod-active");
  if (active() !== cell) cell.dispatchEvent(mouse("mousedown"));
  // the first button is the notebook's own, and stays; those of the cells come and go
  const button = cell.closest(".jp-NotebookPanel")?.querySelector(BELOW);
  if (!button || !(await soon(() => active() === cell))) return undefined;
  // all events of a click: some of JupyterLab's buttons act on the first of them, others on the last
  for (const type of ["mousedown", "mouseup", "click"]) button.dispatchEvent(mouse(type));
  const made = await soon(() => (active() !== cell ? active() : undefined));
  const editor = await soon(() => made?.querySelector(".cm-content"));
  if (!editor) return undefined;
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text.trimEnd());
  editor.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  return made;
}

class Cells {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.token = "";
    const make = h("button", { class: "mx-quiet", click: () => this.make() }, "As cells");
    this.status = h("span", { class: "mx-dim", role: "status" });
    this.list = h("div", { class: "mx-cell-texts" });
    el.append(h("div", { class: "mx-cells" }, make, this.status, this.list));
  }

  make() {
    this.token = unique();
    this.list.replaceChildren();
    this.status.textContent = "";
    this.model.send({ text: this.token });
  }

  async receive({ cells, count, to }) {
    if (to !== this.token || !cells) return;
    this.token = "";
    let last = this.el.closest(".jp-Cell");
    let inserted = 0;
    for (const text of cells) {
      last = last && (await insertBelow(last, text));
      if (!last) break;
      inserted++;
    }
    const left = cells.slice(inserted);
    const first = count > cells.length ? `The first ${cells.length} of ${count}: ` : "";
    this.status.textContent = first + (left.length ? "copy each into a cell." : `${inserted} inserted below.`);
    this.list.replaceChildren(...left.map((text, i) => this.shown(text, `Cell ${inserted + i + 1}`)));
  }

  shown(text, name) {
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(text);
        this.status.textContent = `${name} is copied.`;
      } catch {
        getSelection().selectAllChildren(pre); // a page may forbid the use of the clipboard
        this.status.textContent = `${name} is selected: copy it.`;
      }
    };
    const pre = h("pre", { "aria-label": name, tabindex: 0 }, text);
    return h("div", { class: "mx-cell-text" }, pre, h("button", { class: "mx-quiet", click: copy }, `Copy ${name}`));
  }
}

function render({ model, el }) {
  const cells = new Cells(model, el);
  return follow(model, { "msg:custom": (message) => cells.receive(message) });
}

export default { render };
