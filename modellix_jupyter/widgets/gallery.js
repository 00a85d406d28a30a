// A list of cards of which only those in sight are in the page, or ever sent to it.
//
// From Python: {cards: [[place, card], ...], count} and {look: {alt, kind}} with the file's bytes.
// To Python: {here: view}, {see: [first, last], lack: [place], view}, {gone: view}, {act, uid},
// {tick, on}, {rate, stars}, {look: uid, place}.
// A card is {uid, html, name, actions: [[word, label], ...], ticked, rating}. Its html was escaped by Python; everything else is set as text here.

const STARS = 5;
const ROWS_AHEAD = 1;

function button(label, name, click) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  if (name && name !== label) made.setAttribute("aria-label", name);
  made.addEventListener("click", click);
  return made;
}

class Card {
  constructor(model) {
    this.model = model;
    this.shown = {};
    this.root = document.createElement("div");
    this.root.className = "mx-card";
    this.root.setAttribute("role", "listitem");
    this.head = document.createElement("div");
    this.head.className = "mx-head";
    this.body = document.createElement("div");
    this.body.className = "mx-body";
    this.body.tabIndex = 0;
    this.foot = document.createElement("div");
    this.foot.className = "mx-foot";
    this.root.append(this.head, this.body, this.foot);
    this.body.addEventListener("click", (event) => {
      if (event.target.tagName !== "IMG") return;
      event.preventDefault();
      const pictures = [...this.body.querySelectorAll("img")];
      this.model.send({ look: this.card.uid, place: pictures.indexOf(event.target) });
    });
    this.makeHead();
  }

  makeHead() {
    const label = document.createElement("label");
    this.tick = document.createElement("input");
    this.tick.type = "checkbox";
    this.tick.addEventListener("change", () => {
      // at once, also where the card is drawn again before Python has answered
      this.card.ticked = this.tick.checked;
      this.model.send({ tick: this.card.uid, on: this.tick.checked });
    });
    label.append(this.tick, " Compare");
    this.stars = document.createElement("span");
    this.stars.setAttribute("role", "group");
    for (let stars = 1; stars <= STARS; stars++) {
      this.stars.append(
        button("★", `Rate ${stars} of ${STARS}`, () =>
          this.model.send({ rate: this.card.uid, stars }),
        ),
      );
    }
    this.head.append(label, this.stars);
  }

  show(card, place, count) {
    this.card = card;
    const { shown } = this;
    this.root.setAttribute("aria-posinset", place + 1);
    this.root.setAttribute("aria-setsize", count);
    if (shown.name !== card.name) {
      this.root.setAttribute("aria-label", card.name);
      this.body.setAttribute("aria-label", card.name);
      this.body.setAttribute("role", "group");
      this.stars.setAttribute("aria-label", `Rating of ${card.name}`);
      this.tick.setAttribute("aria-label", `Compare ${card.name}`);
    }
    // a video that plays must not begin anew because something beside it changed
    if (shown.html !== card.html) this.body.innerHTML = card.html;
    this.tick.checked = card.ticked;
    [...this.stars.children].forEach((star, at) => {
      star.setAttribute("aria-pressed", String(at < (card.rating ?? 0)));
    });
    const actions = JSON.stringify(card.actions);
    if (shown.actions !== actions) this.showActions(card);
    this.shown = { name: card.name, html: card.html, actions };
  }

  showActions(card) {
    const focused = this.foot.contains(document.activeElement);
    this.foot.replaceChildren(
      ...card.actions.map(([word, label]) =>
        button(label, `${label}: ${card.name}`, () =>
          this.model.send({ act: word, uid: this.card.uid }),
        ),
      ),
    );
    // what had the focus is gone: it goes to what took its place
    if (focused) (this.foot.firstElementChild ?? this.body).focus();
  }
}

function lightbox(content, alt, kind) {
  const url = URL.createObjectURL(new Blob([content], { type: kind }));
  const dialog = document.createElement("dialog");
  dialog.className = "mx-look";
  dialog.setAttribute("aria-label", alt);
  const picture = document.createElement("img");
  picture.src = url;
  picture.alt = alt;
  const frame = document.createElement("div");
  frame.className = "mx-frame";
  frame.tabIndex = 0;
  frame.append(picture);
  let scale = 1;
  const zoom = (factor) => {
    scale = Math.min(8, Math.max(1, scale * factor));
    picture.style.width = scale === 1 ? "" : `${scale * 100}%`;
    picture.style.maxWidth = scale === 1 ? "" : "none";
    picture.style.maxHeight = scale === 1 ? "" : "none";
  };
  frame.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2);
  }, { passive: false });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "=") zoom(1.2);
    if (event.key === "-") zoom(1 / 1.2);
    event.stopPropagation(); // the notebook has keys of its own
  });
  const bar = document.createElement("div");
  bar.className = "mx-foot";
  const close = button("Close", "", () => dialog.close());
  bar.append(button("Zoom in", "", () => zoom(1.5)), button("Zoom out", "", () => zoom(1 / 1.5)), close);
  dialog.append(frame, bar);
  dialog.addEventListener("close", () => {
    URL.revokeObjectURL(url);
    dialog.remove();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

function render({ model, el }) {
  const view = crypto.randomUUID?.() ?? String(Math.random());
  const scroller = document.createElement("div");
  scroller.className = "mx-gallery";
  scroller.tabIndex = 0;
  scroller.setAttribute("role", "list");
  const spacer = document.createElement("div");
  spacer.className = "mx-space";
  scroller.append(spacer);
  const empty = document.createElement("div");
  empty.className = "mx-empty";
  el.append(empty, scroller);

  const cards = new Map(); // by uid, those in the page
  let known = new Map(); // by place, what Python last said
  let count = model.get("count");
  let seen = "";

  const layout = () => {
    const wide = scroller.clientWidth || 600;
    const least = model.get("card_width");
    const across = Math.max(1, Math.floor(wide / least));
    return { across, width: wide / across, height: model.get("card_height") };
  };

  const range = () => {
    const { across, height } = layout();
    const first = Math.max(0, Math.floor(scroller.scrollTop / height) - ROWS_AHEAD);
    const last = Math.ceil((scroller.scrollTop + scroller.clientHeight) / height) + ROWS_AHEAD;
    return [first * across, Math.min(count, last * across)];
  };

  const tell = () => {
    if (!scroller.isConnected || scroller.clientHeight === 0) return;
    const [first, last] = range();
    const lack = [];
    for (let at = first; at < last; at++) if (!known.has(at)) lack.push(at);
    const now = JSON.stringify([first, last, count, lack]);
    if (now === seen) return;
    seen = now;
    model.send({ see: [first, last], lack, view });
  };

  const place = () => {
    const { across, width, height } = layout();
    const rows = Math.ceil(count / across);
    scroller.style.height = `${Math.min(model.get("height"), Math.max(1, rows) * height + 2)}px`;
    scroller.style.display = count ? "" : "none";
    empty.textContent = count ? "" : model.get("empty");
    spacer.style.height = `${rows * height}px`;
    const [first, last] = range();
    const kept = new Set();
    let before = null;
    for (let at = last - 1; at >= first; at--) {
      const card = known.get(at);
      if (!card) continue;
      kept.add(card.uid);
      let made = cards.get(card.uid);
      if (!made) cards.set(card.uid, (made = new Card(model)));
      made.show(card, at, count);
      const { style } = made.root;
      style.left = `${(at % across) * width}px`;
      style.top = `${Math.floor(at / across) * height}px`;
      style.width = `${width}px`;
      style.height = `${height}px`;
      // moving an element stops its video and takes its focus: only where the order changed
      if (made.root.parentNode !== spacer || made.root.nextSibling !== before) {
        spacer.insertBefore(made.root, before);
      }
      before = made.root;
    }
    for (const [uid, made] of cards) {
      if (!kept.has(uid)) {
        made.root.remove();
        cards.delete(uid);
      }
    }
  };

  const refresh = () => {
    place();
    tell();
  };

  const hear = (message, buffers) => {
    if (message.look) {
      lightbox(buffers[0], message.look.alt, message.look.kind);
    } else if (message.cards) {
      if (message.count !== count || message.all) {
        known = new Map();
        seen = "";
      }
      count = message.count;
      for (const [at, card] of message.cards) known.set(at, card);
      refresh();
    }
  };

  const named = () => scroller.setAttribute("aria-label", model.get("label"));
  const sized = new ResizeObserver(refresh);
  let waiting = false;
  const scrolled = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      refresh();
    });
  };

  named();
  place();
  scroller.addEventListener("scroll", scrolled);
  sized.observe(el);
  model.on("msg:custom", hear);
  model.on("change:label", named);
  model.on("change:empty", place);
  // it may be in the page only later: the observer tells then what is in sight
  model.send({ here: view });

  return () => {
    sized.disconnect();
    model.off("msg:custom", hear);
    model.off("change:label", named);
    model.off("change:empty", place);
    model.send({ gone: view });
  };
}

export default { render };
