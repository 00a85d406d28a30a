// Asks the kernel for facts of pictures and for their originals; sends it ratings and notes.
//
// To Python: {id, ask: "facts", keys}, {id, ask: "part", key, start}, {id, ask: "rate" or "note",
// key, value}. From Python: {id, ...} with {facts: [item, ...]}, {size, mime} and the bytes, {done}
// or {error}.

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

  /** Fetch an original, part by part. */
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

  close() {
    this.model.off("msg:custom", this.onMessage);
  }
}
