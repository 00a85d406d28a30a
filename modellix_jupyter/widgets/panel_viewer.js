// The panel's viewer: galleries say in the page what to show, and Python sends the originals.
//
// In the page: an event "mx-view" with {items: [{card, thumb}], key, compare}. From Python:
// {cards, key, compare} to show or to add, {part, request, total, mime} with a buffer, {failed, request},
// {done: request}. To Python: {read: key, offset, request} and {do, key, value, request}.

const MAX_ORIGINAL = 512 * 1024 * 1024;

class Reader {
  constructor(model) {
    this.model = model;
    this.waiting = new Map();
    this.last = 0;
  }

  ask(message) {
    const request = ++this.last;
    return new Promise((resolve, reject) => {
      this.waiting.set(request, { resolve, reject });
      this.model.send({ ...message, request });
    });
  }

  receive({ request, failed, ...answer }, buffers) {
    const asked = this.waiting.get(request);
    this.waiting.delete(request);
    if (failed !== undefined) asked?.reject(new Error(failed));
    else asked?.resolve({ ...answer, part: buffers?.[0] });
  }

  /** Read an original part by part, so that no message is large. */
  async load(key, onProgress, signal) {
    const parts = [];
    let [read, total, mime] = [0, 1, ""];
    while (read < total) {
      signal?.throwIfAborted();
      const answer = await this.ask({ read: key, offset: read });
      [total, mime] = [answer.total, answer.mime];
      if (total > MAX_ORIGINAL) throw new Error("This file is too large to be shown here.");
      if (!answer.part?.byteLength) break;
      parts.push(answer.part);
      read += answer.part.byteLength;
      onProgress?.(read / total);
    }
    return new Blob(parts, { type: mime });
  }
}

function itemOf({ card, thumb }, reader) {
  const { seed, ...params } = card.params;
  return {
    id: card.key, type: card.kind || "image", width: card.width, height: card.height, prompt: card.prompt,
    poster: thumb?.kind === "image" ? thumb.url : undefined, model: card.model, seed, params, rating: card.rating,
    note: card.remark, price: card.cost, seconds: card.elapsed, date: new Date(card.made).toLocaleString(), path: card.path,
    load: (onProgress, signal) => reader.load(card.key, onProgress, signal),
  };
}

function render({ model, el }) {
  el.style.display = "none";
  const reader = new Reader(model);
  const callbacks = {
    rate: (item, value) => reader.ask({ do: "rate", key: item.id, value }),
    note: (item, value) => reader.ask({ do: "note", key: item.id, value }),
    use: (item) => reader.ask({ do: "input", key: item.id }),
    closed: () => { shown = null; },
  };
  let shown = null;
  const show = (items, key, compare) => {
    shown?.close();
    const index = Math.max(0, items.findIndex((item) => item.id === key));
    shown = viewer.open(items, index, callbacks, compare);
  };
  const view = (event) => {
    if (!el.closest(".mx-panel")?.contains(event.target)) return;
    const { items, key, compare } = event.detail;
    show(items.map((item) => itemOf(item, reader)), key, compare);
  };
  const receive = (message, buffers) => {
    if (message.request) reader.receive(message, buffers);
    else if (message.cards) show(message.cards.map((card) => itemOf({ card }, reader)), message.key, message.compare);
  };
  document.addEventListener("mx-view", view);
  model.on("msg:custom", receive);
  return () => {
    shown?.close();
    document.removeEventListener("mx-view", view);
    model.off("msg:custom", receive);
  };
}

export default { render };
