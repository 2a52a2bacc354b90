// The image that is looked at: decision, picture, reconstruction and heat map.

import { ask, byId, el, number, say, send } from "./dom.js";
import { isMoved, model, on, tell, update, verdict, WORDS, zoneOf } from "./model.js";

const WHY = {
  pass: "No defect found.",
  review: "A person must look at it.",
  reject: "It looks defective.",
};
const VERDICTS = {
  missed: "A known defect: it is missed.",
  alarm: "Known to be normal: a false alarm.",
  right: null,
};
let shown = null;

function showDecision(image) {
  const zone = zoneOf(image);
  const box = byId("decision");
  box.className = `decision ${zone}`;
  byId("decision-icon").setAttribute("href", `#icon-${zone}`);
  byId("decision-word").textContent = WORDS[zone];
  const why = image.reason ? `No score: ${image.reason}.` : zone === "review" && image.doubt ? `${image.doubt}.` : WHY[zone];
  byId("decision-why").textContent = [why, VERDICTS[verdict(image)]].filter(Boolean).join(" ");
  const trial = byId("decision-trial");
  trial.hidden = !isMoved(model.applied);
  trial.textContent = `On trial: the inspector still decides by ${number(model.applied.lower)}.`;
  const margin = image.score === null ? null : image.score - model.lower;
  const facts = [
    ["Image", image.name],
    ["Score", number(image.score)],
    ["Threshold", number(model.lower)],
    ["Margin", margin === null ? "none" : `${number(Math.abs(margin))} ${margin < 0 ? "below" : "above"}`],
    ["Known to be", image.truth ?? "not known"],
  ];
  byId("facts").replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value }))));
  byId("wrong-text").textContent = image.flag ? `Flagged: ${image.flag.label}` : "Decision is wrong";
  byId("wrong").classList.toggle("on", Boolean(image.flag));
}

const loading = new Set(); // pictures that are being computed

// Load a picture into its frame, which says that one is being computed. Until then it is hidden, as
// its element still has the picture of the image before; it stays so if there is none.
function picture(id, image, kind, alt, done = () => {}) {
  const node = byId(id);
  const frame = node.closest(".frame");
  node.alt = alt;
  node.hidden = true;
  loading.add(node);
  frame.setAttribute("aria-busy", "true");
  if (kind === "image") frame.classList.remove("none");
  const end = (found) => () => {
    if (shown !== image.id) return;
    loading.delete(node);
    if (![...frame.children].some((other) => loading.has(other))) frame.removeAttribute("aria-busy");
    node.hidden = !found;
    if (kind === "image") frame.classList.toggle("none", !found);
    done(found);
  };
  node.onload = end(true);
  node.onerror = end(false);
  node.src = `/api/images/${image.id}/${kind}.png`;
}

function showPictures(image) {
  for (const id of ["panes", "below", "facts"]) byId(id).hidden = false;
  const made = byId("pane-made");
  made.hidden = image.score === null || !model.facts.reconstructs;
  // The map covers the image, whatever its shape.
  picture("pane-image", image, "image", `Image ${image.name}`, (found) => {
    const { naturalWidth, naturalHeight } = byId("pane-image");
    byId("panes").style.setProperty("--ratio", found ? naturalWidth / naturalHeight : 1);
  });
  picture("overlay-image", image, "image", `Image ${image.name} under its heat map`);
  picture("overlay-heat", image, "heat", "");
  if (made.hidden) return;
  picture("pane-reconstruction", image, "reconstruction", `${image.name} as the detector expects it without a defect`, (found) => {
    made.hidden = !found;
  });
}

export function show(id) {
  const image = model.images.get(id);
  if (!image) return;
  model.chosen = id;
  if (shown !== id) showPictures(image);
  shown = id;
  showDecision(image);
  tell("chosen");
}

export function toggleHeat() {
  const slider = byId("opacity");
  slider.value = Number(slider.value) > 0 ? 0 : 70;
  slider.dispatchEvent(new Event("input"));
}

export function startViewer() {
  const slider = byId("opacity");
  const fade = () => { byId("overlay-heat").style.opacity = slider.value / 100; };
  slider.addEventListener("input", fade);
  fade();
  on("choose", () => show(model.chosen));
  const again = () => { if (shown) showDecision(model.images.get(shown)); };
  on("threshold", again);
  on("images", again);
}

// Note a file that was not judged, unless the inspector has: its tables get a row for review.
export async function note(name, error, batch) {
  if (error.noted) return;
  try {
    ({ noted: error.noted } = await send("/api/refused", { name, reason: error.reason ?? error.message, batch }));
  } catch { /* not noted: a batch tries again at its end */ }
}

// Decide about a file; it becomes the image that is looked at unless it belongs to a batch.
export async function upload(file, batch = null) {
  try {
    const bytes = model.facts.max_upload_bytes;
    if (file.size > bytes) {
      const reason = `it has ${(file.size / 2 ** 20).toFixed(0)} MiB, and at most ${(bytes / 2 ** 20).toFixed(0)} MiB are taken`;
      throw Object.assign(new Error(`${file.name} was not judged: ${reason}.`), { reason });
    }
    const { drift, ...image } = await ask(batch === null ? "/api/images" : `/api/images?batch=${batch}`, {
      method: "POST",
      headers: { "X-File-Name": encodeURIComponent(file.name), "Content-Type": "application/octet-stream" },
      body: file,
    });
    update({ images: [image], drift });
    return image;
  } catch (error) {
    await note(file.name, error, batch);
    throw error;
  }
}

export async function openFile(file) {
  say(`Deciding about ${file.name}`);
  try {
    const image = await upload(file);
    tell("images");
    show(image.id);
    say(`${image.name}: ${WORDS[zoneOf(image)]}.`);
    byId("decision").scrollIntoView({ block: "nearest" });
  } catch (error) {
    say(error.message, true);
  }
}
