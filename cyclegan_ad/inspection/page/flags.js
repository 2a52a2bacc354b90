// Decisions that a person marks as wrong, and their history.

import { ask, byId, copy, el, icon, number, say, send } from "./dom.js";
import { isMoved, model, on, tell, update, WORDS, zoneOf } from "./model.js";

let about = null; // id of the image that the dialog is about

export function openFlag() {
  const image = model.images.get(model.chosen);
  if (!image) {
    say("Open an image first.", true);
    return;
  }
  about = image.id;
  const zone = zoneOf(image, model.applied); // not by a threshold on trial
  const trial = isMoved(model.applied) ? ` by the applied threshold ${number(model.applied.lower)}` : "";
  byId("flag-about").textContent = `${image.name}: ${WORDS[zone]}${trial}, score ${number(image.score)}`;
  const opposite = zone === "pass" ? "abnormal" : "normal";
  const label = image.flag ? image.flag.label : zone === "review" ? null : opposite;
  for (const choice of byId("flag-form").elements.label) choice.checked = choice.value === label;
  byId("flag-note").value = image.flag ? image.flag.note : "";
  byId("flag-dialog").showModal();
}

async function save(event) {
  if (event.submitter?.value !== "save") return;
  const label = byId("flag-form").elements.label.value;
  const image = model.images.get(about);
  try {
    const { flags, ...described } = await send(`/api/images/${image.id}/flag`, { label, note: byId("flag-note").value });
    model.images.set(image.id, described);
    update({ flags });
    tell("images");
    say(`Noted: ${image.name} is ${label}.`);
  } catch (error) {
    say(error.message, true);
  }
}

async function undo(flag) {
  try {
    update(await ask(`/api/flags/${flag.sha256}`, { method: "DELETE" }));
    tell("images");
    say("Flag taken back.");
  } catch (error) {
    say(error.message, true);
  }
}

function nameOf(flag) {
  for (const image of model.images.values()) if (image.flag?.sha256 === flag.sha256) return image.name;
  return flag.path.split(/[\\/]/).pop();
}

function draw() {
  const some = model.flags.length > 0;
  byId("flag-count").textContent = model.flags.length;
  byId("flags-none").hidden = some;
  byId("flags-some").hidden = !some;
  byId("flags-download").hidden = !some;
  byId("flag-rows").replaceChildren(...[...model.flags].reverse().map((flag) => {
    const name = nameOf(flag);
    return el("tr", {},
      el("td", { text: new Date(flag.time).toLocaleString() }), el("td", { class: "path", text: name }),
      el("td", { class: flag.label, text: flag.label }), el("td", {}, icon(flag.zone), WORDS[flag.zone] ?? flag.zone),
      el("td", { class: "num", text: flag.score === "" ? "none" : number(Number(flag.score)) }), el("td", { class: "path", text: flag.note }),
      el("td", {}, el("button", { text: "Undo", "aria-label": `Undo the flag of ${name}`, onclick: () => undo(flag) })));
  }));
}

export function startFlags() {
  byId("wrong").addEventListener("click", openFlag);
  byId("flag-form").addEventListener("submit", save);
  byId("flags-path").textContent = model.facts.flags_table;
  const command = `${model.facts.calibrate} ${model.facts.flags_word}`;
  for (const id of ["flags-how", "flags-command"]) byId(id).hidden = model.facts.calibrate === "";
  byId("calibrate-flags").textContent = command;
  byId("copy-flags").addEventListener("click", () => copy(command));
  on("images", draw);
}
