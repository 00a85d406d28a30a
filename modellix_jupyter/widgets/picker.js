// A field to choose models: type any part of a name, a type or a price; Enter takes the first.
//
// Synced traits: models ([slug, type, price, description], the recent ones first), recent (how
// many of them are), chosen (slugs) and placeholder. To Python: {text} that fits no model; if
// it is chosen, {taken: true} answers.

const MAX_SHOWN = 60;

class Picker {
  constructor(model, el) {
    this.model = model;
    this.active = 0;
    this.found = [];
    const list = `mx-models-${unique()}`;
    this.field = h("input", {
      type: "text", role: "combobox", "aria-label": "Model", "aria-expanded": "false", "aria-controls": list,
      "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false", id: `${list}-field`,
      input: () => this.search(), focus: () => this.search(), blur: () => this.leave(),
    });
    this.list = h("ul", { id: list, role: "listbox", "aria-label": "Models", hidden: "" });
    this.list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
    this.chips = h("div", { class: "mx-chips" });
    this.label = h("label", { for: `${list}-field` }, "Model");
    this.box = h("div", { class: "mx-combo" }, icon("search"), this.field, this.list);
    this.root = h("div", { class: "mx-picker" }, this.label, this.chips, this.box);
    el.append(this.root);
  }

  show() {
    const known = new Map(this.model.get("models").map((each) => [each[0], each]));
    const chips = this.model.get("chosen").map((slug) => {
      const [, type, price] = known.get(slug) ?? [slug, "", ""];
      const facts = [type, price].filter(Boolean).join(" · ");
      const name = h("span", { class: "mx-slug" }, slug, h("span", { class: "mx-dim" }, facts));
      return h("button", { class: "mx-chip", title: `Remove ${slug}`, "aria-label": `${slug} ✕`, click: () => this.remove(slug) }, name, icon("close"));
    });
    this.chips.replaceChildren(...chips);
    this.field.placeholder = chips.length ? "Add another model" : this.model.get("placeholder");
    if (!this.list.hidden) this.search();
  }

  search() {
    const words = this.field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = new Set(this.model.get("chosen"));
    const fits = ([slug, type, price, description]) => {
      const text = `${slug} ${type} ${price} ${description}`.toLowerCase();
      return !chosen.has(slug) && words.every((word) => text.includes(word));
    };
    const all = this.model.get("models").map((each, index) => ({ each, recent: index < this.model.get("recent") }));
    this.found = all.filter(({ each }) => fits(each));
    // a word in the name counts more than one in the description
    const inName = ({ each }) => words.every((word) => each[0].toLowerCase().includes(word));
    if (words.length) this.found.sort((a, b) => inName(b) - inName(a));
    this.active = 0;
    this.draw(Boolean(words.length));
  }

  draw(searching) {
    const rows = [];
    const say = (text) => rows.push(h("li", { role: "presentation", class: "mx-heading" }, text));
    let group = null;
    this.found.slice(0, MAX_SHOWN).forEach(({ each, recent }, index) => {
      const [slug, type, price, description] = each;
      const heading = searching ? null : recent ? "Recent" : "All models";
      if (heading !== group) say(heading);
      group = heading;
      const top = h("span", { class: "mx-top" }, h("b", {}, slug), h("span", { class: "mx-price" }, price));
      const more = h("span", { class: "mx-dim" }, [type, description].filter(Boolean).join(" · "));
      const option = { role: "option", id: `${this.list.id}-${index}`, "aria-selected": index === this.active, click: () => this.choose(slug) };
      rows.push(h("li", option, top, more));
    });
    if (this.found.length > MAX_SHOWN) say(`${this.found.length - MAX_SHOWN} more: type to find them`);
    if (!rows.length) say(this.model.get("models").length ? "No model fits" : "The models are not here yet");
    this.list.replaceChildren(...rows);
    this.open(true);
    this.mark(this.active);
  }

  open(shown) {
    this.list.hidden = !shown;
    set(this.field, "aria-expanded", shown);
    if (!shown) this.field.removeAttribute("aria-activedescendant");
  }

  mark(index) {
    const options = [...this.list.querySelectorAll("[role=option]")];
    if (!options.length) return;
    this.active = Math.min(Math.max(index, 0), options.length - 1);
    options.forEach((option, i) => set(option, "aria-selected", i === this.active));
    set(this.field, "aria-activedescendant", options[this.active].id);
    // not scrollIntoView, which scrolls the notebook too
    const { offsetTop, offsetHeight } = options[this.active];
    if (offsetTop < this.list.scrollTop) this.list.scrollTop = offsetTop - 24;
    else if (offsetTop + offsetHeight > this.list.scrollTop + this.list.clientHeight) this.list.scrollTop = offsetTop + offsetHeight - this.list.clientHeight;
  }

  choose(slug) {
    this.field.value = "";
    this.set([...this.model.get("chosen").filter((other) => other !== slug), slug]);
    this.open(false);
  }

  remove(slug) {
    this.set(this.model.get("chosen").filter((other) => other !== slug));
    this.field.focus();
  }

  set(chosen) {
    setTrait(this.model, "chosen", chosen);
    this.show();
  }

  /** When the field is left, choose its text if that is the whole name of a model. */
  leave() {
    const typed = this.field.value.trim();
    if (this.model.get("models").some(([slug]) => slug === typed)) this.choose(typed);
    this.open(false);
  }

  enter() {
    const found = this.found[this.active];
    const typed = this.field.value.trim();
    if (found && !this.list.hidden) this.choose(found.each[0]);
    // no model fits: the kernel chooses it if its catalog is not read yet, or says what is wrong
    else if (typed) this.model.send({ text: typed });
  }

  key({ key, target }) {
    if (target !== this.field) return false;
    if (key === "ArrowDown" && this.list.hidden) return this.search(), true;
    if (key === "ArrowDown" || key === "ArrowUp") return this.mark(this.active + (key === "ArrowDown" ? 1 : -1)), true;
    if (key === "Enter") return this.enter(), true;
    if (key === "Escape" && !this.list.hidden) return this.open(false), true;
    if (key === "Backspace" && !this.field.value) {
      const last = this.model.get("chosen").at(-1);
      return last ? (this.remove(last), true) : false;
    }
    return false;
  }
}

function render({ model, el }) {
  const picker = new Picker(model, el);
  const unlisten = ownKeys(picker.root, (key, target) => picker.key({ key, target }));
  const unfollow = follow(model, {
    "change:models change:chosen change:placeholder": () => picker.show(),
    "msg:custom": ({ taken }) => taken && (picker.field.value = ""),
  });
  picker.show();
  return () => {
    unlisten();
    unfollow();
  };
}

export default { render };
