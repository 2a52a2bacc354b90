// The panel of the threshold: the slider moves it, and the numbers follow at once. The inspector
// decides by it only after "Use for this session".

import { byId, copy, count, el, icon, number, percent, say, send } from "./dom.js";
import { isMoved, model, move, named, nextScore, on, outcome, slackAt, tell, update } from "./model.js";
import { layAxis, shareOf, valueAt } from "./plot.js";

const STEPS = 1000;
const chips = []; // [button, lower, upper]
// What the thresholds of a detector are for; the title of each button says the rest.
const NAMES = {
  paper: "No miss", crossfit: "No miss, crossfit", calibrated: "Calibrated", crossval: "Cross-validated",
  quantile: "False-alarm limit", best_accuracy: "Most correct", recalibrated: "Recalibrated",
};

function fillNumber(id, figure, lines) {
  const box = byId(id);
  box.querySelector(".figure").textContent = figure;
  box.querySelector(".soft").replaceChildren(...lines.flatMap((line, i) => (i ? [el("br"), line] : [line])));
}

const whole = (value) => Math.round(value).toLocaleString("en");

const level = () => `${Number((100 * (named() ?? model.facts.known).confidence).toPrecision(4))} %`;

function showNumbers() {
  const found = outcome();
  const bound = (value) => (value === null ? "no bound" : `at most ${percent(value)} (${level()} sure)`);
  fillNumber("missed", found.abnormal ? `${found.missed} of ${found.abnormal}` : "not known",
    found.abnormal ? [bound(found.missBound)] : ["no known defects"]);
  fillNumber("alarms", found.normal ? `${found.alarms} of ${found.normal}` : "not known",
    found.normal ? [bound(found.alarmBound)] : ["no known normal images"]);
  if (found.work) {
    const look = found.work.review + found.work.reject;
    const zones = model.upper === null
      ? `to look at; ${whole(found.work.pass)} pass`
      : `${whole(found.work.pass)} pass, ${whole(found.work.review)} review, ${whole(found.work.reject)} reject`;
    const escapes = found.abnormal && found.missBound !== null
      ? `at most ${count(Number((1e6 * model.prevalence * found.missBound).toPrecision(2)), "escape")} per million`
      : "";
    fillNumber("work", `${whole(look)} of 1,000`, escapes ? [zones, escapes] : [zones]);
  } else {
    fillNumber("work", "not known", [""]);
  }
  byId("missed").classList.toggle("bad", found.missed > 0);
  showCritical(found);
  showCommand();
  const moved = isMoved(model.saved);
  const one = named();
  const words = one ? one.words : "this threshold was picked by looking at the scores: its bounds "
    + "are those that hold for all thresholds at once. Calibrate sets one with tighter bounds";
  byId("bound-note").textContent = `${words[0].toUpperCase()}${words.slice(1)}.`;
  byId("slider").setAttribute("aria-valuetext",
    `${number(model.lower)}: ${found.missed} of ${found.abnormal} defects missed, ${found.alarms} of ${found.normal} false alarms`);
  byId("slider-upper").setAttribute("aria-valuetext",
    `${number(model.upper)}: ${found.rejected[0]} of ${found.abnormal} defects and ${found.rejected[1]} of ${found.normal} normal images rejected`);
  byId("trial").hidden = !moved && !isMoved(model.applied);
  byId("apply").disabled = !isMoved(model.applied);
  byId("reset").disabled = !moved && !isMoved(model.applied);
  byId("apply").textContent = !isMoved(model.applied) && moved ? "Used for this session" : "Use for this session";
}

// Which image sets the threshold: the lowest of the defects that are caught.
function showCritical(found) {
  const box = byId("critical");
  if (!found.first && !found.last) {
    box.replaceChildren();
    return;
  }
  const pair = found.first ?? found.last;
  const [score, id] = pair;
  const image = id === null ? null : model.images.get(id);
  const sets = found.first && Math.abs(score - model.lower) <= slackAt(score);
  let words;
  if (!found.first) words = "Every known defect would pass. Highest of them:";
  else if (sets) words = found.missed ? "Set by this defect:" : "Set by the defect that scores lowest:";
  else if (named()?.by_escape) words = "Set by a reported escape. Lowest known defect that is caught:";
  else words = "Lowest defect that is caught:";
  const name = image ? image.name : "its image is not here";
  const text = el("span", {}, el("span", { class: "soft", text: words }), el("br"),
    el("b", { text: name }), ` ${number(score)}`);
  if (!image) {
    box.replaceChildren(icon("review"), text);
    return;
  }
  const kept = box.querySelector(`button[data-id="${image.id}"] img`);
  const picture = kept ?? el("img", { src: `/api/images/${image.id}/thumb.png`, alt: "" });
  const open = el("button", { class: "link-card", "data-id": image.id, onclick: () => { model.chosen = image.id; tell("choose"); } }, picture, text);
  box.replaceChildren(open);
}

// The command that makes a threshold permanent. It takes other images than those that were looked
// at here, so that its bounds hold; its aim is what the slider shows.
function showCommand() {
  const { calibrate } = model.facts;
  byId("permanent").hidden = calibrate === "";
  const found = outcome();
  const words = [calibrate, "images=LABELLED"];
  if (found.missed && found.fixedMissBound !== null && found.fixedMissBound < 1) words.push(`miss_rate=${Number(found.fixedMissBound.toPrecision(3))}`);
  if (model.upper === null) words.push("reject_normal=null");
  if (model.prevalence > 0 && model.prevalence < 1) words.push(`prevalence=${Number(model.prevalence.toPrecision(6))}`);
  byId("calibrate").textContent = words.join(" ");
}

function place() {
  byId("slider").value = Math.round(STEPS * shareOf(model.lower));
  byId("value").textContent = `pass below ${number(model.lower)}`;
  const upper = byId("slider-upper");
  upper.hidden = model.upper === null;
  if (model.upper !== null) {
    upper.value = Math.round(STEPS * shareOf(model.upper));
    byId("value").append(el("br"), `reject from ${number(model.upper)}`);
  }
  byId("two").checked = model.upper !== null;
  for (const [chip, ...ends] of chips) {
    chip.setAttribute("aria-pressed", ends[0] === model.lower && ends[1] === model.upper);
  }
}

export function step(direction) {
  const next = nextScore(direction);
  if (next !== null) move(next);
}

async function apply(wanted) {
  try {
    update(await send("/api/threshold", wanted));
    move(model.applied.lower, model.applied.upper);
    tell("images");
    say(wanted.lower === null
      ? "The threshold of the detector decides again."
      : "This threshold decides until the inspector stops.");
  } catch (error) {
    say(error.message, true);
  }
}

export function startThreshold() {
  layAxis();
  // Of several thresholds of one value, the one that decides has the button.
  const { thresholds, decides } = model.facts;
  const distinct = new Map(thresholds.map((one) => [`${one.lower} ${one.upper}`, one]));
  for (const one of thresholds) if (one.name === decides) distinct.set(`${one.lower} ${one.upper}`, one);
  byId("named").replaceChildren(...[...distinct.values()].map(({ name, lower, upper, words }) => {
    const chip = el("button", { class: "chip", title: words, text: NAMES[name] ?? name, onclick: () => move(lower, upper) });
    chips.push([chip, lower, upper]);
    return chip;
  }));
  byId("slider").addEventListener("input", (event) => move(valueAt(event.target.value / STEPS)));
  byId("slider-upper").addEventListener("input", (event) => {
    const value = valueAt(event.target.value / STEPS);
    move(Math.min(model.lower, value), value);
  });
  const two = byId("two");
  two.disabled = model.facts.known.upper === null;
  two.addEventListener("change", () => {
    move(model.lower, two.checked ? model.saved.upper ?? model.facts.known.upper : null);
  });
  byId("step-down").addEventListener("click", () => step(-1));
  byId("step-up").addEventListener("click", () => step(1));
  byId("apply").addEventListener("click", () => apply({ lower: model.lower, upper: model.upper }));
  byId("reset").addEventListener("click", () => {
    if (isMoved(model.saved)) move(model.saved.lower, model.saved.upper);
    if (model.applied.lower !== model.saved.lower || model.applied.upper !== model.saved.upper) apply({ lower: null });
  });
  const prevalence = byId("prevalence");
  prevalence.value = Number((1000 * model.prevalence).toPrecision(4));
  prevalence.addEventListener("input", () => {
    const share = Number(prevalence.value) / 1000;
    if (prevalence.value !== "" && share >= 0 && share <= 1) {
      model.prevalence = share;
      showNumbers();
    }
  });
  byId("copy-calibrate").addEventListener("click", () => copy(byId("calibrate").textContent));
  on("threshold", () => { place(); showNumbers(); });
}
