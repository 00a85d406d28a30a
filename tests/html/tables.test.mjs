// The parts of sortable tables that need no page; run by test_viewer_js.py, or by `node --test`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const source = readFileSync(new URL("../../modellix_jupyter/html/tables.js", import.meta.url));
const tables = await import(`data:text/javascript;base64,${source.toString("base64")}`);

const order = (texts, descending) =>
  tables.ordered(texts.map(tables.keyOf), descending).map((i) => texts[i]);

test("numbers are sorted by size, and what is missing stands last either way", () => {
  assert.deepEqual(order(["10", "", "9", "-1"], false), ["-1", "9", "10", ""]);
  assert.deepEqual(order(["10", "", "9", "-1"], true), ["10", "9", "-1", ""]);
});

test("texts are sorted without regard to case, dates of one form by time", () => {
  assert.deepEqual(order(["b", "A", "c"], false), ["A", "b", "c"]);
  const dates = ["2026-11-25T10:00:00+00:00", "2026-11-25T09:00:00+00:00"];
  assert.deepEqual(order(dates, false), dates.toReversed());
});

test("equal ones keep their order, and numbers stand before texts", () => {
  assert.deepEqual(tables.ordered([1, 1, 1], true), [0, 1, 2]);
  assert.deepEqual(order(["x", "3"], false), ["3", "x"]);
});

test("a row is found by all words in any order", () => {
  assert.ok(tables.matches("A boat on a pond", "pond  BOAT"));
  assert.ok(!tables.matches("A boat", "boat pond"));
  assert.ok(tables.matches("A boat", "  "));
});
