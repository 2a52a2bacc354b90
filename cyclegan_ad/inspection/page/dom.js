// Small helpers for the page: elements, icons, numbers and requests. Text is always set as text,
// never as HTML, so a file name cannot become part of the page.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

// An element with properties (class, text, on*, or attributes) and children.
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

export function icon(name) {
  return svg("svg", { class: `icon ${name}`, "aria-hidden": "true" },
    svg("use", { href: `#icon-${name}` }));
}

// Hide a picture that cannot be shown, and keep its place.
export const vanish = (event) => { event.target.style.visibility = "hidden"; };

export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "none";
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-4)) return value.toExponential(1);
  if (size < 1e-2) return String(Number(value.toPrecision(2)));
  return String(size < 1e4 ? Number(value.toPrecision(4)) : Math.round(value));
}

export function percent(share) {
  const value = 100 * share;
  if (value === 0 || value >= 10) return `${Math.round(value)} %`;
  return `${Number(value.toPrecision(2))} %`;
}

export function count(value, one, many = `${one}s`) {
  return `${value.toLocaleString("en")} ${value === 1 ? one : many}`;
}

// A request to the inspector. An answer that is an error becomes an Error with its sentence, and with
// whether the inspector has noted the file.
export async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    throw new Error("The inspector does not answer. Is its command still running?");
  }
  if (answer.ok) return answer.json();
  let refusal = new Error(answer.status === 413
    ? "The file is larger than the inspector takes." : `The inspector answered with error ${answer.status}.`);
  try {
    const { error, noted = false } = await answer.json();
    refusal = Object.assign(new Error(error ?? refusal.message), { noted });
  } catch { /* not JSON: the sentence above is all there is to say */ }
  throw refusal;
}

export const send = (address, content, method = "POST") => ask(address, {
  method,
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(content),
});

let timer = 0;

// Say something in the line below the header; errors stay until they are closed.
export function say(sentence, bad = false) {
  const line = byId("message");
  byId("message-text").textContent = sentence;
  line.classList.toggle("bad", bad);
  line.setAttribute("role", bad ? "alert" : "status");
  line.hidden = false;
  clearTimeout(timer);
  if (!bad) timer = setTimeout(hush, 6000);
}

export function hush() {
  byId("message").hidden = true;
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    say("The browser did not allow copying: select the command and copy it by hand.", true);
  }
}
