// The field of a parameter that takes media: drop, paste or choose files, drag a picture of the gallery
// onto it, or write an address or a path.
//
// Synced traits: label, tip, accept, limit (bytes of a file), items ([{name, src}]) and problem.
// To Python: {file, name, last} with a part of the file as a buffer, {text}, {result: key of a card}
// and {remove: index}.

const PART_BYTES = 1 << 20;

class Media {
  constructor(model, el) {
    this.model = model;
    const id = `mx-media-${unique()}`;
    const label = model.get("label");
    this.files = h("input", {
      type: "file", accept: model.get("accept"), hidden: "", tabindex: -1,
      change: () => {
        this.send([...this.files.files]);
        this.files.value = "";
      },
    });
    this.text = h("input", {
      type: "text", id, placeholder: "or an address or a path", title: model.get("tip"), spellcheck: "false",
      change: () => {
        if (this.text.value.trim()) model.send({ text: this.text.value.trim() });
        this.text.value = "";
      },
    });
    const choose = { class: "mx-drop", "aria-label": `Upload for ${label}`, click: () => this.files.click() };
    this.zone = h("button", choose, icon("export"), "Drop, paste or choose a file");
    this.items = h("div", { class: "mx-inputs", role: "list", "aria-label": `Inputs for ${label}` });
    this.problem = h("div", { class: "mx-problem", role: "alert" });
    this.root = h("div", { class: "mx-media-field" }, h("label", { for: id }, label), this.items, this.zone, this.files, this.text, this.problem);
    this.root.addEventListener("dragover", (event) => {
      event.preventDefault();
      set(this.root, "data-over", "");
    });
    this.root.addEventListener("dragleave", () => set(this.root, "data-over", null));
    this.root.addEventListener("drop", (event) => this.take(event, event.dataTransfer));
    this.root.addEventListener("paste", (event) => this.take(event, event.clipboardData));
    el.append(this.root);
  }

  take(event, data) {
    set(this.root, "data-over", null);
    const result = data.getData(RESULT_TYPE);
    if (!data.files.length && !result) return;
    event.preventDefault();
    event.stopPropagation(); // the notebook would upload it too
    if (result) this.model.send({ result });
    else this.send([...data.files]);
  }

  async send(files) {
    for (const file of files) {
      if (file.size > this.model.get("limit")) {
        this.problem.textContent = `${file.name} is larger than ${this.model.get("limit") >> 20} MiB.`;
        continue;
      }
      const id = unique();
      set(this.zone, "aria-busy", true);
      for (let at = 0; at === 0 || at < file.size; at += PART_BYTES) {
        const part = await file.slice(at, at + PART_BYTES).arrayBuffer();
        this.model.send({ file: id, name: file.name, last: at + PART_BYTES >= file.size }, undefined, [part]);
      }
    }
  }

  show() {
    set(this.zone, "aria-busy", null);
    this.problem.textContent = this.model.get("problem");
    this.items.replaceChildren(
      ...this.model.get("items").map(({ name, src }, index) => {
        const picture = src ? h("img", { src, alt: name }) : h("span", { class: "mx-dim" }, name);
        const remove = iconButton("close", `Remove ${name}`, () => this.model.send({ remove: index }));
        return h("div", { class: "mx-input", role: "listitem", title: name }, picture, remove);
      }),
    );
  }
}

function render({ model, el }) {
  const media = new Media(model, el);
  // keep typed keys from the notebook
  const unlisten = ownKeys(media.root, () => false);
  const unfollow = follow(model, { "change:items change:problem": () => media.show() });
  media.show();
  return () => {
    unlisten();
    unfollow();
  };
}

export default { render };
