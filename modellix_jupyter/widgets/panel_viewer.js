// The panel's viewer: galleries tell it in the page what to show, and the kernel sends the rest.
//
// In the page: an event "mx-view" with {items: [{card, thumb}], key, compare}. From Python:
// {cards, key, compare} to show. To Python: the messages of `Link`, and {id, ask: "input", key}.

function itemOf({ card, thumb }, link) {
  return {
    id: card.key, type: card.kind || "image", prompt: card.prompt, model: card.model, rating: card.rating,
    poster: thumb?.kind === "image" ? thumb.url : undefined,
    load: (tell, signal) => {
      const slow = setTimeout(() => tell(BUSY), BUSY_MS);
      return link.original(card.key, tell, signal).finally(() => clearTimeout(slow));
    },
  };
}

function render({ model, el }) {
  el.style.display = "none";
  const link = new Link(model);
  const does = (ask) => (item, value) => link.ask({ ask, key: item.id, value });
  let shown = null;
  const callbacks = { rate: does("rate"), note: does("note"), use: does("input"), closed: () => { shown = null; } };
  const show = ({ items, key, compare }) => {
    shown?.close();
    const index = items.findIndex((item) => item.card.key === key);
    const mine = viewer.open(items.map((item) => itemOf(item, link)), Math.max(0, index), callbacks, compare);
    shown = mine;
    link.facts(items.map((item) => item.card.key)).then(({ facts }) => shown === mine && mine.update(facts)).catch(() => {});
  };
  const view = (event) => {
    if (el.closest(".mx-panel")?.contains(event.composedPath()[0])) show(event.detail);
  };
  const receive = ({ cards, key, compare }) => {
    if (cards) show({ items: cards.map((card) => ({ card })), key, compare });
  };
  document.addEventListener("mx-view", view);
  model.on("msg:custom", receive);
  return () => {
    shown?.close();
    link.close();
    document.removeEventListener("mx-view", view);
    model.off("msg:custom", receive);
  };
}

export default { render };
