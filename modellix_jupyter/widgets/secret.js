// A field for a key. What is typed goes to Python once, in a message, and is in no synced state.

function render({ model, el }) {
  const form = document.createElement("form");
  form.className = "mx-secret";
  const label = document.createElement("label");
  label.textContent = "API key";
  const field = document.createElement("input");
  field.type = "password";
  field.autocomplete = "off";
  field.spellcheck = false;
  label.append(field);
  const button = document.createElement("button");
  button.type = "submit";
  button.className = "mx-quiet";
  button.textContent = "Use this key";
  form.append(label, button);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const secret = field.value;
    field.value = "";
    if (secret) model.send({ secret });
  });
  el.append(form);
}

export default { render };
