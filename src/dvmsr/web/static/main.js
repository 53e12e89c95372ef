// The list of pictures, kept as the server tells of it.

import { ask, picturePath, upload } from "./api.js";
import { takeIn } from "./intake.js";
import { Row } from "./row.js";
import { Settings } from "./settings.js";
import { Viewer } from "./viewer.js";
import { bytes, count, duration } from "./words.js";

const element = (id) => document.getElementById(id);
// Milliseconds: while something is at work, and to say that somebody is there.
const SOON = 400;
const LATER = 10_000;
const UPLOADS_AT_ONCE = 2;

const nothingYet = element("empty").textContent;
const rows = [];
const toSend = [];
let sending = 0;
// Whether the server knows us: the first upload makes the session that the others then belong to.
let hasSession = false;
let timer = null;
let about;
let settings;
let viewer;

async function start() {
  while (!about) {
    try {
      about = await ask("GET", "api/about");
    } catch (error) {
      gone(error);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
  gone(null);
  settings = new Settings(element("settings"), about, later(planAll, 250));
  viewer = new Viewer({
    partPixels: about.limits.part_pixels,
    settings,
    onEnlarge: (row) => enlarge(row),
  });
  element("enlarge-all").onclick = enlargeAll;
  element("cancel-all").onclick = () =>
    rows.filter((row) => row.atWork || row.state === "uploading").forEach(cancel);
  element("remove-all").onclick = removeAll;
  await look();
  planAll();
}

function addFiles(files) {
  const { limits } = about;
  for (const file of files) {
    const row = addRow({ name: file.name, state: "uploading", progress: 0 });
    if (file.size > limits.file_bytes) {
      const most = bytes(limits.file_bytes);
      refuse(
        row,
        `${file.name} has ${bytes(file.size)}, and a file may have ${most} here; take a smaller file`,
      );
    } else toSend.push({ file, row });
  }
  if (files.length) announce(`${count(files.length, "picture")} added`);
  send();
}

function addRow(picture) {
  const row = new Row(element("picture-template"), picture, {
    enlarge,
    cancel,
    remove,
    compare: (each) => viewer.compare(each),
    part: (each) => viewer.pick(each),
  });
  element("empty").textContent = nothingYet;
  rows.push(row);
  element("pictures").append(row.element);
  overview();
  return row;
}

function send() {
  while (sending < (hasSession ? UPLOADS_AT_ONCE : 1) && toSend.length) {
    const { file, row } = toSend.shift();
    if (!rows.includes(row)) continue;
    sending += 1;
    row.abort = new AbortController();
    const onProgress = (part) => row.update({ progress: part });
    upload(file, { onProgress, signal: row.abort.signal })
      .then(
        (picture) => {
          hasSession = true;
          row.update(picture);
          later(planAll, 150)();
        },
        (error) => (error.name === "AbortError" ? drop(row) : refuse(row, error.message)),
      )
      .finally(() => {
        sending -= 1;
        overview();
        send();
      });
  }
}

function refuse(row, sentence) {
  row.update({ state: "refused", error: sentence });
  announce(sentence);
  overview();
}

async function enlarge(row) {
  if (!settings.check()) return;
  try {
    row.update(await ask("POST", picturePath(row.picture, "/enlarge"), settings.values(row.picture)));
  } catch (error) {
    row.update({ error: error.message });
    announce(error.message);
  }
  lookSoon();
}

async function enlargeAll() {
  if (!settings.check()) return;
  // One after the other, so that they stand in the queue as they stand here.
  for (const row of rows.filter((each) => each.isOpen)) await enlarge(row);
}

async function cancel(row) {
  if (row.state === "uploading") {
    if (row.abort) row.abort.abort();
    else drop(row);
    return;
  }
  await attempt(async () => row.update(await ask("POST", picturePath(row.picture, "/cancel"))));
  lookSoon();
}

async function remove(row) {
  row.removing = true;
  if (row.picture.id) await attempt(() => ask("DELETE", picturePath(row.picture)));
  drop(row);
  announce(`${row.picture.name} is removed`);
}

async function removeAll() {
  if (!confirm("Remove all pictures, and what was made of them?")) return;
  for (const row of rows) row.removing = true;
  for (const row of rows.filter((each) => each.state === "uploading")) await cancel(row);
  await attempt(() => ask("DELETE", "api/pictures"));
  hasSession = false;
  for (const row of [...rows]) drop(row);
  announce("all pictures are removed");
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    announce(error.message);
  }
}

function drop(row) {
  const at = rows.indexOf(row);
  if (at < 0) return;
  const hadFocus = row.element.contains(document.activeElement);
  rows.splice(at, 1);
  row.element.remove();
  const next = rows[Math.min(at, rows.length - 1)];
  if (hadFocus) (next?.part("[data-do]:not([hidden])") ?? element("choose")).focus();
  overview();
}

// Asks how things stand, and when to ask again.
async function look() {
  clearTimeout(timer);
  try {
    const told = await ask("GET", "api/pictures");
    gone(null);
    // It may have ended meanwhile.
    hasSession = told.pictures.length > 0;
    take(told.pictures);
  } catch (error) {
    gone(error);
  }
  timer = setTimeout(look, rows.some((row) => row.atWork) ? SOON : LATER);
}

function lookSoon() {
  clearTimeout(timer);
  timer = setTimeout(look, 50);
}

function take(pictures) {
  const known = new Map(rows.filter((row) => row.picture.id).map((row) => [row.picture.id, row]));
  for (const picture of pictures) {
    const row = known.get(picture.id);
    if (!row) {
      // One that is on its way here will tell of itself.
      if (!rows.some((each) => each.state === "uploading")) addRow(picture);
      continue;
    }
    known.delete(picture.id);
    const before = row.state;
    // What was refused stays to be read until something else is asked for.
    const kept = picture.state === before && !picture.error ? { error: row.picture.error } : {};
    row.picture = { ...picture, ...kept };
    row.show();
    if (before !== row.state) tellChange(row);
  }
  const lost = [...known.values()];
  if (lost.some((row) => !row.removing)) tellLoss();
  lost.forEach(drop);
  overview();
}

function tellLoss() {
  const away = duration(about.limits.idle_seconds);
  const sentence =
    "What was here is gone: it was removed in another window, the program was started again, " +
    `or this page was asleep for more than ${away}.`;
  element("empty").textContent = sentence;
  announce(sentence);
}

function tellChange(row) {
  const { name, error } = row.picture;
  if (row.state === "done") announce(`${name} is enlarged`);
  if (row.state === "failed") announce(error);
  if (row.state === "cancelled") announce(`${name} is cancelled`);
}

// What the settings would make of each picture that is not enlarged.
async function planAll() {
  settings.showFor(rows.map((row) => row.picture));
  if (!settings.valid) return;
  // By what is asked for: a quality is only for pictures whose format has one.
  const groups = new Map();
  for (const row of rows.filter((each) => each.picture.id)) {
    const asked = JSON.stringify(settings.values(row.picture));
    groups.set(asked, [...(groups.get(asked) ?? []), row]);
  }
  try {
    for (const [asked, group] of groups) {
      const plans = await ask("POST", "api/plan", JSON.parse(asked));
      for (const row of group.filter((each) => plans[each.picture.id])) {
        row.plan = plans[row.picture.id];
        row.show();
      }
    }
    overview();
  } catch (error) {
    announce(error.message);
  }
}

function overview() {
  const open = rows.filter((row) => row.isOpen);
  const atWork = rows.filter((row) => row.atWork);
  const done = rows.filter((row) => row.state === "done");
  element("empty").hidden = rows.length > 0;
  element("all-actions").hidden = rows.length === 0;
  const button = element("enlarge-all");
  button.disabled = open.length === 0;
  button.textContent = open.length > 1 ? `Enlarge all ${open.length}` : "Enlarge all";
  element("cancel-all").hidden = !rows.some((row) => row.atWork || row.state === "uploading");
  element("download-all").hidden = done.length === 0;
  element("overall").textContent = rows.length ? summary(open, atWork, done) : "";
  document.title = atWork.length ? `(${done.length}/${done.length + atWork.length}) dvmsr` : "dvmsr";
}

function summary(open, atWork, done) {
  const parts = [count(rows.length, "picture")];
  if (done.length) parts.push(`${done.length} enlarged`);
  const failed = rows.filter((row) => ["failed", "refused"].includes(row.state)).length;
  if (failed) parts.push(`${failed} failed`);
  const left = atWork.map((row) => row.picture.seconds_left);
  if (atWork.length) {
    const takes =
      left.includes(null) || left.includes(undefined) ? "" : `, about ${duration(Math.max(...left))} left`;
    parts.push(`${atWork.length} at work${takes}`);
  }
  const wanted = open.map((row) => row.plan?.seconds);
  if (open.length && !atWork.length && wanted.every((seconds) => seconds != null)) {
    const again = open.filter((row) => row.ended).length;
    const which = again ? ` (${again} of them again, by other settings)` : "";
    const takes = duration(wanted.reduce((sum, seconds) => sum + seconds, 0));
    parts.push(`${open.length} to do${which}, about ${takes}`);
  }
  return parts.join(", ");
}

function announce(text) {
  element("announce").textContent = text;
}

function gone(error) {
  const banner = element("gone");
  banner.hidden = !error;
  if (error && !banner.textContent) {
    banner.textContent =
      "The program behind this page does not answer. Start it again with dvmsr web, then go on here.";
  }
  if (!error) banner.textContent = "";
}

const waits = new Map();
function later(work, milliseconds) {
  return () => {
    clearTimeout(waits.get(work));
    waits.set(work, setTimeout(work, milliseconds));
  };
}

const started = start();
// What is chosen before the program has answered waits for it.
takeIn(element("choose"), (files) => started.then(() => addFiles(files)));
