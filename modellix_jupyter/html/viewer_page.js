// Opens the viewer on the pictures of an exported page; their facts are JSON in the page.

const FACTS = new Map(JSON.parse(document.getElementById("facts").textContent));

tables.watch();
viewer.listen((items) => {
  const known = items.map((item) => ({ ...item, ...FACTS.get(item.id) }));
  const shown = known.filter((item) => item.src);
  return shown.length ? { items: shown } : null;
});
