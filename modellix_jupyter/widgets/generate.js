// The button that sends, the question above it, and the code for the whole panel in its page.
//
// Synced traits: label, busy, ticket, question (text, or empty), confirm (the label that sends it)
// and snapshot (the class of the panel's snapshot, which is hidden as soon as a kernel has answered).
// To Python: {click: ticket}, which {settle: ticket} answers, then {send: ticket, label}; {yes: ticket},
// {no: true}, and {hello: true}, which {alive: true} answers. At the click, the last change of a
// field may still be on its way; before the second message, it has arrived. `label` is the button's
// label at the click: if Python's is another one by then, Python asks.

// A click within this time after another is ignored, so that a double click counts once.
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

  /** Send one message for each ticket: Python hands out another when it has accepted this one. */
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
    // looked up at each event: the panel is put into the page only some time after `render`
    if (!el.closest(".mx-panel")?.contains(event.composedPath()[0])) return;
    event.preventDefault();
    event.stopPropagation(); // the notebook's own Ctrl+Enter runs the cell
    const field = focusOf(el);
    field?.blur?.(); // so that the last typed text is sent before the click
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
  // on the window, which gets the event before the document, where the notebook listens
  window.addEventListener("keydown", press, true);
  generate.show();
  return () => {
    unfollow();
    window.removeEventListener("keydown", press, true);
  };
}

export default { render };
