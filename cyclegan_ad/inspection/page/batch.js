// Many images: one request after the other, so that the bar moves and Stop works at once.

import { ask, byId, count, el, icon, number, say, vanish } from "./dom.js";
import { model, on, tell, WORDS, ZONES, zoneOf } from "./model.js";
import { note, show, upload } from "./viewer.js";

let rows = []; // { name, image } or { name, error }
let stale = false; // the threshold has moved since the table was drawn
let stopped = false;
let running = false;

function line(row) {
  const { name, image, error } = row;
  const zone = image ? zoneOf(image) : "review";
  const remark = image ? image.reason || image.doubt : error.message;
  const title = image
    ? el("button", { class: "link", text: image.name, onclick: () => { tell("inspect"); show(image.id); } })
    : el("span", { text: name });
  // Made once, so that a new row loads no picture again.
  row.picture ??= image
    ? el("img", { class: "mini", src: `/api/images/${image.id}/thumb.png`, alt: "", loading: "lazy", onerror: vanish })
    : el("span", { class: "mini" });
  return el("tr", { class: zone },
    el("td", {}, icon(zone), WORDS[zone]),
    el("td", { class: "path" }, el("div", { class: "with-picture" }, row.picture,
      el("div", {}, title, remark ? el("div", { class: "soft", text: remark }) : null))),
    el("td", { class: "num", text: image ? number(image.score) : "none" }));
}

function showCounts() {
  byId("batch-result").hidden = !rows.length;
  byId("drop").classList.toggle("small", rows.length > 0);
  const zones = rows.map((row) => (row.image ? zoneOf(row.image) : "review"));
  byId("batch-counts").replaceChildren(...ZONES.map((zone) => el("span", { class: `zone-count ${zone}` },
    icon(zone), `${zones.filter((one) => one === zone).length} ${WORDS[zone].toLowerCase()}`)));
}

function add(row) {
  rows.push(row);
  byId("batch-rows").append(line(row));
  showCounts();
}

function drawAll() {
  stale = false;
  byId("batch-rows").replaceChildren(...rows.map(line));
  showCounts();
}

// Once for each frame, and only while the table is seen.
function soon() {
  if (!stale) requestAnimationFrame(drawStale);
  stale = true;
}

function drawStale() {
  if (stale && !byId("view-batch").hidden) drawAll();
}

export async function judgeBatch(files) {
  if (running) {
    say("A batch is being decided about: wait for its end, or stop it.", true);
    return;
  }
  running = true;
  stopped = false;
  rows = [];
  drawAll();
  tell("batch");
  try {
    const { id } = await ask("/api/batches", { method: "POST" });
    const bar = byId("batch-bar");
    byId("batch-progress").hidden = false;
    byId("batch-stop").hidden = false;
    byId("batch-download").href = `/api/batches/${id}/decisions.csv`;
    bar.max = files.length;
    bar.value = 0;
    for (const file of files) {
      if (stopped) break;
      byId("batch-text").textContent = `${rows.length} of ${files.length}`;
      const row = { name: file.name };
      try {
        row.image = await upload(file, id);
      } catch (error) {
        row.error = error;
      }
      add(row);
      bar.value = rows.length;
    }
    const unknown = () => rows.filter((row) => row.error && !row.error.noted);
    for (const row of unknown()) {
      await note(row.name, row.error, id);
      if (!row.error.noted) break;
    }
    const lacking = unknown().length;
    byId("batch-text").textContent = (stopped
      ? `Stopped after ${rows.length} of ${count(files.length, "image")}` : `${count(rows.length, "image")} done`)
      + (lacking ? `; the CSV lacks ${lacking} of them, which were not judged` : "");
  } catch (error) {
    say(error.message, true);
  }
  byId("batch-stop").hidden = true;
  running = false;
  tell("images");
}

export function startBatch() {
  byId("batch-stop").addEventListener("click", () => { stopped = true; });
  byId("open-batch").addEventListener("click", () => byId("file-many").click());
  byId("file-many").addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = "";
    if (files.length) judgeBatch(files);
  });
  on("threshold", soon);
  on("view", drawStale);
}
