// A field for a key. Its text goes to Python once, in a message {text}, and is in no synced state.

function render({ model, el }) {
  const field = h("input", { type: "password", autocomplete: "off", spellcheck: "false" });
  const submit = (event) => {
    event.preventDefault();
    const text = field.value;
    field.value = "";
    if (text) model.send({ text });
  };
  const button = h("button", { type: "submit", class: "mx-quiet" }, "Use this key");
  el.append(h("form", { class: "mx-secret", submit }, h("label", {}, "API key", field), button));
}

export default { render };
