// Makes tables with `data-mx-table` searchable, and sortable by a click on a heading.
//
// The tables are plain HTML, readable without a script. This script is added only where scripts may
// run: in a notebook that is trusted or has a kernel, and in an exported page.

const PAUSE_MS = 250; // between two searches for new tables

/** Return the sort key of a cell: a number, a text in lower case, or null if it is empty. */
export function keyOf(text) {
  const key = (text ?? "").trim();
  if (key === "") return null;
  const number = Number(key);
  return Number.isNaN(number) ? key.toLowerCase() : number;
}

/** Compare two keys: numbers by value, and before texts. */
export function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a < b ? -1 : Number(a > b);
}

/** Return the indexes in the order of their keys; null keys are last in both directions. */
export function ordered(keys, descending) {
  const indexes = keys.map((_, i) => i);
  const sign = descending ? -1 : 1;
  return indexes.sort((i, j) => {
    const missing = Number(keys[i] === null) - Number(keys[j] === null);
    if (missing || keys[i] === null) return missing || i - j;
    return sign * compare(keys[i], keys[j]) || i - j;
  });
}

/** Whether a text contains every word of a search. */
export function matches(text, wanted) {
  const low = text.toLowerCase();
  return wanted.toLowerCase().split(/\s+/).every((word) => low.includes(word));
}

function sortBy(table, heading) {
  const descending = heading.getAttribute("aria-sort") === "ascending";
  for (const each of table.tHead.querySelectorAll("th")) {
    each.removeAttribute("aria-sort");
    each.querySelector("[data-mx-arrow]")?.remove();
  }
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  heading.append(arrow(descending));
  const [body] = table.tBodies;
  const rows = [...body.rows];
  const cells = rows.map((row) => row.cells[heading.cellIndex]);
  const keys = cells.map((cell) => keyOf(cell?.dataset.v ?? cell?.textContent));
  body.append(...ordered(keys, descending).map((i) => rows[i]));
}

function arrow(descending) {
  const made = document.createElement("span");
  made.dataset.mxArrow = "";
  made.setAttribute("aria-hidden", "true");
  made.textContent = descending ? " ▼" : " ▲";
  return made;
}

function search(table, wanted, count) {
  const rows = [...table.tBodies[0].rows];
  for (const row of rows) row.hidden = !matches(row.textContent, wanted);
  const shown = rows.filter((row) => !row.hidden).length;
  count.textContent = wanted.trim() ? `${shown} of ${rows.length}` : "";
}

function button(table, heading) {
  const made = document.createElement("button");
  made.type = "button";
  made.title = "Sort";
  made.style.cssText = "all:unset;cursor:pointer;font:inherit";
  made.append(...heading.childNodes);
  made.addEventListener("click", () => sortBy(table, heading));
  made.addEventListener("focus", () => (made.style.textDecoration = "underline"));
  made.addEventListener("blur", () => (made.style.textDecoration = ""));
  heading.append(made);
}

function field(table) {
  const count = document.createElement("span");
  count.setAttribute("role", "status");
  count.style.cssText = "margin-left:10px;opacity:.72";
  const input = document.createElement("input");
  input.type = "search";
  input.placeholder = "Search";
  input.setAttribute("aria-label", "Search the table");
  input.style.cssText =
    "font:inherit;color:inherit;background:transparent;border:1px solid rgba(128,128,128,.5);" +
    "border-radius:6px;padding:3px 9px;width:min(260px,60%)";
  input.addEventListener("input", () => search(table, input.value, count));
  const line = document.createElement("div");
  line.dataset.lmSuppressShortcuts = "true"; // JupyterLab's shortcuts, while the user types
  line.addEventListener("keydown", (event) => event.stopPropagation());
  line.style.padding = "2px 0 8px";
  line.append(input, count);
  return line;
}

/** Add sorting and search to the tables that are in the page now. */
export function enliven() {
  for (const table of document.querySelectorAll("table[data-mx-table]:not([data-mx-live])")) {
    table.dataset.mxLive = "";
    if (!table.tHead || !table.tBodies.length) continue;
    for (const heading of table.tHead.querySelectorAll("th")) {
      if (heading.textContent.trim()) button(table, heading);
    }
    if (table.tBodies[0].rows.length > 5) (table.closest("[data-mx-box]") ?? table).before(field(table));
  }
}

/** Add sorting and search to the tables of the page, now and when more appear. */
export function watch() {
  let waiting = false;
  const later = () => {
    waiting = false;
    enliven();
  };
  enliven();
  new MutationObserver(() => {
    if (!waiting) setTimeout(later, PAUSE_MS);
    waiting = true;
  }).observe(document.body, { childList: true, subtree: true });
}
