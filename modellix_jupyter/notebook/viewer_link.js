// Opens the viewer on a click on a picture of an output, with the original from the kernel's disk.
//
// The outputs are plain HTML, which a saved notebook keeps: an element that can be opened has the
// attribute `data-mx` with a key, and those that are browsed together are in one with
// `data-mx-group`. This widget has no view. Each kernel has one;
// the kernel that knows the keys answers.

const LINKS = "modellixViewerLinks"; // one list for all kernels of the page
/** Return the items with functions that load their originals, and a promise of their facts. */
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
    link.close();
    globalThis[LINKS].delete(link);
  };
}

export default { initialize };
