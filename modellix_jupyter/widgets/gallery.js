// Tasks as tiles or as rows. Only those in sight are sent to the page, and are in it.
//
// From Python: {layout: {count, ratios, groups, moved}} for another list, {groups} and
// {cards: [[index, card], ...], now} for changes in it, and {thumbs: [[key, kind, mime], ...]}
// with a buffer each. To Python: {view, see: [first, last], lack: [index, ...] or "all"},
// {view, gone: true}, {do, key, value} and {example: index}. Picks, the search and the
// order of rows are synced traits.

const GAP = 12;
const HEAD_PX = 38;
const CAPTION_PX = { 1: 40, 2: 56 };
// a prompt that needs one line only leaves the other to the pictures below
const CHARACTER_PX = 7.2;
const CAPTION_PAD_PX = 9;
const ROW_PX = 68;
const AHEAD_PX = 400;
const MIN_RATIO = 0.5;
const MAX_RATIO = 2.4;
const MAX_ALONE_PX = 460;
const MAX_THUMBS = 600;
const MOST_PICKS = 500; // as in gallery.py
// the least number of items to ask for: a kernel that runs a cell gets no later message
const AT_LEAST = 24;
const ICONS = { done: "check", queued: "clock", running: "play", held: "pause", failed: "alert", unknown: "unknown" };
const ACTION_ICONS = {
  open: "open", use: "use", input: "input", again: "again", stop: "stop", take_up: "play", send: "send",
  never: "never", delete: "trash",
};
const ACTION_KEYS = { use: "u", again: "g", input: "i" };
// the class of each cell, its heading, and the order that it sorts by
const COLUMNS = [
  ["picked", "Picked"], ["thumb", "Picture"], ["text", "Prompt", "prompt"], ["model", "Model", "model"], ["word", "State", "status"],
  ["seconds", "Time", "seconds"], ["price", "Price", "price"], ["rating", "Stars", "rating"], ["made", "Made", "created"],
];
const STARS = [1, 2, 3, 4, 5];
const NOTHING_FOUND = { title: "Nothing found", text: "No task here has these words." };

class Thumbs {
  constructor() {
    this.urls = new Map();
    this.evicted = new Set();
  }

  get(key) {
    return this.urls.get(key);
  }

  put(key, kind, mime, bytes) {
    this.drop(key);
    this.evicted.delete(key);
    this.urls.set(key, { kind, url: URL.createObjectURL(new Blob([bytes], { type: mime })) });
    if (this.urls.size <= MAX_THUMBS) return;
    const oldest = this.urls.keys().next().value;
    this.drop(oldest);
    this.evicted.add(oldest);
  }

  drop(key) {
    const known = this.urls.get(key);
    if (known) URL.revokeObjectURL(known.url);
    this.urls.delete(key);
  }

  clear() {
    for (const key of [...this.urls.keys()]) this.drop(key);
  }
}

function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

function when(ms) {
  const made = new Date(ms);
  const today = made.toDateString() === new Date().toDateString();
  const time = made.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return today ? time : `${made.toLocaleDateString([], { day: "numeric", month: "short" })} ${time}`;
}

/** Remove the parts with other keys than these from the page. */
function keepOnly(parts, keys) {
  for (const [key, { root }] of parts) {
    if (keys.has(key)) continue;
    root.remove();
    parts.delete(key);
  }
}

/** The common part of a tile and a row: a task's picture, state, actions and stars. */
class Entry {
  constructor(gallery) {
    this.gallery = gallery;
    this.card = null;
    this.media = h("div", { class: "mx-media" });
    this.state = h("div", { class: "mx-state" });
    this.pick = h(
      "button",
      { role: "checkbox", class: "mx-pick", tabindex: -1, "aria-label": "Pick", click: () => this.gallery.togglePick(this.card) },
      icon("check"),
    );
    this.actions = h("div", { class: "mx-actions", role: "group" });
    this.stars = h("div", { class: "mx-stars", role: "group" });
    for (const stars of STARS) {
      const rate = () => this.gallery.rate(this.card, stars);
      this.stars.append(iconButton("star", `Rate ${stars} of 5`, rate, { tabindex: -1 }));
    }
    this.prompt = h("div", { class: "mx-prompt" });
    this.media.addEventListener("click", () => this.gallery.open(this.index));
    this.media.addEventListener("dragstart", (event) => event.dataTransfer.setData(RESULT_TYPE, this.card.key));
  }

  place(index, left, top, width, height) {
    this.index = index;
    Object.assign(this.root.style, { transform: `translate(${left}px, ${top}px)`, width: `${width}px`, height: `${height}px` });
    set(this.root, "tabindex", index === this.gallery.current ? 0 : -1);
  }

  show(card) {
    const picked = Boolean(card) && this.gallery.picked.has(card.key);
    set(this.root, "data-picked", picked ? "" : null);
    set(this.pick, "aria-checked", picked);
    if (card === this.card && card?.key !== undefined && this.shownThumb === this.gallery.thumbs.get(card.key)) return;
    const other = card?.key !== this.card?.key;
    this.card = card;
    set(this.root, "data-state", card?.state ?? "waiting");
    set(this.root, "aria-label", card ? `${card.title}, ${card.word}` : "Loading");
    this.showMedia(card, other);
    this.showState(card);
    if (!card) return;
    set(this.pick, "aria-label", `Pick ${card.title}`);
    set(this.stars, "aria-label", `Stars of ${card.title}`);
    set(this.stars, "data-rated", card.rating ? "" : null);
    [...this.stars.children].forEach((star, i) => set(star, "aria-pressed", i < (card.rating ?? 0)));
    set(this.media, "draggable", card.actions.some(([action]) => action === "input"));
    const actions = JSON.stringify(card.actions);
    if (other || actions !== this.shownActions) this.showActions(card);
    this.shownActions = actions;
    this.prompt.textContent = card.prompt || "no prompt";
    set(this.prompt, "title", card.prompt.slice(0, 1000));
  }

  showMedia(card, other) {
    const thumb = card && this.gallery.thumbs.get(card.key);
    this.shownThumb = thumb;
    const shown = thumb ?? [card?.state, card?.file, card?.kind, card?.note].join();
    if (!other && shown === this.shownMedia) return;
    this.shownMedia = shown;
    this.media.replaceChildren(...this.mediaOf(card, thumb));
  }

  mediaOf(card, thumb) {
    if (thumb?.kind === "image") return [h("img", { src: thumb.url, alt: card.alt, draggable: "false" })];
    if (thumb?.kind === "video") {
      const video = h("video", { src: thumb.url, preload: "auto", playsinline: "", "aria-label": card.alt });
      video.muted = video.loop = true;
      video.addEventListener("mouseenter", () => video.play().catch(() => {}));
      video.addEventListener("mouseleave", () => video.pause());
      return [video, h("span", { class: "mx-badge" }, icon("play"), "video")];
    }
    if (card?.state !== "done" || (card.file && !thumb)) return [h("div", { class: "mx-skeleton" })];
    const kind = { video: "play", audio: "sound" }[card.kind];
    return [h("div", { class: "mx-no-picture" }, icon(kind ?? "unknown"), h("span", {}, ...ticked(card.note || card.kind || "no file")))];
  }

  showState(card) {
    const open = card && card.state !== "done";
    this.state.hidden = !open;
    if (!open) return this.state.replaceChildren();
    const word = h("span", { class: "mx-word" }, icon(ICONS[card.state]), card.word);
    const note = h("span", { class: "mx-note" }, ...ticked(card.note ?? ""));
    const parts = [word, note];
    if (card.started !== null) {
      const passed = this.gallery.now() - card.started;
      parts[0].append(" ", h("span", { class: "mx-clock", "data-started": card.started }, clock(passed)));
      if (card.usual) word.title = `usually ${clock(card.usual)}`;
    }
    if (card.state === "running" || card.state === "queued" || card.state === "held") {
      const bar = h("i", { class: card.usual && card.state === "running" ? "" : "mx-unsure" });
      bar.style.setProperty("--usual", `${card.usual || 2}s`);
      bar.style.setProperty("--delay", `${card.started === null ? 0 : card.started - this.gallery.now()}s`);
      parts.push(h("span", { class: "mx-bar" }, bar));
    }
    this.state.replaceChildren(...parts);
  }

  showActions(card) {
    this.actions.replaceChildren(
      ...card.actions.map(([action, label]) => {
        const shortcut = ACTION_KEYS[action];
        const title = shortcut ? `${label} (${shortcut.toUpperCase()})` : label;
        const click = () => this.gallery.act(action, this.card, this.index);
        return iconButton(ACTION_ICONS[action], label, click, { tabindex: -1, title });
      }),
    );
    set(this.actions, "aria-label", `Actions of ${card.title}`);
  }
}

class Tile extends Entry {
  constructor(gallery) {
    super(gallery);
    this.facts = h("div", { class: "mx-facts" });
    this.picture = h("div", { class: "mx-picture" }, this.media, this.state, this.pick, this.actions, this.stars);
    this.inputs = h("div", { class: "mx-made-of", title: "Its inputs" });
    this.caption = h("div", { class: "mx-caption" }, this.prompt, this.facts, this.inputs);
    this.root = h("div", { class: "mx-tile", role: "listitem" }, this.picture, this.caption);
  }

  place(index, left, top, width, height, lines) {
    super.place(index, left, top, width, height);
    this.picture.style.height = `${height - CAPTION_PX[lines]}px`;
    set(this.caption, "data-lines", lines);
    set(this.root, "aria-posinset", index + 1);
    set(this.root, "aria-setsize", this.gallery.count);
  }

  show(card) {
    super.show(card);
    if (!card) return void (this.prompt.textContent = this.facts.textContent = "");
    const text = card.facts.join(" · ");
    if (this.facts.textContent !== text) this.facts.textContent = text;
    set(this.facts, "title", text);
    const inputs = card.inputs.join();
    if (inputs === this.shownInputs) return;
    this.shownInputs = inputs;
    set(this.caption, "data-inputs", card.inputs.length || null);
    this.inputs.replaceChildren(...card.inputs.map((src) => h("img", { src, alt: "", draggable: "false" })));
  }
}

class Row extends Entry {
  constructor(gallery) {
    super(gallery);
    const within = { picked: [this.pick], thumb: [this.media], text: [this.prompt, this.actions], rating: [this.stars] };
    const cells = COLUMNS.map(([name]) => h("div", { class: `mx-cell mx-${name}`, role: "gridcell" }, ...(within[name] ?? [])));
    this.cells = Object.fromEntries(COLUMNS.map(([name], i) => [name, cells[i]]));
    this.root = h("div", { class: "mx-row", role: "row" }, ...cells);
  }

  place(index, left, top, width, height) {
    super.place(index, left, top, width, height);
    set(this.root, "aria-rowindex", index + 2);
  }

  /** A tile has a text about a missing picture over its place; a row has only room for an icon. */
  mediaOf(card, thumb) {
    if (thumb || !["failed", "held", "unknown"].includes(card?.state)) return super.mediaOf(card, thumb);
    return [h("div", { class: "mx-no-picture" }, icon(ICONS[card.state]))];
  }

  showState(card) {
    const name = ICONS[card?.state];
    const word = card?.word ?? "";
    this.cells.word.replaceChildren(h("span", { class: "mx-word" }, ...(name ? [icon(name)] : []), word));
    set(this.cells.word, "title", card?.note ?? "");
  }

  show(card) {
    super.show(card);
    if (!card) this.prompt.textContent = "";
    const [, provider, name] = /^(.*\/)?(.*)$/s.exec(card?.model ?? "");
    this.cells.model.replaceChildren(h("span", { class: "mx-dim" }, provider ?? ""), h("span", { class: "mx-name" }, name));
    this.cells.seconds.textContent = card?.seconds ?? "";
    this.cells.price.textContent = card?.price ?? "";
    this.cells.made.textContent = card ? when(card.made) : "";
  }
}

class Gallery {
  constructor(model, el) {
    this.model = model;
    this.view = crypto.randomUUID?.() ?? String(Math.random());
    this.thumbs = new Thumbs();
    this.known = new Map(); // cards by index
    this.seen = new Map(); // every card received so far, by key
    this.entries = new Map();
    this.heads = new Map();
    this.ratios = [];
    this.count = 0;
    this.groups = [];
    this.current = 0;
    this.asked = "";
    this.table = model.get("mode") === "table";
    this.picked = new Set(model.get("picked"));
    this.bar = this.makeBar();
    this.empty = h("div", { class: "mx-empty" });
    this.list = h("div", { class: "mx-list", role: this.table ? "rowgroup" : "list", "aria-label": model.get("label") });
    this.header = this.table ? this.makeHeader() : null;
    const inner = this.table
      ? h("div", { role: "grid", "aria-label": model.get("label"), class: "mx-grid" }, this.header, this.list)
      : this.list;
    this.runs = h("div", { class: "mx-runs" });
    this.scroller = h("div", { class: "mx-scroller" }, this.runs, inner);
    this.root = h("div", { class: `mx-gallery ${this.table ? "mx-table" : ""}` }, this.bar, this.empty, this.scroller);
    this.root.style.setProperty("--mx-size", model.get("size"));
    el.append(this.root);
  }

  now() {
    return performance.now() / 1000;
  }

  // -- the bar above

  makeBar() {
    const { model } = this;
    this.search = h("input", {
      type: "search", placeholder: "Search  /", "aria-label": model.get("search_label"), value: model.get("search"),
      input: () => {
        clearTimeout(this.typed);
        this.typed = setTimeout(() => setTrait(this.model, "search", this.search.value), 200);
      },
    });
    this.slider = h("input", {
      type: "range", min: 140, max: 480, step: 10, value: model.get("size"), "aria-label": "Size of the pictures",
      title: "Size of the pictures",
      input: () => {
        this.size = Number(this.slider.value);
        this.refresh();
      },
      change: () => setTrait(this.model, "size", this.size),
    });
    this.size = model.get("size");
    this.fold = iconButton("form", "Hide the form", () => this.foldForm(), { "aria-expanded": "true" });
    this.chosen = h("span", { class: "mx-chosen", role: "status" });
    const action = (name, label, click) => h("button", { click }, icon(name), label);
    this.selection = h(
      "div", { class: "mx-selection", role: "group", "aria-label": "Picked" }, this.chosen,
      action("compare", "Compare", () => this.compare()),
      action("export", "Export", () => model.send({ do: "export" })),
      ...(this.table ? [action("trash", "Delete", () => model.send({ do: "delete" }))] : []),
      action("close", "Clear", () => this.setPicks([])),
    );
    const left = model.get("mode") === "tiles" ? [this.fold] : [];
    const right = this.table ? [] : [this.slider];
    this.searching = h("label", { class: "mx-search" }, icon("search"), this.search);
    const searching = model.get("mode") === "picks" ? [] : [this.searching];
    return h("div", { class: "mx-bar-above" }, ...left, ...searching, this.selection, h("span", { class: "mx-space" }), ...right);
  }

  /** Hide or show the form in the page only: a kernel that runs a cell would not get a message. */
  foldForm() {
    const folded = this.root.closest(".mx-create")?.classList.toggle("mx-folded");
    const label = folded ? "Show the form" : "Hide the form";
    set(this.fold, "aria-expanded", !folded);
    set(this.fold, "aria-label", label);
    set(this.fold, "title", label);
  }

  makeHeader() {
    const cells = COLUMNS.map(([name, label, sort]) => {
      const content = sort ? h("button", { click: () => this.sortBy(sort) }, label) : h("span", { class: "mx-hidden" }, label);
      return h("div", { class: `mx-cell mx-${name}`, role: "columnheader", "data-sort": sort ?? "" }, content);
    });
    return h("div", { class: "mx-row mx-header", role: "row", "aria-rowindex": 1 }, ...cells);
  }

  sortBy(name) {
    const same = this.model.get("sort") === name;
    this.model.set("descending", same ? !this.model.get("descending") : !["prompt", "model", "status"].includes(name));
    setTrait(this.model, "sort", name);
    this.showOrder();
  }

  showOrder() {
    for (const cell of this.header?.children ?? []) {
      const mine = cell.dataset.sort && cell.dataset.sort === this.model.get("sort");
      set(cell, "aria-sort", mine ? (this.model.get("descending") ? "descending" : "ascending") : null);
    }
  }

  // -- picks and actions

  setPicks(keys) {
    setTrait(this.model, "picked", [...keys].slice(0, MOST_PICKS));
    this.showPicks();
  }

  showPicks() {
    this.picked = new Set(this.model.get("picked"));
    const count = this.picked.size;
    this.selection.hidden = !count;
    this.chosen.textContent = count ? `${count} picked${count < MOST_PICKS ? "" : ", the most at once"}` : "";
    this.draw();
  }

  togglePick(card) {
    if (!card) return;
    const picks = new Set(this.picked);
    if (!picks.delete(card.key)) picks.add(card.key);
    this.setPicks(picks);
  }

  compare(card) {
    const picks = new Set(this.picked);
    if (card) picks.add(card.key);
    this.setPicks(picks);
    const cards = [...picks].map((key) => this.seen.get(key)).filter((each) => each?.file);
    if (picks.size > 1 && cards.length === picks.size) this.present(cards, cards[0].key, true);
    else if (picks.size > 1) this.model.send({ do: "compare" });
    else this.chosen.textContent = "1 picked: pick another to compare";
  }

  rate(card, stars) {
    if (!card) return;
    const rating = card.rating === stars ? null : stars;
    this.model.send({ do: "rate", key: card.key, value: rating });
    // shown at once; Python sends the rating in the ledger later
    for (const [index, other] of this.known) if (other.uid === card.uid) this.known.set(index, { ...other, rating });
    this.draw();
  }

  act(action, card, index) {
    if (action === "open") this.open(index);
    // Python accepts a click's number once: those that queue up while the kernel is busy count as one
    else if (card) this.model.send({ do: action, key: card.key, value: card.click });
  }

  /** Show a picture in the panel's viewer, together with the others that are known here. */
  open(index) {
    const card = this.known.get(index);
    if (!card?.file) return;
    this.focus(index);
    const cards = [...this.known].sort(([a], [b]) => a - b).map(([, each]) => each);
    this.present(cards.filter((each) => each.file), card.key, false);
  }

  present(cards, key, compare) {
    const items = cards.map((card) => ({ card, thumb: this.thumbs.get(card.key) }));
    this.root.dispatchEvent(new CustomEvent("mx-view", { bubbles: true, composed: true, detail: { items, key, compare } }));
  }

  // -- positions

  /** Lay out lines of tiles or rows; a line is {top, height, first, last, width, across}. */
  plan() {
    const width = this.list.clientWidth || this.root.clientWidth || 600;
    this.lines = [];
    this.marks = [];
    let top = 0;
    if (this.table) {
      for (let i = 0; i < this.count; i++) this.lines.push({ top: i * ROW_PX, height: ROW_PX, first: i, last: i + 1, width, across: 1 });
      this.height = this.count * ROW_PX;
      return;
    }
    const fitting = Math.max(1, Math.floor((width + GAP) / (this.size + GAP)));
    const across = Math.min(fitting, Math.max(1, this.count));
    const wide = (width - GAP * (across - 1)) / across;
    const limit = across < fitting ? Math.max(MAX_ALONE_PX, this.size) : Infinity;
    const tile = Math.floor(Math.min(wide, limit));
    const groups = this.groups.length ? this.groups : [{ start: 0, title: "" }];
    groups.forEach((group, number) => {
      const end = groups[number + 1]?.start ?? this.count;
      const short = group.longest * CHARACTER_PX <= tile - 2 * CAPTION_PAD_PX;
      if (group.title) {
        this.marks.push({ top, group, number });
        top += HEAD_PX;
      }
      for (let first = group.start; first < end; first += across) {
        const last = Math.min(first + across, end);
        this.lines.push(this.line(first, last, top, tile, across, short));
        top += this.lines.at(-1).height + GAP;
      }
    });
    this.height = top;
  }

  line(first, last, top, width, across, short) {
    const heights = [];
    for (let i = first; i < last; i++) heights.push(this.tileHeight(i, width, short).height);
    return { top, first, last, width, across, short, height: Math.max(...heights) };
  }

  tileHeight(index, width, short) {
    const ratio = Math.min(MAX_RATIO, Math.max(MIN_RATIO, this.ratios[index] || 1));
    const picture = Math.round(width / ratio);
    // the picture is at least seven tenths of a tile
    const lines = !short && CAPTION_PX[2] <= (picture * 3) / 7 ? 2 : 1;
    return { height: picture + CAPTION_PX[lines], lines };
  }

  /** Return the lines in sight, the first index in them, and the one after the last. */
  inSight() {
    const { scrollTop, clientHeight } = this.scroller;
    const from = scrollTop - AHEAD_PX;
    const to = scrollTop + (clientHeight || 800) + AHEAD_PX;
    let low = 0;
    let high = this.lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.lines[middle].top + this.lines[middle].height < from) low = middle + 1;
      else high = middle;
    }
    let last = low;
    while (last < this.lines.length && this.lines[last].top < to) last++;
    const lines = this.lines.slice(low, last);
    return { lines, first: lines[0]?.first ?? 0, last: lines.at(-1)?.last ?? 0 };
  }

  refresh() {
    this.plan();
    this.draw();
    this.ask();
  }

  draw() {
    if (!this.lines) this.plan();
    const { list, entries } = this;
    list.style.height = `${Math.max(0, this.height)}px`;
    set(this.scroller, "hidden", this.count || this.table ? null : "");
    this.drawEmpty();
    const { lines, first, last } = this.inSight();
    const focused = list.contains(focusOf(list)) ? this.current : null;
    const kept = new Set();
    // always one entry in sight can be reached with Tab
    const inSight = this.current >= first && this.current < last;
    if (!inSight && last > first) this.current = Math.min(Math.max(this.current, first), last - 1);
    for (const line of lines) {
      for (let index = line.first; index < line.last; index++) {
        kept.add(index);
        this.drawEntry(index, line);
      }
    }
    keepOnly(entries, kept);
    this.drawHeads();
    if (focused !== null && !list.contains(focusOf(list))) this.focus(this.current);
  }

  drawEntry(index, line) {
    let entry = this.entries.get(index);
    if (!entry) {
      entry = this.table ? new Row(this) : new Tile(this);
      this.entries.set(index, entry);
      this.insert(entry, index);
    }
    const { height, lines } = this.table ? { height: ROW_PX } : this.tileHeight(index, line.width, line.short);
    entry.place(index, (index - line.first) * (line.width + GAP), line.top, line.width, height, lines);
    entry.show(this.known.get(index));
  }

  /** Insert an entry in the order of the indexes, so that a screen reader reads them in order. */
  insert(entry, index) {
    let next = null;
    let nearest = Infinity;
    for (const [other, { root }] of this.entries) {
      if (other > index && other < nearest && root.isConnected) [nearest, next] = [other, root];
    }
    this.list.insertBefore(entry.root, next);
  }

  drawHeads() {
    const { scrollTop, clientHeight } = this.scroller;
    const shown = new Set();
    for (const { top, group, number } of this.marks) {
      if (top < scrollTop - AHEAD_PX || top > scrollTop + clientHeight + AHEAD_PX) continue;
      shown.add(number);
      let head = this.heads.get(number);
      if (!head) {
        const parts = { title: h("b"), facts: h("span", { class: "mx-dim" }), made: h("span", { class: "mx-dim" }) };
        const all = h("button", { class: "mx-quiet", tabindex: -1, click: () => this.pickGroup(number) }, "Pick all");
        head = { ...parts, root: h("div", { class: "mx-run" }, parts.title, parts.facts, h("span", { class: "mx-space" }), all, parts.made) };
        this.heads.set(number, head);
        this.runs.append(head.root);
      }
      head.root.style.transform = `translateY(${top}px)`;
      head.title.textContent = group.title;
      head.facts.textContent = group.facts;
      head.made.textContent = when(group.made);
    }
    keepOnly(this.heads, shown);
  }

  pickGroup(number) {
    const start = this.groups[number]?.start ?? 0;
    const end = this.groups[number + 1]?.start ?? this.count;
    this.model.send({ do: "pick", value: [start, end] });
  }

  drawEmpty() {
    const searched = this.model.get("search");
    const shown = searched ? NOTHING_FOUND : this.model.get("empty");
    this.empty.hidden = this.count > 0 || this.loading;
    // nothing to search, and no size to set; a table may be empty for its filters
    this.searching.hidden = this.slider.hidden = !this.table && !searched && !this.empty.hidden;
    const text = JSON.stringify(shown);
    if (this.empty.hidden || this.shownEmpty === text) return;
    this.shownEmpty = text;
    const examples = (shown.examples ?? []).map((example, index) =>
      h("button", { click: () => this.model.send({ example: index }) }, example),
    );
    const offered = examples.length ? [h("div", { class: "mx-examples" }, ...examples)] : [];
    this.empty.replaceChildren(h("div", { class: "mx-empty-title" }, shown.title ?? ""), h("div", {}, shown.text ?? ""), ...offered);
  }

  /** Tell Python which items are in sight, and which of their cards are missing here. */
  ask() {
    if (!this.scroller.isConnected) return;
    if (!this.root.offsetParent) return; // on a tab that is not open
    const { first, last } = this.inSight();
    const lack = [];
    for (let index = first; index < last; index++) {
      const card = this.known.get(index);
      if (!card || this.thumbs.evicted.has(card.key)) lack.push(index);
    }
    const asked = JSON.stringify([first, last, this.count, lack]);
    if (asked === this.asked) return;
    this.asked = asked;
    this.model.send({ view: this.view, see: [first, Math.max(last, first + AT_LEAST)], lack });
  }

  // -- from Python

  receive(message, buffers) {
    if (message.layout) this.takeLayout(message.layout);
    if (message.groups) this.groups = message.groups;
    for (const [index, card] of message.cards ?? []) {
      // the kernel's clock may differ from ours: only the time since the start counts
      const started = card.started === null ? null : this.now() - (message.now - card.started);
      const mine = { ...card, started };
      this.known.set(index, mine);
      this.seen.set(card.key, mine);
    }
    (message.thumbs ?? []).forEach(([key, kind, mime], i) => this.thumbs.put(key, kind, mime, buffers[i]));
    if (message.layout || message.groups) this.plan();
    this.loading = false;
    this.draw();
    this.ask();
  }

  takeLayout({ count, ratios, groups, moved }) {
    const anchor = this.scroller.scrollTop > 40 ? this.anchor() : null;
    const to = new Map(moved);
    this.ratios = ratios;
    this.count = count;
    this.groups = groups;
    this.known = new Map([...this.known].filter(([i]) => to.has(i)).map(([i, card]) => [to.get(i), card]));
    const entries = [...this.entries].filter(([i, entry]) => to.has(i) || entry.root.remove());
    this.entries = new Map(entries.map(([i, entry]) => [to.get(i), entry]));
    this.current = to.get(this.current) ?? 0;
    this.asked = "";
    this.plan();
    if (anchor && to.has(anchor.index)) {
      const line = this.lines.find((each) => each.last > to.get(anchor.index));
      this.list.style.height = `${this.height}px`;
      if (line) this.scroller.scrollTop = line.top + anchor.offset;
    }
  }

  /** Return the entry at the top, so that it stays there when others are inserted before it. */
  anchor() {
    const { scrollTop } = this.scroller;
    const line = this.lines?.find((each) => each.top + each.height > scrollTop);
    return line ? { index: line.first, offset: scrollTop - line.top } : null;
  }

  // -- keys

  focus(index) {
    if (!this.count) return;
    this.current = Math.min(Math.max(index, 0), this.count - 1);
    const line = this.lines.find((each) => each.last > this.current);
    const { scrollTop, clientHeight } = this.scroller;
    const above = this.table ? 36 : 0;
    if (line.top < scrollTop + 0) this.scroller.scrollTop = Math.max(0, line.top - (this.table ? 0 : HEAD_PX));
    else if (line.top + line.height + above > scrollTop + clientHeight) this.scroller.scrollTop = line.top + line.height + above - clientHeight + 4;
    this.draw();
    this.entries.get(this.current)?.root.focus({ preventScroll: true });
  }

  /** Handle a key; return whether it is one of ours. */
  key(key, target) {
    if (key === "/" && target.tagName !== "INPUT") return this.search.focus(), true;
    if (target === this.search) {
      if (key === "Escape" || key === "ArrowDown") return this.focus(this.current), true;
      return false;
    }
    const entry = target.closest(".mx-tile, .mx-row");
    if (!entry || !this.list.contains(entry)) return false;
    if (target !== entry) return this.keyInside(key, target, entry);
    return this.keyOnEntry(key);
  }

  keyOnEntry(key) {
    const card = this.known.get(this.current);
    const { across } = this.lines.find((each) => each.last > this.current) ?? { across: 1 };
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: "up", ArrowDown: "down", Home: -Infinity, End: Infinity, PageUp: -3 * across, PageDown: 3 * across };
    const action = Object.keys(ACTION_KEYS).find((name) => ACTION_KEYS[name] === key.toLowerCase());
    if (key in steps) this.focus(this.step(steps[key]));
    else if (key === "Enter") this.open(this.current);
    else if (key === " ") this.togglePick(card);
    else if (STARS.includes(Number(key))) this.rate(card, Number(key));
    else if (key === "c" || key === "C") this.compare(card);
    else if (key === "m" || key === "ContextMenu") this.entries.get(this.current)?.actions.firstElementChild?.focus();
    else if (action && card?.actions.some(([name]) => name === action)) this.act(action, card, this.current);
    else return false;
    return true;
  }

  /** Return the index that a key leads to; up and down also go from one run to the next. */
  step(by) {
    if (typeof by === "number") return this.current + by;
    const number = this.lines.findIndex((each) => each.last > this.current);
    const line = this.lines[number];
    const next = this.lines[number + (by === "up" ? -1 : 1)];
    return next ? Math.min(next.first + this.current - line.first, next.last - 1) : this.current;
  }

  keyInside(key, target, entry) {
    const group = target.closest(".mx-actions, .mx-stars");
    const buttons = [...(group?.children ?? [])];
    const next = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (key === "Escape") return entry.focus(), true;
    if (next) return buttons[(buttons.indexOf(target) + next + buttons.length) % buttons.length]?.focus(), true;
    return false;
  }
}

function render({ model, el }) {
  const gallery = new Gallery(model, el);
  const { view, root, scroller } = gallery;
  let waiting = false;
  scroller.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      gallery.draw();
      gallery.ask();
    });
  });
  root.addEventListener("focusin", ({ target }) => {
    const found = [...gallery.entries].find(([, entry]) => entry.root === target);
    if (found && found[0] !== gallery.current) {
      set(gallery.entries.get(gallery.current)?.root ?? target, "tabindex", -1);
      gallery.current = found[0];
      set(target, "tabindex", 0);
    }
  });
  const unlisten = ownKeys(root, (key, target) => gallery.key(key, target));
  const resized = new ResizeObserver(() => gallery.refresh());
  resized.observe(scroller);
  resized.observe(root);
  const ticking = setInterval(() => {
    for (const each of root.querySelectorAll(".mx-clock")) each.textContent = clock(gallery.now() - Number(each.dataset.started));
  }, 1000);
  const unfollow = follow(model, {
    "msg:custom": (message, buffers) => gallery.receive(message, buffers),
    "change:picked": () => gallery.showPicks(),
    "change:sort change:descending": () => gallery.showOrder(),
    "change:empty": () => gallery.draw(),
    "change:search": () => {
      if (focusOf(gallery.search) !== gallery.search) gallery.search.value = model.get("search");
    },
  });
  gallery.loading = true;
  gallery.showOrder();
  gallery.showPicks();
  model.send({ view, see: [0, AT_LEAST], lack: "all" });
  return () => {
    clearInterval(ticking);
    resized.disconnect();
    unlisten();
    unfollow();
    gallery.thumbs.clear();
    model.send({ view, gone: true });
  };
}

export default { render };
