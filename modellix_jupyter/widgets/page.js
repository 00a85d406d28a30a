// What concerns the whole panel in its page.
//
// Ctrl+Enter (Cmd+Enter on a Mac) anywhere in it presses its button; the field is left first, so
// that what was typed last is sent to Python before the press. And the panel's snapshot is hidden
// as soon as a kernel has answered: without one, the snapshot is all there is to see.
//
// To Python: {hello: true}. From Python: {alive: true}.

function render({ model, el }) {
  el.style.display = "none";
  const press = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    // looked up at each event: the panel stands in the page only some time after this
    const panel = el.closest(".mx-panel");
    if (!panel?.contains(event.target)) return;
    const button = panel.querySelector("button.mx-generate");
    if (!button) return;
    event.preventDefault();
    event.stopPropagation(); // the notebook has a Ctrl+Enter of its own, which runs the cell
    const field = document.activeElement;
    field?.blur?.();
    button.click();
    field?.focus?.();
  };
  const hide = document.createElement("style");
  hide.textContent = `.${model.get("snapshot")} { display: none; }`;
  const receive = (message) => {
    if (message.alive) el.append(hide);
  };
  model.on("msg:custom", receive);
  model.send({ hello: true });
  // the notebook listens at the document: the window comes before it
  window.addEventListener("keydown", press, true);
  return () => {
    model.off("msg:custom", receive);
    window.removeEventListener("keydown", press, true);
  };
}

export default { render };
