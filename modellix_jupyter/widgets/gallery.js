// A list of cards of which only those in sight are in the page, or ever sent to it.
//
// From Python: {cards: [[index, card], ...], count, all} and {picture: {alt, kind}} with its bytes.
// To Python: {view, see: [first, last], lack: [index, ...]}, {view, gone: true} and
// {do, uid, value}: "tick" with true or false, "rate" with the stars, "enlarge" with the picture's
// index, or the name of an action.
// A card is {uid, html, name, actions: [[name, label], ...], ticked, rating}. Its html was escaped
// by Python; everything else is set as text here.

const STARS = 5;
const MIN_WIDTH = 235; // of a card, in pixels
const HEIGHT = 400;
const ROWS_AHEAD = 1;
// asked for before the page knows what it shows: a kernel that runs a cell hears nothing later
const FIRST_SIGHT = [0, 12];

function element(tag, properties = {}, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function button(label, name, click) {
  const attributes = name && name !== label ? { "aria-label": name } : {};
  const made = element("button", { type: "button", textContent: label }, attributes);
  made.addEventListener("click", click);
  return made;
}

class Card {
  constructor(model) {
    this.send = (action, value) => model.send({ do: action, uid: this.card.uid, value });
    this.shown = {};
    this.tick = element("input", { type: "checkbox" });
    this.tick.addEventListener("change", () => {
      // at once, also where the card is drawn again before Python has answered
      this.card.ticked = this.tick.checked;
      this.send("tick", this.tick.checked);
    });
    this.stars = element("span", {}, { role: "group" });
    for (let stars = 1; stars <= STARS; stars++) {
      this.stars.append(
        button("★", `Rate ${stars} of ${STARS}`, () => this.send("rate", stars)),
      );
    }
    this.body = element("div", { className: "mx-body", tabIndex: 0 }, { role: "group" });
    this.body.addEventListener("click", (event) => {
      if (event.target.tagName !== "IMG") return;
      event.preventDefault();
      this.send("enlarge", [...this.body.querySelectorAll("img")].indexOf(event.target));
    });
    const label = element("label", {}, {}, this.tick, " Compare");
    const head = element("div", { className: "mx-head" }, {}, label, this.stars);
    this.foot = element("div", { className: "mx-foot" });
    const parts = [head, this.body, this.foot];
    this.root = element("div", { className: "mx-card" }, { role: "listitem" }, ...parts);
  }

  show(card, index, count) {
    this.card = card;
    const { shown } = this;
    this.root.setAttribute("aria-posinset", index + 1);
    this.root.setAttribute("aria-setsize", count);
    if (shown.name !== card.name) {
      this.root.setAttribute("aria-label", card.name);
      this.body.setAttribute("aria-label", card.name);
      this.stars.setAttribute("aria-label", `Rating of ${card.name}`);
      this.tick.setAttribute("aria-label", `Compare ${card.name}`);
    }
    // a video that plays must not begin anew because something beside it changed
    if (shown.html !== card.html) this.body.innerHTML = card.html;
    this.tick.checked = card.ticked;
    [...this.stars.children].forEach((star, index) => {
      star.setAttribute("aria-pressed", String(index < (card.rating ?? 0)));
    });
    const actions = JSON.stringify(card.actions);
    if (shown.actions !== actions) this.showActions(card);
    this.shown = { name: card.name, html: card.html, actions };
  }

  showActions(card) {
    const focused = this.foot.contains(document.activeElement);
    this.foot.replaceChildren(
      ...card.actions.map(([action, label]) =>
        button(label, `${label}: ${card.name}`, () => this.send(action)),
      ),
    );
    // what had the focus is gone: it goes to what took its place
    if (focused) (this.foot.firstElementChild ?? this.body).focus();
  }
}

function lightbox(content, alt, kind) {
  const url = URL.createObjectURL(new Blob([content], { type: kind }));
  const picture = element("img", { src: url, alt });
  const frame = element("div", { className: "mx-frame", tabIndex: 0 }, {}, picture);
  let scale = 1;
  const zoom = (factor) => {
    scale = Math.min(8, Math.max(1, scale * factor));
    const whole = scale === 1;
    picture.style.width = whole ? "" : `${scale * 100}%`;
    picture.style.maxWidth = picture.style.maxHeight = whole ? "" : "none";
  };
  const wheel = (event) => {
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2);
  };
  frame.addEventListener("wheel", wheel, { passive: false });
  const close = button("Close", "", () => dialog.close());
  const zoomIn = button("Zoom in", "", () => zoom(1.5));
  const zoomOut = button("Zoom out", "", () => zoom(1 / 1.5));
  const bar = element("div", { className: "mx-foot" }, {}, zoomIn, zoomOut, close);
  const dialog = element("dialog", { className: "mx-lightbox" }, { "aria-label": alt }, frame, bar);
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "=") zoom(1.2);
    if (event.key === "-") zoom(1 / 1.2);
    event.stopPropagation(); // the notebook has keys of its own
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    URL.revokeObjectURL(url);
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

class Gallery {
  constructor(model, el) {
    this.model = model;
    this.view = crypto.randomUUID?.() ?? String(Math.random());
    this.cards = new Map(); // by uid, those in the page
    this.known = new Map(); // by index, what Python last sent
    this.count = model.get("count");
    this.asked = "";
    this.empty = element("div", { className: "mx-empty" });
    this.spacer = element("div", { className: "mx-spacer" });
    const scroller = { className: "mx-gallery", tabIndex: 0 };
    this.scroller = element("div", scroller, { role: "list" }, this.spacer);
    el.append(this.empty, this.scroller);
  }

  layout() {
    const width = this.scroller.clientWidth || 600;
    const across = Math.max(1, Math.floor(width / MIN_WIDTH));
    return { across, width: width / across, height: HEIGHT };
  }

  inSight() {
    const { across, height } = this.layout();
    const { scrollTop, clientHeight } = this.scroller;
    const first = Math.max(0, Math.floor(scrollTop / height) - ROWS_AHEAD);
    const last = Math.ceil((scrollTop + clientHeight) / height) + ROWS_AHEAD;
    return [first * across, Math.min(this.count, last * across)];
  }

  refresh() {
    this.draw();
    this.ask();
  }

  /** Tell Python what is in sight, and which cards of it are missing here. */
  ask() {
    if (!this.scroller.isConnected || this.scroller.clientHeight === 0) return;
    const [first, last] = this.inSight();
    const lack = [];
    for (let index = first; index < last; index++) if (!this.known.has(index)) lack.push(index);
    const asked = JSON.stringify([first, last, this.count, lack]);
    if (asked === this.asked) return;
    this.asked = asked;
    this.model.send({ view: this.view, see: [first, last], lack });
  }

  draw() {
    const { model, scroller, count } = this;
    const { across, width, height } = this.layout();
    const rows = Math.ceil(count / across);
    scroller.setAttribute("aria-label", model.get("label"));
    scroller.style.height = `${Math.min(model.get("max_height"), Math.max(1, rows) * height + 2)}px`;
    scroller.style.display = count ? "" : "none";
    this.empty.textContent = count ? "" : model.get("empty");
    this.spacer.style.height = `${rows * height}px`;
    const [first, last] = this.inSight();
    const kept = new Set();
    let next = null;
    for (let index = last - 1; index >= first; index--) {
      const card = this.known.get(index);
      if (!card) continue;
      kept.add(card.uid);
      if (!this.cards.has(card.uid)) this.cards.set(card.uid, new Card(model));
      const made = this.cards.get(card.uid);
      made.show(card, index, count);
      const left = `${(index % across) * width}px`;
      const top = `${Math.floor(index / across) * height}px`;
      Object.assign(made.root.style, { left, top, width: `${width}px`, height: `${height}px` });
      // moving an element stops its video and takes its focus: only where the order changed
      if (made.root.parentNode !== this.spacer || made.root.nextSibling !== next) {
        this.spacer.insertBefore(made.root, next);
      }
      next = made.root;
    }
    for (const [uid, made] of this.cards) {
      if (kept.has(uid)) continue;
      made.root.remove();
      this.cards.delete(uid);
    }
  }

  receive(message, buffers) {
    if (message.picture) {
      lightbox(buffers[0], message.picture.alt, message.picture.kind);
    } else if (message.cards) {
      if (message.count !== this.count || message.all) {
        this.known.clear();
        this.asked = "";
      }
      this.count = message.count;
      for (const [index, card] of message.cards) this.known.set(index, card);
      this.refresh();
    }
  }
}

function render({ model, el }) {
  const gallery = new Gallery(model, el);
  const { view } = gallery;
  const receive = (message, buffers) => gallery.receive(message, buffers);
  const draw = () => gallery.draw();
  let waiting = false;
  gallery.scroller.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      gallery.refresh();
    });
  });
  const resized = new ResizeObserver(() => gallery.refresh());
  resized.observe(el);
  model.on("msg:custom", receive);
  model.on("change:label change:empty", draw);
  draw();
  model.send({ view, see: FIRST_SIGHT, lack: [] });
  return () => {
    resized.disconnect();
    model.off("msg:custom", receive);
    model.off("change:label change:empty", draw);
    model.send({ view, gone: true });
  };
}

export default { render };
