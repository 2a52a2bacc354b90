// What the page knows, and what follows from a threshold: zones, errors, bounds and workload. The
// bounds are looked up in tables of the inspector; no formula of statistics is written here.

export const ZONES = ["pass", "review", "reject"];
export const WORDS = { pass: "Pass", review: "Review", reject: "Reject" };

export const model = {
  facts: null, // what does not change while the page is open
  images: new Map(), // id -> image to pick from, and uploads
  flags: [],
  lower: 0, // the threshold on the slider
  upper: null, // from which images are rejected; null: from the threshold on
  applied: { lower: 0, upper: null }, // by which the inspector decides
  saved: { lower: 0, upper: null }, // that of the detector
  prevalence: 0.01,
  drift: null, // the warning that the images have changed
  trouble: "", // why images could not be judged
  revision: 0, // of the images
  chosen: null, // id of the image in the viewer
};

const events = new EventTarget();
export const on = (name, listener) => events.addEventListener(name, listener);
export const tell = (name) => events.dispatchEvent(new Event(name));

// Take over what the inspector says has changed.
export function update(now) {
  for (const image of now.images ?? []) model.images.set(image.id, image);
  if (now.flags) model.flags = now.flags;
  for (const name of ["drift", "trouble", "revision"]) if (now[name] !== undefined) model[name] = now[name];
  if (now.applied) Object.assign(model, { applied: now.applied, saved: now.saved });
  const flagged = new Map(model.flags.map((flag) => [flag.sha256, flag]));
  for (const image of model.images.values()) image.flag = flagged.get(image.sha256) ?? null;
}

export function move(lower, upper = model.upper) {
  model.lower = lower;
  model.upper = upper === null ? null : Math.max(upper, lower);
  tell("threshold");
}

export const isMoved = (from) => model.lower !== from.lower || model.upper !== from.upper;

export function zoneOf(image, { lower, upper } = model) {
  if (image.score === null) return "review";
  if (image.score >= (upper ?? lower)) return "reject";
  if (image.score >= lower) return "review";
  return image.doubt ? "review" : "pass";
}

// missed, alarm, right or unknown: how the decision compares with what is known of the image.
export function verdict(image) {
  if (!image.truth || !image.judged) return "unknown";
  const passes = zoneOf(image) === "pass";
  if (image.truth === "abnormal") return passes ? "missed" : "right";
  return passes ? "right" : "alarm";
}

// Number of sorted pairs [score, id] below a value.
function below(pairs, value) {
  let low = 0;
  let high = pairs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (pairs[middle][0] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The threshold of the detector that the slider is on; undefined if a person picked it.
export const named = () => model.facts.thresholds.find((one) => (
  one.lower === model.lower && one.upper === model.upper && !one.picked));

// Upper bounds on both rates. A threshold of the detector has those that it states, one that was
// picked by looking at the scores those that hold for all thresholds at once.
function boundsOf(missed, alarms, { miss, alarm }) {
  const one = named();
  return {
    missBound: one ? one.miss_bound : miss.any[missed] ?? null,
    alarmBound: one ? one.alarm_bound : alarm.any[alarms] ?? null,
  };
}

// What the threshold on the slider does to the known images, and to 1,000 new ones.
export function outcome() {
  const { normal, abnormal, bounds } = model.facts.known;
  const upper = model.upper ?? model.lower;
  const missed = below(abnormal, model.lower);
  const alarms = normal.length - below(normal, model.lower);
  const shares = (pairs) => (pairs.length ? {
    pass: below(pairs, model.lower) / pairs.length,
    reject: 1 - below(pairs, upper) / pairs.length,
  } : null);
  const good = shares(normal);
  const bad = shares(abnormal);
  const share = abnormal.length ? model.prevalence : 0;
  let work = null;
  if (good) {
    const mix = (name) => 1000 * ((1 - share) * good[name] + share * (bad ? bad[name] : 0));
    work = { pass: mix("pass"), reject: mix("reject") };
    work.review = Math.max(0, 1000 - work.pass - work.reject);
  }
  return {
    missed, alarms, work,
    rejected: [abnormal, normal].map((pairs) => pairs.length - below(pairs, upper)),
    abnormal: abnormal.length,
    normal: normal.length,
    ...boundsOf(missed, alarms, bounds),
    fixedMissBound: bounds.miss.fixed[missed] ?? null, // of the rule that has these misses
    first: abnormal[missed] ?? null, // the lowest of the defects that are caught
    last: missed ? abnormal[missed - 1] : null, // the highest of those that are missed
  };
}

// By how much a threshold may lie beside the score of the image that sets it: by a rounding error.
export function slackAt(score) {
  const { at_one: atOne, at_zero: atZero } = model.facts.rounding;
  return 1.5 * Math.max(atZero, atOne * Math.abs(score));
}

// The next known score above or below the threshold; null at the end.
export function nextScore(direction) {
  const { normal, abnormal } = model.facts.known;
  const scores = [...normal, ...abnormal].map(([score]) => score);
  const slack = slackAt(model.lower);
  const ahead = direction > 0
    ? scores.filter((score) => score > model.lower + slack)
    : scores.filter((score) => score < model.lower - slack);
  if (!ahead.length) return null;
  return direction > 0 ? Math.min(...ahead) : Math.max(...ahead);
}
