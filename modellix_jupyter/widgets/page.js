// What concerns the whole panel in its page.
//
// Ctrl+Enter (Cmd+Enter on a Mac) anywhere in it presses its button; the field is left first, so
// that what was typed last is sent to Python before the press. And the still picture of the panel
// is hidden as soon as a kernel has answered: without one, the picture is all there is to see.
//
// To Python: {hello: true}. From Python: {alive: true}.

function render({ model, el }) {
  el.style.display = "none";
  // asked for at each event: it stands in the page only some time after this
  const rootOf = (event) => {
    const root = el.closest(`.${model.get("scope")}`);
    return root?.contains(event.target) ? root : null;
  };
  const press = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const button = rootOf(event)?.querySelector(`button.${model.get("target")}`);
    if (!button) return;
    event.preventDefault();
    // the notebook has a Ctrl+Enter of its own, which would run the cell
    event.stopPropagation();
    const field = document.activeElement;
    field?.blur?.();
    button.click();
    field?.focus?.();
  };
  const hide = document.createElement("style");
  hide.textContent = `.${model.get("still")} { display: none; }`;
  const hear = (message) => {
    if (message.alive) el.append(hide);
  };
  model.on("msg:custom", hear);
  model.send({ hello: true });
  // the notebook listens at the document: the window comes before it
  window.addEventListener("keydown", press, true);
  return () => {
    model.off("msg:custom", hear);
    window.removeEventListener("keydown", press, true);
  };
}

export default { render };
