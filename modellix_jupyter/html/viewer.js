// The viewer: pictures, videos and sounds as large as the window, one by one or compared.
//
//   open(items, index, callbacks, compare)  ->  { close(), update(items) }
//
// An item is a plain object; all of its properties but `id` are optional:
//   id, type ("image", "video" or "audio"), src (an address) or load(onProgress, signal) -> Blob or
//   address, poster, width, height, prompt, model, params, seed, price, charged, seconds, date, rating,
//   note, path, name.
// Callbacks are optional and may return a promise:
//   rate(item, stars or null), note(item, text), use(item), closed().
// No framework, no build step, nothing from other hosts. Text is always set as text, never as markup.

const STARS = 5;
const LETTERS = "ABCDEFGHI";
const MAX_ZOOM = 32; // pixels of the screen for one pixel of the picture
const UPSCALE = 2; // by how much a small picture is enlarged at most to fit
const STRIP = 24; // pictures in the strip to each side of the current one
const KEPT = 24; // originals kept in memory
const BLINK_MS = 800;
const FRAME_S = 1 / 24;
const DRIFT_S = 0.08; // how far apart two videos may be before one is moved

// -- pure: the position of a picture

/** Return the scale at which a picture fits into a box. */
export function fitScale(size, box) {
  const scale = Math.min(box.width / size.width, box.height / size.height);
  return Math.min(scale, UPSCALE);
}

/**
 * Limit a look to the picture, and return it with scale and position in the box. A look is a zoom,
 * 1 to fit, and the centre x, y in fractions of the picture.
 */
export function place(size, box, look) {
  const fit = fitScale(size, box);
  const zoom = Math.min(Math.max(look.zoom, 1), Math.max(MAX_ZOOM / fit, 1));
  const scale = fit * zoom;
  const centre = (at, side, room) => {
    const half = room / 2 / (side * scale);
    return half >= 0.5 ? 0.5 : Math.min(Math.max(at, half), 1 - half);
  };
  const x = centre(look.x, size.width, box.width);
  const y = centre(look.y, size.height, box.height);
  const left = box.width / 2 - x * size.width * scale;
  const top = box.height / 2 - y * size.height * scale;
  return { look: { zoom, x, y }, scale, left, top };
}

/** Return the look after zooming by a factor around a point, given from the centre of the box. */
export function zoomed(size, box, look, factor, point = { x: 0, y: 0 }) {
  const before = place(size, box, look);
  const after = place(size, box, { ...before.look, zoom: before.look.zoom * factor });
  const moved = (at, offset, side) => at + offset / side * (1 / before.scale - 1 / after.scale);
  const x = moved(before.look.x, point.x, size.width);
  const y = moved(before.look.y, point.y, size.height);
  return place(size, box, { zoom: after.look.zoom, x, y }).look;
}

/** Return the look after dragging the picture by dx, dy pixels of the page. */
export function panned(size, box, look, dx, dy) {
  const { scale } = place(size, box, look);
  const x = look.x - dx / (size.width * scale);
  const y = look.y - dy / (size.height * scale);
  return place(size, box, { ...look, x, y }).look;
}

// -- pure: texts about an item

export function seconds(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "";
  if (value < 59.95) return `${Math.max(value, 0).toFixed(1)} s`;
  const whole = Math.round(value);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

export function money(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "";
  const [whole, cents] = value.toFixed(4).split(".");
  return `$${whole}.${cents.replace(/0+$/, "").padEnd(2, "0")}`;
}

/** Return a time in a video as text: 1:05. */
export function clock(value) {
  const whole = Math.max(0, Math.floor(Number.isFinite(value) ? value : 0));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// invisible characters, control characters and direction marks
const HIDDEN = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** Return text with invisible characters, control characters and direction marks as code points. */
export function legible(text) {
  return String(text ?? "").replace(HIDDEN, (char) => {
    return `[U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]`;
  });
}

function written(value) {
  return legible(typeof value === "string" ? value : JSON.stringify(value));
}

/** Return [name, text] of each known fact of an item, the most interesting first. */
export function factsOf(item) {
  const known = { Model: item.model };
  if (item.seed !== undefined && item.seed !== null) known.seed = item.seed;
  for (const [name, value] of Object.entries(item.params ?? {})) known[name] = value;
  if (item.width && item.height) known.Size = `${item.width} × ${item.height}`;
  known.Time = seconds(item.seconds);
  known.Price = money(item.price);
  known.Charged = money(item.charged);
  known.Date = item.date;
  const pairs = Object.entries(known).map(([name, value]) => [legible(name), written(value ?? "")]);
  return pairs.filter(([, text]) => text !== "");
}

/** Return each fact with its values in several items, and whether they differ. */
export function compared(items) {
  const all = items.map((item) => new Map([["Prompt", legible(item.prompt)], ...factsOf(item)]));
  const names = [...new Set(all.flatMap((facts) => [...facts.keys()]))];
  return names.map((name) => {
    const values = all.map((facts) => facts.get(name) ?? "");
    return { name, values, differs: new Set(values).size > 1 };
  });
}

/** Return the index after a step, limited to the valid ones. */
export function step(index, by, count) {
  return Math.min(Math.max(index + by, 0), count - 1);
}

/** Return the indexes that the strip shows: at most `2 * STRIP + 1`, around the current one. */
export function around(index, count) {
  const first = Math.max(0, Math.min(index - STRIP, count - 2 * STRIP - 1));
  const last = Math.min(count, first + 2 * STRIP + 1);
  return Array.from({ length: last - first }, (_, i) => first + i);
}

/** Return the number of columns in which pictures of this shape are largest. */
export function columnsFor(count, box, shape) {
  let best = [0, 1];
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const side = Math.min(box.width / columns / shape, box.height / rows);
    if (side > best[0]) best = [side, columns];
  }
  return best[1];
}

const ENDINGS = {
  "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif",
  "image/avif": "avif", "image/bmp": "bmp", "video/mp4": "mp4", "video/webm": "webm",
  "audio/wav": "wav", "audio/mpeg": "mp3", "audio/ogg": "ogg", "audio/mp4": "m4a",
  "audio/flac": "flac",
};

/** Return a safe file name for a download. */
export function fileName(item, mime = "") {
  const given = String(item.name || (item.path ?? "").split(/[\\/]/).pop() || "");
  const safe = given.replace(/[^\p{L}\p{N}._ -]/gu, "-").replace(/^\.+/, "").slice(-120);
  if (/\.\w{2,5}$/.test(safe)) return safe;
  return `${safe || item.type || "picture"}.${ENDINGS[mime] ?? "bin"}`;
}

// data that cannot run scripts, a blob of this page, or a file next to the page
const SAFE = /^(data:(image|video|audio)\/(?!svg)[\w.+-]+;base64,|blob:|[\p{L}\p{N}%_-][\p{L}\p{N}%._ /-]*$)/u;

/** Return an address, or an empty text if an element must not load it. */
export function safe(address) {
  return typeof address === "string" && SAFE.test(address) ? address : "";
}

// -- elements

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  close: "M6 6l12 12M18 6L6 18",
  before: "M15 5l-7 7 7 7",
  after: "M9 5l7 7-7 7",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  info: "M12 11v6M12 7v.5M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  one: "M4 5h16v14H4z",
  side: "M4 5h16v14H4zM12 5v14",
  wipe: "M4 5h16v14H4zM14 5v14M14 9h6M14 13h6M14 17h6",
  blink: "M3 12c2-4.500 5.500-7 9-7s7 2.500 9 7c-2 4.500-5.500 7-9 7s-7-2.500-9-7zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  pick: "M5 12.500l4.500 4.500L19 7.500",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  text: "M5 6h14M5 11h14M5 16h9",
  download: "M12 4v11m0 0l-4-4m4 4l4-4M5 20h14",
  use: "M4 12h11m0 0l-4-4m4 4l-4 4M20 5v14",
  star: "M12 3.500l2.600 5.400 5.900.8-4.300 4.100 1 5.900-5.200-2.800-5.200 2.800 1-5.900L3.500 9.700l5.900-.8z",
  play: "M8 5l11 7-11 7z",
  pause: "M8 5v14M16 5v14",
  sound: "M4 9v6h4l5 4V5L8 9zM16 9c1.500 1.500 1.500 4.500 0 6M18.500 6.500c3 3 3 8 0 11",
  mute: "M4 9v6h4l5 4V5L8 9zM17 9.500l5 5M22 9.500l-5 5",
};

function make(tag, properties = {}, ...children) {
  const { attributes = {}, ...own } = properties;
  const made = Object.assign(document.createElement(tag), own);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Return a button with an icon, an accessible name, and a title that names its key. */
function tool(name, label, key, click, text = "") {
  const title = key ? `${label} (${key})` : label;
  const attributes = { "aria-label": text ? `${text}` : label };
  const made = make("button", { type: "button", className: "mxv-tool", title, attributes }, icon(name));
  if (text) made.append(make("span", { textContent: text }));
  made.addEventListener("click", click);
  return made;
}

function reshape(button, name, label) {
  button.replaceChildren(icon(name));
  button.title = label;
  button.setAttribute("aria-label", label);
}

// -- originals

/** Loaded originals, as addresses for elements; if there are more than KEPT, the oldest is released. */
class Originals {
  constructor() {
    this.made = new Map();
    this.aborting = new AbortController();
  }

  /** Return the address of an item's original; `onProgress` gets a part from 0 to 1, or a message. */
  get(item, onProgress = () => {}) {
    const found = this.made.get(item.id);
    if (found) {
      found.heard.push(onProgress);
      return found.address;
    }
    const entry = { heard: [onProgress], blob: null, url: "" };
    const tell = (part) => entry.heard.forEach((hear) => hear(part));
    entry.address = this.load(item, entry, tell);
    entry.address.catch(() => this.made.delete(item.id)); // the next call tries again
    this.made.set(item.id, entry);
    if (this.made.size > KEPT) this.drop(this.made.keys().next().value);
    return entry.address;
  }

  async load(item, entry, tell) {
    const loaded = item.load ? await item.load(tell, this.aborting.signal) : safe(item.src);
    if (!loaded) throw new Error("There is no file to show.");
    if (typeof loaded === "string") return safe(loaded);
    entry.blob = loaded;
    entry.url = URL.createObjectURL(loaded);
    return entry.url;
  }

  typeOf(item) {
    return this.made.get(item.id)?.blob?.type;
  }

  drop(id) {
    URL.revokeObjectURL(this.made.get(id)?.url ?? "");
    this.made.delete(id);
  }

  close() {
    this.aborting.abort();
    for (const id of [...this.made.keys()]) this.drop(id);
  }
}

/** Return a picture, or the current frame of a video, as PNG: all that a clipboard accepts. */
function pngOf(element) {
  const width = element.naturalWidth ?? element.videoWidth;
  const height = element.naturalHeight ?? element.videoHeight;
  const canvas = make("canvas", { width, height });
  canvas.getContext("2d").drawImage(element, 0, 0);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("It cannot be copied."))));
  });
}

// -- one item in its pane

class Pane {
  constructor(viewer, item) {
    this.viewer = viewer;
    this.item = item;
    this.size = { width: item.width || 0, height: item.height || 0 };
    this.moving = item.type === "video" || item.type === "audio";
    this.wait = make("div", { className: "mxv-wait" });
    this.tag = make("div", { className: "mxv-tag" });
    this.root = make("div", { className: "mxv-pane" });
    this.element = this.moving ? this.film() : this.picture();
    this.root.append(this.element, this.wait, this.tag);
    this.load();
  }

  picture() {
    const picture = make("img", { alt: this.item.prompt || this.item.model || "", draggable: false });
    picture.addEventListener("load", () => this.measure(picture.naturalWidth, picture.naturalHeight));
    if (safe(this.item.poster)) picture.src = this.item.poster;
    return picture;
  }

  film() {
    const label = this.item.prompt || this.item.model || this.item.type;
    const attributes = { "aria-label": label };
    const film = make("video", { playsInline: true, preload: "auto", loop: true, attributes });
    if (safe(this.item.poster)) film.poster = this.item.poster;
    film.addEventListener("loadedmetadata", () => this.measure(film.videoWidth, film.videoHeight));
    film.addEventListener("loadeddata", () => this.still(film));
    film.addEventListener("error", () => film.src && this.say("The browser cannot play this file."));
    return film;
  }

  /** Use the first frame as poster of a video without one, for the strip. */
  still(film) {
    if (this.item.poster || !film.videoWidth) return;
    const width = 160;
    const canvas = make("canvas", { width, height: Math.round((width * film.videoHeight) / film.videoWidth) });
    canvas.getContext("2d").drawImage(film, 0, 0, canvas.width, canvas.height);
    this.item.poster = canvas.toDataURL("image/jpeg", 0.8);
    this.viewer.drawStrip();
  }

  measure(width, height) {
    // until the original is loaded, its known size counts, not that of its thumbnail
    const known = this.item.width && this.item.height && this.loaded === undefined;
    if (width && height && !known) this.size = { width, height };
    this.viewer.layout();
    this.viewer.transport.draw();
  }

  async load() {
    this.say("");
    const slow = setTimeout(() => this.say("Loading …"), 300);
    try {
      const address = await this.viewer.originals.get(this.item, (part) => {
        clearTimeout(slow);
        if (typeof part === "string") this.say(part);
        else this.say(part < 1 ? `Loading … ${Math.round(part * 100)} %` : "");
      });
      await this.showFile(address);
      this.say("");
    } catch (error) {
      this.say(error.message || "The file cannot be shown.");
    } finally {
      clearTimeout(slow);
    }
  }

  async showFile(address) {
    if (!this.moving) {
      // decode first, so that the thumbnail stays until the original replaces it
      const decoded = new Image();
      decoded.src = address;
      await decoded.decode().catch(() => {
        throw new Error("The browser cannot show this file.");
      });
      this.loaded = address;
    }
    this.element.src = address;
    this.loaded = address;
  }

  say(text) {
    this.wait.textContent = text;
  }

  layout(look, box) {
    const { size, element } = this;
    if (this.item.type === "audio" || !size.width) {
      element.classList.add("mxv-loose");
      return null;
    }
    element.classList.remove("mxv-loose");
    const placed = place(size, box, look);
    const sharp = placed.scale * (window.devicePixelRatio || 1) >= 3;
    Object.assign(element.style, {
      width: `${size.width * placed.scale}px`,
      height: `${size.height * placed.scale}px`,
      transform: `translate(${placed.left}px, ${placed.top}px)`,
      imageRendering: sharp ? "pixelated" : "auto",
    });
    return placed;
  }
}

/** One set of controls for all videos and sounds in sight: compared videos run in lockstep. */
class Transport {
  constructor(viewer) {
    this.viewer = viewer;
    this.button = tool("play", "Play (Space)", "", () => this.toggle());
    this.range = make("input", {
      type: "range", min: 0, max: 1, step: "any", value: 0, attributes: { "aria-label": "Moment" },
    });
    this.time = make("span", { className: "mxv-time" });
    this.sound = tool("sound", "Mute (M)", "", () => this.mute());
    this.root = make("div", { className: "mxv-transport" }, this.button, this.range, this.time, this.sound);
    this.range.addEventListener("input", () => this.seek(Number(this.range.value)));
    this.muted = false;
  }

  get films() {
    return this.viewer.panes.filter((pane) => pane.moving).map((pane) => pane.element);
  }

  /** The longest: the others end within it, and wait for it to start again. */
  get leader() {
    const longer = (one, other) => ((other.duration || 0) > (one.duration || 0) ? other : one);
    return this.films.reduce(longer, this.films[0]);
  }

  toggle() {
    const { leader } = this;
    if (!leader) return;
    const paused = leader.paused;
    this.films.forEach((film) => (paused ? film.play().catch(() => {}) : film.pause()));
    if (!paused) this.seek(leader.currentTime);
    this.draw();
  }

  seek(moment) {
    this.films.forEach((film) => {
      film.currentTime = Math.min(Math.max(moment, 0), film.duration || 0);
    });
    this.draw();
  }

  stepFrame(by) {
    const { leader } = this;
    if (!leader) return;
    this.films.forEach((film) => film.pause());
    this.seek(leader.currentTime + by * FRAME_S);
  }

  mute() {
    this.muted = !this.muted;
    this.draw();
  }

  /** Move videos that are too far apart from the leader, and start those that had ended before it. */
  follow() {
    const { leader } = this;
    for (const film of this.films.filter((each) => each !== leader)) {
      const moment = Math.min(leader.currentTime, film.duration || 0);
      if (Math.abs(film.currentTime - moment) > DRIFT_S) film.currentTime = moment;
      if (film.paused && moment < film.duration) film.play().catch(() => {});
    }
  }

  draw() {
    const { leader } = this;
    this.root.hidden = !leader;
    if (!leader) return;
    if (!leader.paused) this.follow();
    this.films.forEach((film, i) => {
      film.loop = film === leader;
      film.muted = this.muted || i > 0; // only the first is heard
    });
    reshape(this.button, leader.paused ? "play" : "pause", leader.paused ? "Play (Space)" : "Pause (Space)");
    reshape(this.sound, this.muted ? "mute" : "sound", this.muted ? "Sound (M)" : "Mute (M)");
    this.range.max = leader.duration || 1;
    this.range.value = leader.currentTime;
    this.range.setAttribute("aria-valuetext", clock(leader.currentTime));
    this.time.textContent = `${clock(leader.currentTime)} / ${clock(leader.duration)}`;
  }
}

// -- the viewer

const MODES = [
  ["one", "One", "O"],
  ["side", "Side by side", "S"],
  ["wipe", "Wipe", "W"],
  ["blink", "Blink", "B"],
];
const KEYS = [
  ["← →", "previous, next"], ["+ −", "zoom in, out"], ["F", "fit"], ["Z", "actual size"],
  ["Shift + arrows", "move the picture"], ["1 to 5, 0", "rate, take it back"], ["N", "note"],
  ["C", "choose for comparison"], ["O S W B", "one, side by side, wipe, blink"],
  ["Space", "play; blink by hand"], [", .", "a frame back, on"], ["[ ]", "move the wipe"],
  ["I", "facts"], ["Y", "copy the picture"], ["P", "copy the prompt"], ["D", "download"],
  ["U", "use as input"], ["?", "these keys"], ["Escape", "close"],
];

class Viewer {
  constructor(items, index, callbacks) {
    this.items = items;
    this.index = step(index, 0, items.length);
    this.callbacks = callbacks;
    this.picks = [];
    this.mode = "one";
    this.look = { zoom: 1, x: 0.5, y: 0.5 };
    this.share = 0.5; // position of the wipe
    this.front = 0; // index of the pane that the blink shows
    this.panes = [];
    this.originals = new Originals();
    this.transport = new Transport(this);
    this.opener = document.activeElement;
    this.build();
    this.listen();
  }

  get item() {
    return this.items[this.index];
  }

  /** The items in sight. */
  get shown() {
    return this.mode === "one" ? [this.item] : this.picks.map((i) => this.items[i]);
  }

  // -- the elements of the dialog

  build() {
    this.counter = make("span", { className: "mxv-count" });
    this.percent = make("span", { className: "mxv-percent" });
    this.modes = MODES.map(([mode, label, key]) => tool(mode, label, key, () => this.setMode(mode), label));
    this.stage = make("div", { className: "mxv-stage", tabIndex: 0, attributes: { role: "group", "aria-label": "Picture" } });
    this.before = tool("before", "Previous", "←", () => this.go(-1));
    this.after = tool("after", "Next", "→", () => this.go(1));
    this.before.classList.add("mxv-before");
    this.after.classList.add("mxv-after");
    this.wipe = make("input", {
      type: "range", className: "mxv-wipe", min: 0, max: 100, step: 1, attributes: { "aria-label": "Wipe" },
    });
    this.line = make("div", { className: "mxv-line" });
    this.side = make("aside", { className: "mxv-side", tabIndex: 0, attributes: { "aria-label": "Facts" } });
    this.strip = make("div", { className: "mxv-strip", attributes: { role: "group", "aria-label": "All pictures" } });
    this.status = make("div", { className: "mxv-status", attributes: { role: "status" } });
    this.help = this.helpBox();
    const frame = make("div", { className: "mxv-frame" }, this.stage, this.before, this.after, this.wipe, this.status, this.help);
    const main = make("div", { className: "mxv-main" }, frame, this.transport.root, this.strip);
    const body = make("div", { className: "mxv-body" }, main, this.side);
    this.dialog = make("dialog", { className: "mxv", attributes: { "aria-label": "Viewer" } }, this.bar(), body);
  }

  bar() {
    const zoom = make("div", { className: "mxv-group" },
      tool("minus", "Zoom out", "−", () => this.zoom(1 / 1.5)), this.percent,
      tool("plus", "Zoom in", "+", () => this.zoom(1.5)),
      tool("fit", "Fit", "F", () => this.fit()),
      this.actual());
    const modes = make("div", { className: "mxv-group mxv-modes", attributes: { role: "group", "aria-label": "Compare" } }, ...this.modes);
    this.pick = tool("pick", "Choose for comparison", "C", () => this.togglePick(this.index), "Choose");
    this.info = tool("info", "Facts", "I", () => this.toggleInfo());
    const close = tool("close", "Close", "Escape", () => this.dialog.close());
    const keys = make("button", { type: "button", className: "mxv-tool", textContent: "?", title: "Keys (?)", attributes: { "aria-label": "Keys" } });
    keys.addEventListener("click", () => this.toggleHelp());
    const right = make("div", { className: "mxv-group" }, keys, this.info, close);
    return make("div", { className: "mxv-bar" }, this.counter, zoom, this.pick, modes, make("span", { className: "mxv-gap" }), right);
  }

  actual() {
    const made = make("button", { type: "button", className: "mxv-tool", textContent: "1:1", title: "Actual size (Z)", attributes: { "aria-label": "Actual size" } });
    made.addEventListener("click", () => this.toggleActual());
    return made;
  }

  helpBox() {
    const rows = KEYS.map(([key, what]) => make("div", {}, make("kbd", { textContent: key }), make("span", { textContent: what })));
    return make("div", { className: "mxv-help", hidden: true }, ...rows);
  }

  // -- events

  listen() {
    const { dialog, stage } = this;
    dialog.addEventListener("keydown", (event) => this.onKey(event));
    dialog.addEventListener("keyup", (event) => event.stopPropagation());
    dialog.addEventListener("paste", (event) => event.stopPropagation());
    dialog.addEventListener("close", () => this.end());
    stage.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    stage.addEventListener("dblclick", (event) => this.toggleActual(this.pointAt(event)));
    this.wipe.addEventListener("input", () => this.setShare(Number(this.wipe.value) / 100));
    this.drag();
    this.resized = new ResizeObserver(() => this.layout());
    this.ticking = setInterval(() => this.transport.leader?.paused === false && this.transport.draw(), 80);
    this.blinking = setInterval(() => this.mode === "blink" && !this.held && this.flip(), BLINK_MS);
    this.held = matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  drag() {
    const { stage } = this;
    const fingers = new Map();
    const spread = () => {
      const [a, b] = [...fingers.values()];
      return b ? Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) : 0;
    };
    stage.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      stage.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, event);
    });
    stage.addEventListener("pointermove", (event) => {
      const last = fingers.get(event.pointerId);
      if (!last) return;
      const before = spread();
      fingers.set(event.pointerId, event);
      if (before) this.zoom(spread() / before, this.pointAt(event));
      else this.pan(event.clientX - last.clientX, event.clientY - last.clientY);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      stage.addEventListener(name, (event) => fingers.delete(event.pointerId));
    }
  }

  onWheel(event) {
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), this.pointAt(event));
  }

  /** Return the position of an event from the centre of its pane. */
  pointAt(event) {
    const panes = this.panes.map((pane) => pane.root.getBoundingClientRect());
    const within = (box) => event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    const box = panes.find(within) ?? panes[0];
    return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
  }

  onKey(event) {
    event.stopPropagation(); // the notebook has its own shortcuts
    if (event.key === "Tab") return this.keepFocus(event);
    const writes = event.target.matches?.("textarea, input:not([type=range])");
    if (writes) return event.key === "Escape" ? this.leaveField(event) : undefined;
    if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
    if (event.target.matches?.("button") && (event.key === "Enter" || event.key === " ")) return undefined;
    if (event.target.matches?.("input[type=range]") && event.key.startsWith("Arrow")) return undefined;
    if (event.key === "Escape" && this.help.hidden) return undefined; // the browser closes the dialog
    const act = this.keyed(event);
    if (act === undefined) return undefined;
    event.preventDefault();
    return act();
  }

  keyed(event) {
    if (event.key === "Escape") return () => this.toggleHelp();
    const far = event.shiftKey && {
      ArrowLeft: () => this.pan(80, 0), ArrowRight: () => this.pan(-80, 0),
      ArrowUp: () => this.pan(0, 80), ArrowDown: () => this.pan(0, -80),
    }[event.key];
    if (far) return far;
    if (/^[0-5]$/.test(event.key)) return () => this.rate(this.active, Number(event.key) || null);
    return {
      ArrowLeft: () => this.go(-1), ArrowRight: () => this.go(1),
      Home: () => this.go(-this.items.length), End: () => this.go(this.items.length),
      "+": () => this.zoom(1.25), "=": () => this.zoom(1.25), "-": () => this.zoom(1 / 1.25),
      f: () => this.fit(), z: () => this.toggleActual(),
      c: () => this.togglePick(this.index), i: () => this.toggleInfo(), "?": () => this.toggleHelp(),
      o: () => this.setMode("one"), s: () => this.setMode("side"),
      w: () => this.setMode("wipe"), b: () => this.setMode("blink"),
      "[": () => this.setShare(this.share - 0.05), "]": () => this.setShare(this.share + 0.05),
      " ": () => this.onSpace(), m: () => this.transport.mute(),
      ",": () => this.transport.stepFrame(-1), ".": () => this.transport.stepFrame(1),
      n: () => this.side.querySelector("textarea")?.focus(),
      y: () => this.copyPicture(), p: () => this.copyPrompt(), d: () => this.download(),
      u: () => this.callbacks.use && this.use(),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  }

  onSpace() {
    if (this.transport.leader) this.transport.toggle();
    else if (this.mode === "blink") {
      this.held = true;
      this.flip();
    }
  }

  /** Keep the focus in the dialog: Tab goes from the last element to the first, and back. */
  keepFocus(event) {
    const found = this.dialog.querySelectorAll("button, input, textarea, summary, [tabindex='0']");
    const stops = [...found].filter((each) => !each.disabled && each.offsetParent !== null);
    const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
    if (document.activeElement !== from) return;
    event.preventDefault();
    to.focus();
  }

  leaveField(event) {
    event.preventDefault(); // Escape would close the dialog
    this.stage.focus();
  }

  // -- actions

  /** The item that actions apply to: the current one, also in a comparison. */
  get active() {
    return this.mode === "one" ? this.item : this.items[this.index];
  }

  go(by) {
    const next = step(this.index, by, this.items.length);
    if (next === this.index) return;
    // in a comparison, the next item replaces the current one; the others stay
    const at = this.picks.indexOf(this.index);
    if (this.mode !== "one" && at >= 0) this.picks[at] = next;
    this.picks = [...new Set(this.picks)];
    this.index = next;
    this.draw();
  }

  togglePick(index) {
    const chosen = this.picks.includes(index);
    if (!chosen && this.picks.length === LETTERS.length) return this.say("Nine at most.");
    this.picks = chosen ? this.picks.filter((each) => each !== index) : [...this.picks, index];
    if (this.mode !== "one" && this.picks.length < 2) this.mode = "one";
    return this.draw();
  }

  /** Start with a comparison of all items, or of the first as many as there are letters. */
  chooseAll() {
    this.picks = this.items.slice(0, LETTERS.length).map((_, index) => index);
    this.mode = "side";
  }

  setMode(mode) {
    if (mode !== "one" && this.items.length < 2) return this.say("There is only one.");
    if (mode !== "one" && !this.picks.includes(this.index)) {
      if (this.picks.length < LETTERS.length) this.picks.push(this.index);
      else [this.index] = this.picks;
    }
    if (mode !== "one" && this.picks.length < 2) {
      this.picks.push(this.index + 1 < this.items.length ? this.index + 1 : this.index - 1);
      this.index = this.picks[1];
    }
    this.mode = mode;
    this.front = 0;
    return this.draw();
  }

  flip() {
    this.front = (this.front + 1) % this.panes.length;
    this.layout();
  }

  setShare(share) {
    this.share = Math.min(Math.max(share, 0), 1);
    this.layout();
  }

  get frame() {
    const pane = this.panes.find((each) => each.size.width) ?? this.panes[0];
    const { clientWidth: width, clientHeight: height } = pane.root;
    return { size: pane.size.width ? pane.size : { width: 1, height: 1 }, box: { width: width || 1, height: height || 1 } };
  }

  zoom(factor, point) {
    const { size, box } = this.frame;
    this.look = zoomed(size, box, this.look, factor, point);
    this.layout();
  }

  pan(dx, dy) {
    const { size, box } = this.frame;
    if (this.mode === "wipe" && this.look.zoom <= 1) return this.setShare(this.share + dx / box.width);
    this.look = panned(size, box, this.look, dx, dy);
    return this.layout();
  }

  fit() {
    this.look = { zoom: 1, x: 0.5, y: 0.5 };
    this.layout();
  }

  toggleActual(point) {
    const { size, box } = this.frame;
    const zoom = 1 / (window.devicePixelRatio || 1) / fitScale(size, box);
    const there = Math.abs(place(size, box, this.look).look.zoom - zoom) < 0.01;
    if (there || zoom <= 1) return this.fit();
    return this.zoom(zoom / this.look.zoom, point);
  }

  toggleInfo() {
    const open = this.dialog.classList.toggle("mxv-closed");
    this.info.setAttribute("aria-pressed", String(!open));
    this.layout();
  }

  toggleHelp() {
    this.help.hidden = !this.help.hidden;
  }

  say(text) {
    this.status.textContent = text;
    clearTimeout(this.saying);
    this.saying = setTimeout(() => (this.status.textContent = ""), 4000);
  }

  /** Run work that may fail, and show the message `done` or the error. */
  async attempt(work, done) {
    try {
      await work();
      this.say(done);
    } catch (error) {
      this.say(error?.message || "That did not work.");
    }
  }

  get clipboard() {
    if (navigator.clipboard) return navigator.clipboard;
    throw new Error("The browser lets a page copy only over https or on this machine.");
  }

  copyPicture() {
    const pane = this.panes.find((each) => each.item === this.active) ?? this.panes[0];
    return this.attempt(async () => {
      if (pane.item.type === "audio") throw new Error("A sound cannot be copied.");
      await this.originals.get(pane.item);
      await this.clipboard.write([new ClipboardItem({ "image/png": pngOf(pane.element) })]);
    }, "Picture copied.");
  }

  copyPrompt() {
    return this.attempt(() => this.clipboard.writeText(this.active.prompt ?? ""), "Prompt copied.");
  }

  download() {
    const item = this.active;
    return this.attempt(async () => {
      const address = await this.originals.get(item);
      const mime = this.originals.typeOf(item) || /^data:([\w/+.-]+);/.exec(address)?.[1];
      make("a", { href: address, download: fileName(item, mime) }).click();
    }, "Downloaded.");
  }

  use() {
    const item = this.active;
    this.dialog.close();
    return this.callbacks.use(item);
  }

  rate(item, stars) {
    if (!this.callbacks.rate) return undefined;
    const value = item.rating === stars ? null : stars;
    return this.attempt(async () => {
      await this.callbacks.rate(item, value);
      item.rating = value;
      this.drawSide();
    }, value ? `Rated ${value} of ${STARS}.` : "Rating taken back.");
  }

  // -- drawing

  draw() {
    const shown = this.shown;
    this.panes = shown.map((item) => this.panes.find((pane) => pane.item === item) ?? new Pane(this, item));
    const roots = this.panes.map((pane) => pane.root);
    if (this.mode === "wipe") roots.push(this.line);
    this.stage.replaceChildren(...roots);
    this.panes.forEach((pane, i) => {
      const letter = shown.length > 1 ? LETTERS[i] : "";
      pane.tag.textContent = letter && `${letter}  ${legible(pane.item.model)}`.trim();
      pane.root.classList.toggle("mxv-active", shown.length > 1 && pane.item === this.active);
      if (pane.moving) this.resized.observe(pane.root);
    });
    this.drawBar();
    this.drawSide();
    this.drawStrip();
    this.layout();
    this.transport.draw();
    this.ahead();
  }

  /** Load the next and previous original, so that they appear at once. */
  ahead() {
    for (const by of [1, -1]) {
      const item = this.items[this.index + by];
      if (item && (item.type ?? "image") === "image") this.originals.get(item).catch(() => {});
    }
  }

  drawBar() {
    const { items, index, mode } = this;
    this.counter.textContent = items.length > 1 ? `${index + 1} of ${items.length}` : "";
    this.before.disabled = index === 0;
    this.after.disabled = index === items.length - 1;
    this.before.hidden = this.after.hidden = items.length < 2;
    this.pick.hidden = items.length < 2;
    this.pick.setAttribute("aria-pressed", String(this.picks.includes(index)));
    this.modes.forEach((button, i) => {
      button.hidden = items.length < 2;
      button.setAttribute("aria-pressed", String(MODES[i][0] === mode));
    });
    this.info.setAttribute("aria-pressed", String(!this.dialog.classList.contains("mxv-closed")));
    this.wipe.hidden = mode !== "wipe";
  }

  layout() {
    if (!this.panes.length || !this.dialog.open) return;
    this.arrange();
    const { size, box } = this.frame;
    const placed = place(size, box, this.look);
    this.look = placed.look;
    this.panes.forEach((pane) => {
      pane.layout(this.look, { width: pane.root.clientWidth, height: pane.root.clientHeight });
    });
    this.percent.textContent = `${Math.round(placed.scale * (window.devicePixelRatio || 1) * 100)} %`;
    this.stage.classList.toggle("mxv-movable", placed.look.zoom > 1.001);
  }

  arrange() {
    const { stage, mode, panes } = this;
    const stacked = mode === "wipe" || mode === "blink";
    stage.classList.toggle("mxv-stacked", stacked);
    const known = panes.find((pane) => pane.size.width)?.size ?? { width: 1, height: 1 };
    const box = { width: stage.clientWidth, height: stage.clientHeight };
    const columns = columnsFor(panes.length, box, known.width / known.height);
    stage.style.gridTemplateColumns = stacked ? "" : `repeat(${columns}, minmax(0, 1fr))`;
    const front = mode === "wipe" ? [0, 1] : [this.front % panes.length];
    panes.forEach((pane, i) => {
      pane.root.classList.toggle("mxv-hidden", stacked && !front.includes(i));
      const clip = mode === "wipe" && i === 1 ? `inset(0 0 0 ${this.share * 100}%)` : "";
      pane.root.style.clipPath = clip;
    });
    this.line.style.left = `${this.share * 100}%`;
    this.wipe.value = Math.round(this.share * 100);
  }

  drawStrip() {
    const { items, index } = this;
    this.strip.hidden = items.length < 2;
    if (items.length < 2) return;
    const focused = this.strip.contains(document.activeElement);
    const thumbs = around(index, items.length).map((i) => this.thumb(i));
    this.strip.replaceChildren(...thumbs);
    const current = this.strip.querySelector("[aria-current]");
    current?.scrollIntoView?.({ block: "nearest", inline: "center" });
    if (focused) current?.focus();
  }

  thumb(i) {
    const item = this.items[i];
    const picked = this.picks.indexOf(i);
    const label = `${i + 1}: ${item.prompt || item.model || item.type || ""}`.slice(0, 160);
    const attributes = { "aria-label": picked < 0 ? label : `${label}, chosen` };
    if (i === this.index) attributes["aria-current"] = "true";
    const made = make("button", { type: "button", className: "mxv-thumb", title: "Shift + click chooses for comparison", attributes });
    const poster = safe(item.poster ?? (item.load || item.type !== "image" ? "" : item.src));
    made.append(poster ? make("img", { src: poster, alt: "", draggable: false }) : icon(item.type === "audio" ? "sound" : "play"));
    if (picked >= 0) made.append(make("b", { textContent: LETTERS[picked] }));
    made.addEventListener("click", (event) => {
      if (event.shiftKey || event.ctrlKey || event.metaKey) return this.togglePick(i);
      return this.go(i - this.index);
    });
    return made;
  }

  drawSide() {
    const shown = this.shown;
    const parts = shown.length > 1 ? this.comparison(shown) : this.facts(this.item);
    this.side.replaceChildren(...parts);
  }

  facts(item) {
    const prompt = make("p", { className: "mxv-prompt", textContent: legible(item.prompt), dir: "auto" });
    const list = make("dl");
    for (const [name, text] of factsOf(item)) {
      list.append(make("dt", { textContent: name }), make("dd", { textContent: text }));
    }
    const path = item.path ? [make("p", { className: "mxv-path", textContent: legible(item.path) })] : [];
    return [prompt, this.stars(item), this.actions(item), list, ...this.noteField(item), ...path];
  }

  comparison(shown) {
    const rows = compared(shown);
    const head = make("tr", {}, make("td"), ...shown.map((_, i) => make("th", { textContent: LETTERS[i], scope: "col" })));
    const line = ({ name, values, differs }) =>
      make("tr", { className: differs ? "mxv-differs" : "" },
        make("th", { textContent: name, scope: "row" }),
        ...values.map((text) => make("td", { textContent: text || "–", title: text })));
    const differing = rows.filter((row) => row.differs);
    const same = rows.filter((row) => !row.differs);
    const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...differing.map(line)));
    const heading = make("h2", { textContent: differing.length ? "Differences" : "No differences" });
    const list = make("dl");
    for (const { name, values } of same) {
      list.append(make("dt", { textContent: name }), make("dd", { textContent: values[0] }));
    }
    const rest = make("details", { open: true }, make("summary", { textContent: "The same in all" }), list);
    const stars = shown.map((item, i) => this.lettered(this.stars(item), i));
    return [heading, make("div", { className: "mxv-table" }, table), ...(same.length ? [rest] : []), ...stars, this.lettered(this.actions(this.active), shown.indexOf(this.active))];
  }

  lettered(content, i) {
    return make("div", { className: "mxv-lettered" }, make("b", { textContent: LETTERS[i] ?? "" }), content);
  }

  stars(item) {
    const group = make("div", { className: "mxv-stars", attributes: { role: "group", "aria-label": "Rating" } });
    if (!this.callbacks.rate) {
      if (item.rating) group.append(make("span", { textContent: `${"★".repeat(item.rating)} of ${STARS}` }));
      return group;
    }
    for (let stars = 1; stars <= STARS; stars++) {
      const button = tool("star", `Rate ${stars} of ${STARS}`, String(stars), () => this.rate(item, stars));
      button.setAttribute("aria-pressed", String(stars <= (item.rating ?? 0)));
      group.append(button);
    }
    return group;
  }

  actions(item) {
    const sound = item.type === "audio";
    return make("div", { className: "mxv-actions" },
      ...(sound ? [] : [tool("copy", "Copy the picture", "Y", () => this.copyPicture(), "Copy picture")]),
      ...(item.prompt ? [tool("text", "Copy the prompt", "P", () => this.copyPrompt(), "Copy prompt")] : []),
      tool("download", "Download", "D", () => this.download(), "Download"),
      ...(this.callbacks.use ? [tool("use", "Use as input", "U", () => this.use(), "Use as input")] : []));
  }

  noteField(item) {
    if (!this.callbacks.note) return item.note ? [make("p", { className: "mxv-note", textContent: item.note })] : [];
    const field = make("textarea", { value: item.note ?? "", rows: 2, placeholder: "A note", attributes: { "aria-label": "Note" } });
    field.addEventListener("change", () => this.attempt(async () => {
      await this.callbacks.note(item, field.value);
      item.note = field.value;
    }, "Note kept."));
    return [field];
  }

  // -- start and end

  start() {
    document.body.append(this.dialog);
    this.dialog.showModal();
    if (this.dialog.clientWidth < 720) this.dialog.classList.add("mxv-closed");
    this.resized.observe(this.stage);
    this.draw();
    this.stage.focus();
  }

  /** Add facts of the items that became known later. */
  update(items) {
    const known = new Map(items.map((item) => [item.id, item]));
    this.items.forEach((item) => Object.assign(item, known.get(item.id) ?? {}));
    this.panes.forEach(({ item, size }) => {
      if (!size.width && item.width) Object.assign(size, { width: item.width, height: item.height });
    });
    if (this.side.contains(document.activeElement)) return; // the user is writing there
    this.drawSide();
    this.layout();
  }

  end() {
    clearInterval(this.ticking);
    clearInterval(this.blinking);
    this.resized.disconnect();
    this.transport.films.forEach((film) => film.pause());
    this.originals.close();
    this.dialog.remove();
    this.opener?.focus?.();
    this.callbacks.closed?.();
  }
}

/** Open the viewer on one of the items; see the top of this file. */
export function open(items, index = 0, callbacks = {}, compare = false) {
  if (!items.length) return null;
  const viewer = new Viewer(items.map((item) => ({ type: "image", ...item })), index, callbacks);
  if (compare && items.length > 1) viewer.chooseAll();
  viewer.start();
  return { close: () => viewer.dialog.close(), update: (known) => viewer.update(known) };
}

/** Return an item with what the page itself shows of an element with `data-mx`. */
function pictured(element) {
  const picture = element.querySelector("img");
  const film = element.querySelector("video, audio");
  const link = element.querySelector("a[href]")?.getAttribute("href");
  return {
    id: element.dataset.mx,
    type: element.dataset.mxType ?? film?.localName ?? "image",
    poster: picture?.src,
    prompt: picture?.alt ?? film?.getAttribute("aria-label") ?? "",
    src: link ?? film?.src ?? picture?.src,
  };
}

/** Whether a click is on the picture, and not on the controls of a video. */
function means(event) {
  const film = event.target.closest?.("video, audio");
  return !film || (film.localName === "video" && event.offsetY < film.clientHeight - 56);
}

/**
 * Open the viewer on a click or Enter on an element with `data-mx`, with all elements of the same
 * `data-mx-group`. `offer` gets their items and returns {items, callbacks, later}, or nothing to leave
 * the event to the page; `later` is a promise of further facts of the items.
 */
export function listen(offer) {
  const start = (event, element) => {
    const group = element.closest("[data-mx-group]") ?? element;
    const seen = (each) => each === element || each.getClientRects().length; // not hidden by a search
    const found = [...group.querySelectorAll("[data-mx]")].filter(seen).map(pictured);
    const shown = new Map(found.reverse().map((item) => [item.id, item])); // the first of each key
    const offered = offer([...shown.values()].reverse());
    if (!offered) return;
    event.preventDefault(); // a link to the file is for pages without this script
    event.stopPropagation();
    const index = offered.items.findIndex((item) => item.id === element.dataset.mx);
    const closed = () => element.focus();
    const viewing = open(offered.items, Math.max(index, 0), { closed, ...offered.callbacks });
    offered.later?.then((known) => viewing?.update(known)).catch(() => {});
  };
  const onClick = (event) => {
    const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);
    const element = event.target.closest?.("[data-mx]");
    if (plain && element && means(event)) start(event, element);
  };
  const onKey = (event) => {
    if (event.key === "Enter" && event.target.matches?.("[data-mx]")) start(event, event.target);
  };
  document.addEventListener("click", onClick, true);
  document.addEventListener("keydown", onKey, true);
}
