// The images to pick from, nearest the threshold first. Cards are made once and moved, so that a
// moving threshold loads no picture again.

import { byId, el, icon, number, vanish } from "./dom.js";
import { model, on, verdict, WORDS, zoneOf } from "./model.js";
import { show } from "./viewer.js";

const AT_ONCE = 24;
const cards = new Map();
let order = []; // ids, as shown
let shown = AT_ONCE;
let waiting = false;

const SORTS = {
  near: (a, b) => distance(a) - distance(b),
  high: (a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity),
  low: (a, b) => (a.score ?? Infinity) - (b.score ?? Infinity),
  name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }),
};

const distance = (image) => (image.score === null ? -1 : Math.abs(image.score - model.lower));

function keeps(image, filter) {
  if (filter === "all") return true;
  if (filter === "flagged") return Boolean(image.flag);
  if (filter === "missed" || filter === "alarm") return verdict(image) === filter;
  return image.judged && zoneOf(image) === filter;
}

function nameOf({ name }) {
  const cut = name.search(/[^\\/]*$/);
  return el("span", { class: "name", title: name },
    el("span", { class: "folder", text: name.slice(0, cut) }), el("span", { text: name.slice(cut) }));
}

function card(image) {
  const known = cards.get(image.id);
  if (known) return known;
  const made = el("button", { class: "image-card", "data-id": image.id, tabindex: "-1", onclick: () => choose(image.id) },
    el("img", { src: `/api/images/${image.id}/thumb.png`, alt: "", loading: "lazy", width: 88, height: 88, onerror: vanish }),
    el("span", { class: "zone-line" }), nameOf(image), el("span", { class: "marks" }));
  cards.set(image.id, made);
  return made;
}

const MARKS = { missed: "missed defect", alarm: "false alarm" };

function label(image, node) {
  const zone = image.judged ? zoneOf(image) : null;
  const found = verdict(image);
  node.className = `image-card ${zone ?? "waiting"}`;
  const line = node.querySelector(".zone-line");
  const marks = node.querySelector(".marks");
  line.replaceChildren(...(zone ? [icon(zone), `${WORDS[zone]} `, el("span", { class: "soft", text: number(image.score) })] : ["waiting"]));
  const words = [MARKS[found] ?? image.truth, image.flag ? "flagged" : null].filter(Boolean);
  marks.textContent = words.join(", ");
  marks.classList.toggle("bad", found === "missed" || found === "alarm");
  node.setAttribute("aria-label", [image.name, zone ? WORDS[zone] : "waiting", `score ${number(image.score)}`, ...words].join(", "));
  if (image.id === model.chosen) node.setAttribute("aria-current", "true");
  else node.removeAttribute("aria-current");
}

function draw() {
  waiting = false;
  const filter = byId("filter").value;
  const found = [...model.images.values()].filter((image) => keeps(image, filter));
  found.sort(SORTS[byId("order").value]);
  order = found.map((image) => image.id);
  const nodes = found.slice(0, shown).map((image) => {
    const node = card(image);
    label(image, node);
    return node;
  });
  const box = byId("cards");
  const focused = box.contains(document.activeElement) ? document.activeElement : null;
  if (nodes.length !== box.children.length || nodes.some((node, i) => box.children[i] !== node)) {
    box.replaceChildren(...nodes);
    if (focused && box.contains(focused)) focused.focus({ preventScroll: true });
  }
  const entry = nodes.find((node) => node.dataset.id === model.chosen) ?? nodes[0];
  for (const node of nodes) node.tabIndex = node === entry ? 0 : -1;
  byId("gallery-count").textContent = filter === "all" ? `${model.images.size}` : `${found.length} of ${model.images.size}`;
  byId("more").hidden = found.length <= shown;
  byId("remark").hidden = !model.facts.remark && found.length > 0;
  byId("remark").textContent = found.length || model.facts.remark ? model.facts.remark : "No such image.";
}

// Once for each frame, however fast the slider moves.
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(draw);
}

function choose(id, focus = false) {
  show(id);
  const node = cards.get(id);
  if (focus && node) node.focus();
}

// Go to a neighbour in the gallery; the card gets the focus if the gallery had it.
export function go(by) {
  if (!order.length) return;
  const at = order.indexOf(model.chosen);
  const next = at < 0 ? 0 : Math.min(order.length - 1, Math.max(0, at + by));
  if (next >= shown) {
    shown = next + AT_ONCE;
    draw();
  }
  choose(order[next], byId("cards").contains(document.activeElement));
}

// Cards of a row: what the arrows up and down go by.
function columns() {
  const nodes = [...byId("cards").children];
  const first = nodes[0]?.offsetTop;
  const end = nodes.findIndex((node) => node.offsetTop !== first);
  return end < 0 ? nodes.length : end;
}

export function startGallery() {
  byId("filter").addEventListener("change", () => { shown = AT_ONCE; draw(); });
  byId("order").addEventListener("change", draw);
  byId("more").addEventListener("click", () => { shown += 4 * AT_ONCE; draw(); });
  byId("cards").addEventListener("keydown", (event) => {
    const by = { ArrowDown: columns(), ArrowUp: -columns() }[event.key];
    if (!by) return;
    event.preventDefault();
    go(by);
  });
  for (const name of ["threshold", "images", "chosen"]) on(name, soon);
}
