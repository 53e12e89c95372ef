// Looking at a picture, large: before and after by a slider or a lens, and choosing a part to try first.

import { ask, picturePath } from "./api.js";
import { Gestures } from "./gestures.js";
import { PartBox } from "./part.js";
import { TileLayer, singleSource, tiledSource } from "./tiles.js";
import { duration, size } from "./words.js";

const element = (id) => document.getElementById(id);
const MOST_ZOOM = 16;
const HINTS = {
  slider: "Drag the line; drag the picture to move it, turn the wheel or pinch to zoom.",
  lens: "Move over the picture: both are shown there pixel by pixel.",
  pick: "Draw a box, or drag it and its corner.",
};
const KEYS = {
  slider: " Keys: arrows, +, −, 0 and 1.",
  lens: " Keys: arrows, +, −, 0 and 1.",
  pick: " By keyboard: arrows move it, with Shift they resize it, Enter goes.",
};
// A phone has no keys to tell of.
const hasKeys = matchMedia("(any-pointer: fine)");

export class Viewer {
  constructor({ partPixels, settings, onEnlarge }) {
    this.dialog = element("viewer");
    this.stage = element("stage");
    this.settings = settings;
    this.before = new TileLayer(element("layer-before"));
    this.after = new TileLayer(element("layer-after"));
    this.lensBefore = new TileLayer(element("lens-before"));
    this.lensAfter = new TileLayer(element("lens-after"));
    this.box = new PartBox(element("box"), partPixels, {
      onChange: () => this.drawBox(),
      onEnter: () => this.tryPart(),
    });
    this.slider = element("slider");
    this.spot = null;
    this.opened = 0;
    element("viewer-close").onclick = () => this.dialog.close();
    element("mode-slider").onclick = () => this.setMode("slider");
    element("mode-lens").onclick = () => this.setMode("lens");
    element("zoom-in").onclick = () => this.zoomBy(1.5);
    element("zoom-out").onclick = () => this.zoomBy(1 / 1.5);
    element("zoom-fit").onclick = () => this.fit();
    element("zoom-one").onclick = () => this.zoomTo(1 / devicePixelRatio);
    element("part-try").onclick = () => this.tryPart();
    element("part-again").onclick = () => this.pick(this.row);
    element("part-whole").onclick = () => {
      this.dialog.close();
      onEnlarge(this.row);
    };
    this.slider.oninput = () => this.drawDivider();
    this.dialog.onclose = () => this.clear();
    this.gestures = new Gestures(this);
    new ResizeObserver(() => this.dialog.open && this.draw()).observe(this.stage);
  }

  // Whole pictures, before and after.
  async compare(row) {
    this.open(row, `${row.picture.name}: before and after`);
    const load = () => Promise.all(["before", "after"].map((which) => this.tiled(row, which)));
    await this.making("Preparing the comparison …", load, ([before, after]) => this.showBoth(before, after));
  }

  // One picture, with a box on it.
  async pick(row) {
    this.open(row, `${row.picture.name}: choose a part`);
    const load = () => this.tiled(row, "before");
    await this.making("Preparing the picture …", load, (before) => {
      this.setSources(before, null);
      this.setMode("pick");
      this.fit();
      this.box.place(before.width, before.height);
      this.box.element.focus();
    });
  }

  async tryPart() {
    const { row } = this;
    if (this.mode !== "pick" || this.busy) return;
    if (!this.settings.valid) {
      // The form lies behind this, where the browser cannot point at what is wrong in it.
      this.tell("One of the settings is not valid; close this and correct it");
      return;
    }
    const box = this.box.values();
    const asked = { box, settings: this.settings.values(row.picture) };
    const load = () => ask("POST", picturePath(row.picture, "/parts"), asked);
    await this.making("Enlarging this part …", load, (made) => {
      const address = (which) => picturePath(row.picture, `/parts/${made.id}/${which}`);
      this.showBoth(
        singleSource(box.width, box.height, address("before")),
        singleSource(made.width, made.height, address("after")),
      );
      const sizes = `${size(box.width, box.height)} → ${size(made.width, made.height)}`;
      element("viewer-title").textContent =
        `${row.picture.name}: a part, ${sizes}, in ${duration(made.seconds)}`;
      element("part-actions").hidden = false;
      element("part-try").hidden = true;
      for (const id of ["part-again", "part-whole"]) element(id).hidden = false;
    });
  }

  async tiled(row, which) {
    const view = await ask("GET", picturePath(row.picture, `/views/${which}`));
    return tiledSource(view, picturePath(row.picture, "/tiles"));
  }

  open(row, title) {
    this.clear();
    this.row = row;
    element("viewer-title").textContent = title;
    this.stage.setAttribute(
      "aria-label",
      `${title}. Arrow keys move, plus and minus zoom, 0 fits, 1 shows pixel by pixel`,
    );
    element("part-actions").hidden = true;
    if (!this.dialog.open) this.dialog.showModal();
  }

  clear() {
    this.opened += 1;
    this.setBusy("");
    for (const layer of this.layers()) layer.show(null);
    this.size = null;
    this.mode = null;
    this.gestures.forget();
    for (const id of ["modes", "slider-field", "divider", "lens", "spot", "box", "tag-before", "tag-after"])
      element(id).hidden = true;
    this.tell("");
    element("hint").textContent = "";
  }

  layers() {
    return [this.before, this.after, this.lensBefore, this.lensAfter];
  }

  // Loads something, saying so, and shows it or why it failed; unless something else was opened meanwhile.
  async making(text, load, show) {
    const { opened } = this;
    this.setBusy(text);
    this.tell("");
    try {
      const loaded = await load();
      if (opened === this.opened) show(loaded);
    } catch (error) {
      if (opened === this.opened) this.tell(error.message);
    } finally {
      if (opened === this.opened) this.setBusy("");
    }
  }

  setBusy(text) {
    this.busy = text !== "";
    element("part-try").disabled = this.busy;
    element("waiting").textContent = text;
    element("waiting").hidden = !this.busy;
  }

  tell(problem) {
    element("viewer-problem").textContent = problem;
    element("viewer-problem").hidden = !problem;
  }

  showBoth(before, after) {
    this.setSources(before, after);
    this.slider.value = 500;
    this.setMode("slider");
    this.fit();
    this.slider.focus();
  }

  setSources(before, after) {
    // Places are in pixels of the result where there is one.
    this.size = after ?? before;
    for (const layer of [this.before, this.lensBefore]) layer.show(before);
    for (const layer of [this.after, this.lensAfter]) layer.show(after);
  }

  setMode(mode) {
    this.mode = mode;
    const slides = mode === "slider";
    element("modes").hidden = mode === "pick";
    element("mode-slider").setAttribute("aria-pressed", slides);
    element("mode-lens").setAttribute("aria-pressed", mode === "lens");
    for (const id of ["slider-field", "divider", "tag-before", "tag-after"]) element(id).hidden = !slides;
    for (const id of ["lens", "spot"]) element(id).hidden = mode !== "lens";
    element("box").hidden = mode !== "pick";
    if (mode === "pick") {
      element("part-actions").hidden = false;
      element("part-try").hidden = false;
      for (const id of ["part-again", "part-whole"]) element(id).hidden = true;
    }
    element("hint").textContent = HINTS[mode] + (hasKeys.matches ? KEYS[mode] : "");
    // In the middle until the pointer comes.
    this.spot = mode === "lens" ? { x: this.stage.clientWidth / 2, y: this.stage.clientHeight / 2 } : null;
    if (mode === "lens") this.stage.focus();
    if (this.zoom) this.draw();
  }

  // Zoom is in pixels of the page for one of the result.
  get least() {
    const { clientWidth, clientHeight } = this.stage;
    return Math.min(clientWidth / this.size.width, clientHeight / this.size.height);
  }

  fit() {
    this.zoom = Math.min(this.least, this.mode === "pick" ? 4 : 1 / devicePixelRatio);
    this.x = this.size.width / 2;
    this.y = this.size.height / 2;
    this.draw();
  }

  zoomBy(factor, at) {
    if (this.size) this.zoomTo(this.zoom * factor, at);
  }

  zoomTo(zoom, at) {
    if (!this.size) return;
    const { clientWidth, clientHeight } = this.stage;
    const [dx, dy] = at ? [at.x - clientWidth / 2, at.y - clientHeight / 2] : [0, 0];
    const least = Math.min(this.least, 1 / devicePixelRatio);
    const next = Math.min(MOST_ZOOM / devicePixelRatio, Math.max(least, zoom));
    // What is under the pointer stays there.
    this.x += dx / this.zoom - dx / next;
    this.y += dy / this.zoom - dy / next;
    this.zoom = next;
    this.draw();
  }

  moveBy(x, y) {
    this.x -= x / this.zoom;
    this.y -= y / this.zoom;
    this.draw();
  }

  place() {
    const { clientWidth, clientHeight } = this.stage;
    return placed(this.size, this.zoom, this.x, this.y, clientWidth / 2, clientHeight / 2);
  }

  draw() {
    if (!this.size) return;
    this.x = Math.min(this.size.width, Math.max(0, this.x));
    this.y = Math.min(this.size.height, Math.max(0, this.y));
    const place = this.place();
    this.before.draw(place);
    this.after.draw(place);
    element("zoom-now").textContent = `${Math.round(100 * this.zoom * devicePixelRatio)} %`;
    this.drawDivider();
    this.drawLens();
    this.drawBox();
  }

  drawDivider() {
    const { clientWidth } = this.stage;
    const at = this.mode === "slider" ? (clientWidth * this.slider.value) / 1000 : clientWidth;
    element("divider").style.left = `${at}px`;
    // Each is cut: where the result is transparent, the original must not show.
    this.before.element.style.clipPath = `inset(0 ${clientWidth - at}px 0 0)`;
    this.after.element.style.clipPath = `inset(0 0 0 ${at}px)`;
    this.slider.setAttribute("aria-valuetext", `${Math.round(this.slider.value / 10)} percent before`);
  }

  drawLens() {
    if (this.mode !== "lens") return;
    const { clientWidth, clientHeight } = this.stage;
    const side = Math.round(Math.min(280, clientWidth / 2 - 8, clientHeight * 0.45));
    const lens = element("lens");
    lens.style.setProperty("--pane", `${side}px`);
    const { x, y } = this.spot;
    // The spot that it shows, as large as it is at this zoom; the lens beside it, so that it stays in sight.
    const seenSide = side * this.zoom * devicePixelRatio;
    const half = seenSide / 2;
    Object.assign(element("spot").style, {
      left: `${x - half}px`,
      top: `${y - half}px`,
      width: `${seenSide}px`,
      height: `${seenSide}px`,
    });
    const left = Math.min(clientWidth - 2 * side - 6, Math.max(0, x - side));
    const top = y > side + half + 12 ? y - side - half - 10 : y + half + 10;
    Object.assign(lens.style, { left: `${left}px`, top: `${Math.min(top, clientHeight - side - 4)}px` });
    const place = this.place();
    const seen = { x: (x - place.left) / this.zoom, y: (y - place.top) / this.zoom };
    const inside = placed(this.size, 1 / devicePixelRatio, seen.x, seen.y, side / 2, side / 2);
    this.lensBefore.draw(inside);
    this.lensAfter.draw(inside);
  }

  drawBox() {
    if (this.mode === "pick" && this.size) this.box.draw(this.place(), this.zoom);
  }
}

// Where a whole picture lies so that its pixel (x, y) is at (left, top); on a whole pixel of the screen, or it
// would be blurred.
function placed(picture, zoom, x, y, left, top) {
  const whole = (value) => Math.round(value * devicePixelRatio) / devicePixelRatio;
  return {
    left: whole(left - x * zoom),
    top: whole(top - y * zoom),
    width: picture.width * zoom,
    height: picture.height * zoom,
  };
}
