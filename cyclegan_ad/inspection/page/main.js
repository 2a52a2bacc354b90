// Starts the page: views, light and dark, files that are dropped, and the keyboard.

import { judgeBatch, startBatch } from "./batch.js";
import { ask, byId, hush, say, send } from "./dom.js";
import { openFlag, startFlags } from "./flags.js";
import { go, startGallery } from "./gallery.js";
import { model, move, on, tell, update } from "./model.js";
import { startPlot } from "./plot.js";
import { startThreshold, step } from "./threshold.js";
import { openFile, startViewer, toggleHeat } from "./viewer.js";

const VIEWS = ["inspect", "batch", "flags"];
const POLL_MS = 1500;

function view(name, focus = false) {
  for (const one of VIEWS) {
    const tab = byId(`tab-${one}`);
    tab.setAttribute("aria-selected", one === name);
    tab.tabIndex = one === name ? 0 : -1;
    byId(`view-${one}`).hidden = one !== name;
  }
  tell("view");
  if (focus) byId(`tab-${name}`).focus();
}

function startViews() {
  VIEWS.forEach((name, at) => {
    const tab = byId(`tab-${name}`);
    tab.addEventListener("click", () => view(name));
    tab.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      view(VIEWS[(at + by + VIEWS.length) % VIEWS.length], true);
    });
  });
  on("inspect", () => view("inspect"));
  on("batch", () => view("batch"));
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch { /* not stored: the system decides next time */ }
}

function switchTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  setTheme((document.documentElement.dataset.theme ?? system) === "dark" ? "light" : "dark");
}

function take(files) {
  if (!files.length) return;
  if (files.length > 1 || !byId("view-batch").hidden) judgeBatch(files);
  else {
    view("inspect");
    openFile(files[0]);
  }
}

function startFiles() {
  byId("open-files").addEventListener("click", () => byId("file-one").click());
  byId("file-one").addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = "";
    take(files);
  });
  let depth = 0; // of the elements that are dragged over
  const curtain = byId("curtain");
  addEventListener("dragenter", () => { depth += 1; curtain.hidden = false; });
  addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) { depth = 0; curtain.hidden = true; } });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    curtain.hidden = true;
    take([...event.dataTransfer.files]);
  });
}

// Of the view of one image, and of all views.
const KEYS_OF_IMAGE = {
  ArrowLeft: () => go(-1),
  ArrowRight: () => go(1),
  "[": () => step(-1),
  "]": () => step(1),
  w: openFlag,
  h: toggleHeat,
};
const KEYS = {
  o: () => byId("open-files").click(),
  1: () => view("inspect", true),
  2: () => view("batch", true),
  3: () => view("flags", true),
  t: switchTheme,
  "?": () => byId("help").showModal(),
};

function startKeyboard() {
  addEventListener("keydown", (event) => {
    // Sliders have their own arrows.
    const typing = event.target.closest("textarea, select, input[type=number]")
      || (event.key.startsWith("Arrow") && event.target.closest("input[type=range]"));
    const wanted = KEYS[event.key] ?? (byId("view-inspect").hidden ? null : KEYS_OF_IMAGE[event.key]);
    if (!wanted || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    wanted();
  });
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("previous").addEventListener("click", () => go(-1));
  byId("next").addEventListener("click", () => go(1));
  byId("theme").addEventListener("click", switchTheme);
  byId("message-close").addEventListener("click", hush);
}

function showDrift() {
  byId("drift").hidden = model.drift === null;
  byId("drift-text").textContent = model.drift ?? "";
}

function startDrift() {
  const restart = (reset, words) => async () => {
    try {
      update(await send("/api/drift", { reset }));
      tell("images");
      say(words);
    } catch (error) {
      say(error.message, true);
    }
  };
  byId("drift-removed").addEventListener("click", restart("reference", "Drift monitoring restarted, against the images of the detector."));
  byId("drift-stays").addEventListener("click", restart("images", "Drift monitoring restarted: the next images are what later ones are compared with."));
  on("images", showDrift);
}

let lost = false; // the inspector did not answer
let told = ""; // trouble that was said

// While images of a folder are being decided about, look what is new.
async function poll() {
  try {
    // It may have been started again: then its revisions are others.
    update(await ask(lost ? "/api/now" : `/api/now?since=${model.revision}`));
    tell("images");
    if (lost) say("The inspector answers again.");
    lost = false;
  } catch (error) {
    if (!lost) say(error.message, true);
    lost = true;
  }
  watch();
}

function watch() {
  if (model.trouble && model.trouble !== told) say(model.trouble, true);
  told = model.trouble;
  if ([...model.images.values()].some((image) => !image.judged)) setTimeout(poll, POLL_MS);
}

async function start() {
  try {
    const stored = localStorage.getItem("theme");
    if (stored) document.documentElement.dataset.theme = stored;
  } catch { /* the system decides */ }
  try {
    const state = await ask("/api/state");
    model.facts = state;
    model.prevalence = state.prevalence;
    update(state);
  } catch (error) {
    say(error.message, true);
    return;
  }
  const { method, dataset, score } = model.facts.detector;
  byId("detector").textContent = `${method} on ${dataset}, score ${score}`;
  document.title = `${dataset}: inspector`;
  byId("footer").textContent = `cyclegan_ad ${model.facts.version}. Everything stays on this machine.`;
  startViews();
  startViewer();
  startThreshold();
  startPlot();
  startGallery();
  startBatch();
  startFlags();
  startFiles();
  startKeyboard();
  startDrift();
  move(model.applied.lower, model.applied.upper);
  tell("images");
  requestAnimationFrame(() => { if (model.images.size && model.chosen === null) go(0); });
  document.documentElement.dataset.ready = "true";
  watch();
}

start();
