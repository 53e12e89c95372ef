// One picture in the list.

import { bytes, duration, size } from "./words.js";
import { picturePath } from "./api.js";

const BUTTONS = {
  uploading: ["cancel"],
  refused: ["remove"],
  ready: ["enlarge", "part", "remove"],
  waiting: ["cancel"],
  running: ["cancel"],
  done: ["compare", "download", "enlarge", "part", "remove"],
  failed: ["enlarge", "part", "remove"],
  cancelled: ["enlarge", "part", "remove"],
};

export class Row {
  // `picture` is what the server tells of it; of one that is on its way, its name and the state "uploading".
  constructor(template, picture, actions) {
    this.element = template.content.firstElementChild.cloneNode(true);
    this.picture = picture;
    this.plan = null;
    // Whether this page has asked for that.
    this.removing = false;
    for (const button of this.element.querySelectorAll("[data-do]")) {
      button.addEventListener("click", () => actions[button.dataset.do]?.(this));
    }
    // Of a damaged one there is none.
    const thumbnail = this.part(".thumbnail");
    thumbnail.addEventListener("error", () => thumbnail.classList.add("lacking"));
    this.show();
  }

  part(selector) {
    return this.element.querySelector(selector);
  }

  get state() {
    return this.picture.state;
  }

  get atWork() {
    return ["waiting", "running"].includes(this.state);
  }

  // Whether something came out, or could not.
  get ended() {
    return ["done", "failed"].includes(this.state);
  }

  // Whether there is something to do: it is not enlarged, or was by other settings than these.
  get isOpen() {
    if (["ready", "cancelled"].includes(this.state)) return true;
    return this.ended && Boolean(this.plan?.settings) && this.plan.settings !== this.picture.settings;
  }

  update(changes) {
    this.picture = { ...this.picture, ...changes };
    this.show();
  }

  show() {
    const { picture } = this;
    // An element that has not changed is left alone, or a screen reader begins anew and the focus is lost.
    setText(this.part(".name"), picture.name);
    setText(this.part(".facts"), this.facts());
    this.showProgress();
    const problem =
      picture.error || (this.state === "ready" || this.state === "cancelled" ? this.plan?.problem : "");
    this.part(".problem").hidden = !problem;
    setText(this.part(".problem"), problem ?? "");
    this.showNotes(picture.result?.notes ?? this.foretold());
    const thumbnail = this.part(".thumbnail");
    if (picture.id && !thumbnail.src) thumbnail.src = picturePath(picture, "/thumbnail");
    const download = this.part("[data-do=download]");
    if (picture.result) download.href = picturePath(picture, `/result?run=${picture.run}`);
    this.showButtons();
  }

  facts() {
    const { picture, plan } = this;
    if (!picture.width) return "";
    const from = size(picture.width, picture.height);
    if (picture.result) {
      const { width, height, seconds, choice } = picture.result;
      const made = `${from} → ${size(width, height)}, ${bytes(picture.result.bytes)}`;
      const facts = `${made}, in ${duration(seconds)} (${picture.settings})`;
      if (!choice) return facts;
      const network = choice.strength ? `photo ${choice.strength}` : "clean";
      return `${facts}; network ${network}: ${choice.reason}`;
    }
    if (this.atWork) return `${from} (${picture.settings})`;
    if (!plan?.width) return from;
    const takes = plan.seconds === null ? "" : `, about ${duration(plan.seconds)}`;
    const all = plan.pictures > 1 ? `, all ${plan.pictures} pictures in it` : "";
    return `${from} → ${size(plan.width, plan.height)}${all}${takes}`;
  }

  // What is to be known before it is begun.
  foretold() {
    const { picture, plan } = this;
    if (!picture.has_more || plan?.pictures !== 1 || this.atWork) return [];
    return ["it holds several pages or frames, and the first is enlarged: choose all of them in the settings"];
  }

  showProgress() {
    const { picture } = this;
    const going = this.atWork || this.state === "uploading";
    this.part(".going").hidden = !going;
    if (!going) return;
    const bar = this.part("progress");
    bar.value = picture.progress ?? 0;
    bar.setAttribute("aria-label", `Progress of ${picture.name}`);
    const left = picture.seconds_left == null ? "" : `, about ${duration(picture.seconds_left)} left`;
    const percent = `${Math.floor(100 * (picture.progress ?? 0))} %`;
    let text = `${percent}${left}`;
    if (this.state === "uploading") text = `sent ${percent}`;
    if (this.state === "waiting") text = `waiting${left}`;
    if (this.state === "running" && picture.progress >= 1) text = "being written";
    if (picture.stopping) text = "stopping";
    setText(this.part(".left"), text);
  }

  showNotes(notes) {
    const list = this.part(".notes");
    list.hidden = !notes.length;
    if ([...list.children].map((each) => each.textContent).join() === notes.join()) return;
    list.replaceChildren(
      ...notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })),
    );
  }

  showButtons() {
    const shown = BUTTONS[this.state];
    let moved = false;
    for (const button of this.element.querySelectorAll("[data-do]")) {
      const hidden = !shown.includes(button.dataset.do);
      if (hidden && button === document.activeElement) moved = true;
      button.hidden = hidden;
      if (button.dataset.do === "enlarge") {
        setText(button, this.state === "done" ? "Enlarge again" : "Enlarge");
        button.classList.toggle("main", this.state !== "done" || this.isOpen);
      }
      button.setAttribute("aria-label", `${button.textContent} ${this.picture.name}`);
    }
    // Whoever works by keyboard goes on where the button was.
    if (moved) this.part("[data-do]:not([hidden])")?.focus();
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
