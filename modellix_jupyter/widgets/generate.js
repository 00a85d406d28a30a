// The button that sends, the question above it, and what concerns the whole panel in its page.
//
// Synced traits: label, busy, ticket, question (text, or empty), confirm (what sends it then) and
// snapshot (the class of the panel's record, which is hidden as soon as a kernel has answered).
// To Python: {click: ticket}, which {settle: ticket} answers, then {send: ticket, label}; {yes: ticket},
// {no: true}, and {hello: true}, which {alive: true} answers. A field's last change may be on its
// way when the click is: by the second message it is there. The label is what the button said at the
// click: where it is something else by then, Python asks.

// Clicks that come so soon after another are part of it: a double click is one.
const PAUSE_MS = 700;

class Generate {
  constructor(model, el) {
    this.model = model;
    this.sent = null;
    this.until = 0;
    this.button = h("button", { class: "mx-generate", title: "Ctrl+Enter", click: () => this.click() });
    this.yes = h("button", { class: "mx-primary", click: () => this.answer({ yes: model.get("ticket") }) });
    const no = h("button", { click: () => this.answer({ no: true }) }, "Do not send");
    this.text = h("div", { role: "alert" });
    this.question = h("div", { class: "mx-question" }, this.text, h("div", { class: "mx-row-of-buttons" }, this.yes, no));
    el.append(this.question, this.button);
  }

  show() {
    const { model } = this;
    const waiting = model.get("busy") || this.waiting;
    const question = model.get("question");
    this.question.hidden = !question;
    if (this.text.textContent !== question) this.text.textContent = question;
    this.yes.textContent = model.get("confirm");
    this.yes.disabled = waiting;
    this.button.hidden = Boolean(question);
    this.button.disabled = waiting;
    set(this.button, "aria-busy", waiting);
    const label = model.get("label");
    if (this.button.textContent !== label) this.button.replaceChildren(h("span", { class: "mx-spinner" }), label);
  }

  get waiting() {
    return this.sent === this.model.get("ticket") || performance.now() < this.until;
  }

  /** Once for each ticket: Python hands out another when it has taken this one. */
  once(message) {
    if (this.waiting) return;
    this.sent = this.model.get("ticket");
    this.until = performance.now() + PAUSE_MS;
    setTimeout(() => this.show(), PAUSE_MS + 1);
    this.model.send(message);
    this.show();
  }

  click() {
    if (!this.waiting) this.clicked = this.model.get("label");
    this.once({ click: this.model.get("ticket") });
  }

  answer(message) {
    if (message.yes) this.once(message);
    else this.model.send(message);
  }
}

function render({ model, el }) {
  el.classList.add("mx-send");
  const generate = new Generate(model, el);
  const press = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    // looked up at each event: the panel stands in the page only some time after this
    if (!el.closest(".mx-panel")?.contains(event.target)) return;
    event.preventDefault();
    event.stopPropagation(); // the notebook has a Ctrl+Enter of its own, which runs the cell
    const field = document.activeElement;
    field?.blur?.(); // so that what was typed last is sent before the press
    if (!generate.button.hidden && !generate.button.disabled) generate.click();
    field?.focus?.({ preventScroll: true });
  };
  const hide = h("style", {}, `.${model.get("snapshot")} { display: none; }`);
  const unfollow = follow(model, {
    "change:label change:busy change:ticket change:question change:confirm": () => generate.show(),
    "msg:custom": ({ alive, settle }) => {
      if (alive) el.append(hide);
      if (settle && settle === generate.sent) model.send({ send: settle, label: generate.clicked });
    },
  });
  model.send({ hello: true });
  // the notebook listens at the document: the window comes before it
  window.addEventListener("keydown", press, true);
  generate.show();
  return () => {
    unfollow();
    window.removeEventListener("keydown", press, true);
  };
}

export default { render };
