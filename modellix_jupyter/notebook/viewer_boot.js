// Fetches the viewer from the kernel. The widget's own state is small, because what runs a notebook
// without a front end writes it into the notebook.

async function initialize({ model }) {
  const { script, style } = await new Promise((resolve) => {
    const hear = (message) => {
      if (!message.script) return;
      model.off("msg:custom", hear);
      resolve(message);
    };
    model.on("msg:custom", hear);
    model.send({ id: 0, ask: "script" });
  });
  const sheet = document.createElement("style");
  sheet.textContent = style;
  document.head.append(sheet);
  const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const module = await import(address);
  URL.revokeObjectURL(address);
  const end = module.default.initialize({ model });
  return () => {
    sheet.remove();
    end();
  };
}

export default { initialize };
