// Opens the viewer on a click on a picture of an output, with the original from the kernel's disk.
//
// The outputs are plain HTML, which a saved notebook keeps: what can be opened has the attribute
// `data-mx` with a key, and what is looked through together is in one element with `data-mx-group`.
// This widget has no view. Each kernel has one; whichever knows the keys answers.
//
// To Python: {id, ask: "facts", keys}, {id, ask: "part", key, start}, {id, ask: "rate" or "note",
// key, value}. From Python: {id, ...} with {facts: [item, ...]}, {size, mime} and the bytes, {done}
// or {error}.

const LINKS = "modellixViewerLinks"; // one list for all kernels of the page
const BUSY_MS = 2500;
const BUSY = "The kernel is busy: the original comes when it is done.";

class Link {
  constructor(model) {
    this.model = model;
    this.waiting = new Map();
    this.number = 0;
    this.onMessage = (message, buffers) => this.hear(message, buffers);
    model.on("msg:custom", this.onMessage);
  }

  hear(message, buffers) {
    const asked = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (!asked) return;
    if (message.error) asked.reject(new Error(message.error));
    else asked.resolve([message, buffers]);
  }

  ask(message) {
    const id = ++this.number;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.model.send({ id, ...message });
    });
  }

  async facts(keys) {
    const [{ facts }] = await this.ask({ ask: "facts", keys });
    if (!facts.length) throw new Error("unknown to this kernel");
    return { link: this, facts };
  }

  /** Fetch an original, part after part. */
  async original(key, tell, signal) {
    const parts = [];
    for (let got = 0, total = 1; got < total; ) {
      const [{ size, mime }, [data]] = await this.ask({ ask: "part", key, start: got });
      signal.throwIfAborted();
      total = size;
      got += data.byteLength;
      this.mime = mime;
      parts.push(data);
      tell(total ? got / total : 1);
      if (!data.byteLength) break;
    }
    return new Blob(parts, { type: this.mime });
  }
}

/** Return the items with what the kernel knows of them: the originals, and later the facts. */
function offer(items) {
  const links = [...globalThis[LINKS]];
  if (!links.length) return null;
  const keys = items.map((item) => item.id);
  const answered = Promise.any(links.map((link) => link.facts(keys))).catch(() => {
    throw new Error("This kernel does not know the picture: its ledger is another one.");
  });
  answered.catch(() => {});
  const load = (key) => async (tell, signal) => {
    const slow = setTimeout(() => tell(BUSY), BUSY_MS);
    const { link } = await answered.finally(() => clearTimeout(slow));
    return link.original(key, tell, signal);
  };
  const does = (ask) => async (item, value) => {
    const { link } = await answered;
    await link.ask({ ask, key: item.id, value });
  };
  return {
    items: items.map((item) => ({ ...item, load: load(item.id) })),
    callbacks: { rate: does("rate"), note: does("note") },
    later: answered.then(({ facts }) => facts),
  };
}

function initialize({ model }) {
  if (!globalThis[LINKS]) {
    globalThis[LINKS] = new Set();
    viewer.listen(offer);
    tables.watch();
  }
  const link = new Link(model);
  globalThis[LINKS].add(link);
  return () => {
    model.off("msg:custom", link.onMessage);
    globalThis[LINKS].delete(link);
  };
}

export default { initialize };
