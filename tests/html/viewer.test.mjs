// The parts of the viewer that need no page; run by test_viewer_js.py, or by `node --test`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const source = readFileSync(new URL("../../modellix_jupyter/html/viewer.js", import.meta.url));
const viewer = await import(`data:text/javascript;base64,${source.toString("base64")}`);

const WIDE = { width: 2000, height: 1000 };
const BOX = { width: 500, height: 500 };
const FIT = { zoom: 1, x: 0.5, y: 0.5 };

test("a picture fits, whole and in the middle", () => {
  const { scale, left, top, look } = viewer.place(WIDE, BOX, FIT);
  assert.deepEqual([scale, left, top], [0.25, 0, 125]);
  assert.deepEqual(look, FIT);
});

test("a small picture is enlarged a little, not to a blur", () => {
  assert.equal(viewer.fitScale({ width: 10, height: 10 }, BOX), 2);
});

test("the point under the pointer stays where it is", () => {
  const point = { x: 120, y: 30 };
  const before = viewer.place(WIDE, BOX, { zoom: 3, x: 0.5, y: 0.5 });
  const after = viewer.place(WIDE, BOX, viewer.zoomed(WIDE, BOX, before.look, 2, point));
  const under = ({ left, top, scale }) =>
    [(250 + point.x - left) / scale, (250 + point.y - top) / scale];
  under(before).forEach((at, i) => assert.ok(Math.abs(at - under(after)[i]) < 1e-6));
});

test("nothing is seen beyond the picture's edge, however far it is dragged", () => {
  for (const [dx, dy] of [[1e6, 1e6], [-1e6, -1e6]]) {
    const look = viewer.panned(WIDE, BOX, { zoom: 4, x: 0.5, y: 0.5 }, dx, dy);
    const { left, top, scale } = viewer.place(WIDE, BOX, look);
    assert.ok(left <= 1e-9 && left + WIDE.width * scale >= BOX.width - 1e-6);
    assert.ok(top <= 1e-9 && top + WIDE.height * scale >= BOX.height - 1e-6);
  }
});

test("zoom ends at fit and at 32 pixels for one", () => {
  assert.equal(viewer.zoomed(WIDE, BOX, FIT, 1e-9).zoom, 1);
  const { scale } = viewer.place(WIDE, BOX, viewer.zoomed(WIDE, BOX, FIT, 1e9));
  assert.equal(scale, 32);
});

test("the same look shows the same part of pictures of any size", () => {
  const look = { zoom: 4, x: 0.3, y: 0.6 };
  const part = (size) => {
    const { left, top, scale } = viewer.place(size, BOX, look);
    return [(250 - left) / scale / size.width, (250 - top) / scale / size.height];
  };
  const [large, small] = [part({ width: 4000, height: 4000 }), part({ width: 512, height: 512 })];
  large.forEach((at, i) => assert.ok(Math.abs(at - small[i]) < 1e-9));
});

test("what differs is told from what does not", () => {
  const rows = viewer.compared([
    { prompt: "a cat", model: "a/x", params: { seed: 1, size: "S" }, price: 0.04, seconds: 3 },
    { prompt: "a cat", model: "a/x", params: { seed: 2, size: "S", style: ["ink"] }, price: 0.04 },
  ]);
  const differing = rows.filter((row) => row.differs).map(({ name, values }) => [name, ...values]);
  assert.deepEqual(differing, [["seed", "1", "2"], ["Time", "3.0 s", ""], ["style", "", '["ink"]']]);
  assert.ok(rows.some((row) => row.name === "Prompt" && !row.differs));
});

test("facts are text, and only what is known", () => {
  assert.deepEqual(viewer.factsOf({ model: "a/x", seed: 0, width: 8, height: 6, price: 0.1 }), [
    ["Model", "a/x"], ["seed", "0"], ["Size", "8 × 6"], ["Price", "$0.10"],
  ]);
  assert.deepEqual(viewer.factsOf({ price: Number.NaN, seconds: "x", params: null }), []);
});

test("times and prices read as everywhere else", () => {
  const seconds = [7.44, 59.96, 65, undefined].map(viewer.seconds);
  assert.deepEqual(seconds, ["7.4 s", "1 min 00 s", "1 min 05 s", ""]);
  assert.deepEqual([0.04, 1.2345, 3].map(viewer.money), ["$0.04", "$1.2345", "$3.00"]);
  assert.deepEqual([0, 65, Number.NaN].map(viewer.clock), ["0:00", "1:05", "0:00"]);
});

test("the strip is short however many there are", () => {
  for (const index of [0, 1500, 2999]) {
    const shown = viewer.around(index, 3000);
    assert.equal(shown.length, 49);
    assert.ok(shown.includes(index));
  }
  assert.deepEqual(viewer.around(1, 3), [0, 1, 2]);
});

test("panes stand so that pictures are largest", () => {
  const desk = { width: 1200, height: 700 };
  assert.equal(viewer.columnsFor(2, desk, 1), 2);
  assert.equal(viewer.columnsFor(2, { width: 400, height: 800 }, 1), 1);
  assert.equal(viewer.columnsFor(4, desk, 1), 2);
  assert.equal(viewer.columnsFor(3, desk, 3), 1);
});

test("a download has a name that no file system minds", () => {
  assert.equal(viewer.fileName({ path: "/data/2026/a-cat.png" }), "a-cat.png");
  assert.equal(viewer.fileName({ path: "C:\\files\\a.webp" }), "a.webp");
  assert.equal(viewer.fileName({ name: '../../<b>"x"' }, "image/jpeg"), "-..--b--x-.jpg");
  assert.equal(viewer.fileName({ type: "video" }, "video/mp4"), "video.mp4");
});

test("there is always a nearest one", () => {
  assert.deepEqual([[0, -1], [1, 1], [2, 1], [5, 0]].map(([i, by]) => viewer.step(i, by, 3)), [0, 2, 2, 2]);
});

test("an element loads data, blobs and files beside the page, and nothing else", () => {
  const good = ["data:image/png;base64,AAAA", "data:video/mp4;base64,AA", "blob:null/1", "a b.png", "x/y.webm"];
  assert.deepEqual(good.map(viewer.safe), good);
  const bad = ["data:image/svg+xml;base64,AAAA", "data:text/html,x", "javascript:x", "https://example.com/x",
    "//example.com/x", "/etc/passwd", "../x.png", "red;background:url(https://example.com/x)", null, 7];
  assert.deepEqual(bad.map(viewer.safe), bad.map(() => ""));
});
