// Fetches the viewer from the kernel. The widget's own state is small: a program that runs a
// notebook without a front end writes that state into the notebook.

/** Run the script once the kernel has sent it; return a function that undoes all of it. */
function load(model) {
  const sheet = document.createElement("style");
  let ended = false;
  let end = () => {};
  const hear = async ({ script, style }) => {
    if (!script) return;
    model.off("msg:custom", hear);
    const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    const module = await import(address);
    URL.revokeObjectURL(address);
    if (ended) return;
    sheet.textContent = style;
    document.head.append(sheet);
    end = module.default.initialize({ model });
  };
  model.on("msg:custom", hear);
  model.send({ id: 0, ask: "script" });
  return () => {
    ended = true;
    model.off("msg:custom", hear);
    sheet.remove();
    end();
  };
}

// not awaited: anywidget gives a model two seconds, and a kernel that runs a cell may take longer
export default { initialize: ({ model }) => load(model) };
