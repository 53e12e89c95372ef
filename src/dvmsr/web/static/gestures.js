// What pointers, the wheel and keys do to the pictures in the viewer.

const STEP = 60;

export class Gestures {
  constructor(viewer) {
    this.viewer = viewer;
    this.pointers = new Map();
    // What is being dragged.
    this.held = null;
    const { stage } = viewer;
    stage.addEventListener("pointerdown", (event) => this.pointerDown(event));
    stage.addEventListener("pointermove", (event) => this.pointerMove(event));
    for (const end of ["pointerup", "pointercancel"])
      stage.addEventListener(end, (event) => this.pointerUp(event));
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("keydown", (event) => this.key(event));
  }

  forget() {
    this.pointers.clear();
    this.held = null;
  }

  at(event) {
    const corner = this.viewer.stage.getBoundingClientRect();
    return { x: event.clientX - corner.left, y: event.clientY - corner.top };
  }

  // The pixel of the picture that lies there.
  pixelAt({ x, y }) {
    const place = this.viewer.place();
    return { x: (x - place.left) / this.viewer.zoom, y: (y - place.top) / this.viewer.zoom };
  }

  pointerDown(event) {
    if (!this.viewer.size || event.button > 0) return;
    const at = this.at(event);
    this.viewer.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size > 1) this.held = "pinch";
    else if (event.target.closest(".divider")) this.held = "divider";
    else if (this.viewer.mode === "pick") {
      this.held = "box";
      this.viewer.box.grab(event.target, this.pixelAt(at));
    } else this.held = this.viewer.mode === "lens" ? "lens" : "picture";
    this.pointerMove(event);
  }

  pointerMove(event) {
    if (!this.viewer.size) return;
    const at = this.at(event);
    const last = this.pointers.get(event.pointerId);
    if (last && this.held === "pinch") {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      this.pointers.set(event.pointerId, at);
      if (!other) return;
      const apart = (one) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
      this.viewer.moveBy((at.x - last.x) / 2, (at.y - last.y) / 2);
      this.viewer.zoomBy(apart(at) / apart(last), { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 });
      return;
    }
    if (this.viewer.mode === "lens") {
      this.viewer.spot = at;
      this.viewer.drawLens();
    }
    if (!last) return;
    this.pointers.set(event.pointerId, at);
    if (this.held === "divider") {
      this.viewer.slider.value = (1000 * at.x) / this.viewer.stage.clientWidth;
      this.viewer.drawDivider();
    }
    if (this.held === "picture") this.viewer.moveBy(at.x - last.x, at.y - last.y);
    if (this.held === "box") this.viewer.box.drag(this.pixelAt(at));
  }

  pointerUp(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.held = null;
  }

  wheel(event) {
    event.preventDefault();
    this.viewer.zoomBy(Math.exp(-event.deltaY / 400), this.at(event));
  }

  key(event) {
    if (!this.viewer.size || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const step = steps[event.key];
    if (step && event.target === this.viewer.box.element) return;
    if (step && this.viewer.mode === "lens") {
      this.viewer.spot = { x: this.viewer.spot.x - step[0] * 20, y: this.viewer.spot.y - step[1] * 20 };
      this.viewer.drawLens();
    } else if (step) this.viewer.moveBy(step[0] * STEP, step[1] * STEP);
    else if (event.key === "+" || event.key === "=") this.viewer.zoomBy(1.5);
    else if (event.key === "-") this.viewer.zoomBy(1 / 1.5);
    else if (event.key === "0") this.viewer.fit();
    else if (event.key === "1") this.viewer.zoomTo(1 / devicePixelRatio);
    else return;
    event.preventDefault();
  }
}
