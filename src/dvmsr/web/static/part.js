// The box around the part of a picture that is tried first, in pixels of the picture.

const LEAST = 16;
const STEP = 8;

export class PartBox {
  constructor(element, mostPixels, { onChange, onEnter }) {
    this.element = element;
    this.mostPixels = mostPixels;
    this.onChange = onChange;
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        onEnter();
      } else this.key(event);
    });
  }

  // In the middle of a picture of this size.
  place(width, height) {
    this.picture = { width, height };
    const side = Math.floor(Math.sqrt(this.mostPixels));
    this.width = Math.min(width, side, Math.max(LEAST, Math.round(width / 3)));
    this.height = Math.min(height, side, Math.max(LEAST, Math.round(height / 3)));
    this.left = Math.round((width - this.width) / 2);
    this.top = Math.round((height - this.height) / 2);
    this.onChange();
  }

  values() {
    const { left, top, width, height } = this;
    return { left, top, width, height };
  }

  grab(target, at) {
    if (target.classList.contains("corner")) this.drag = (to) => this.stretch(this.left, this.top, to);
    else if (target === this.element) {
      const [dx, dy] = [at.x - this.left, at.y - this.top];
      this.drag = (to) => this.moveTo(to.x - dx, to.y - dy);
    } else {
      // A new one from here.
      let begun = false;
      this.drag = (to) => {
        begun ||= Math.hypot(to.x - at.x, to.y - at.y) >= 4;
        if (begun) this.stretch(at.x, at.y, to);
      };
    }
  }

  moveTo(left, top) {
    this.left = Math.round(Math.min(this.picture.width - this.width, Math.max(0, left)));
    this.top = Math.round(Math.min(this.picture.height - this.height, Math.max(0, top)));
    this.onChange();
  }

  // From a corner that stays towards another, up to as many pixels as there may be.
  stretch(x, y, to) {
    const { picture, mostPixels } = this;
    const clamp = (value, most) => Math.round(Math.min(most, Math.max(0, value)));
    const [fromX, fromY] = [clamp(x, picture.width), clamp(y, picture.height)];
    const [toX, toY] = [clamp(to.x, picture.width), clamp(to.y, picture.height)];
    let [width, height] = [Math.max(LEAST, Math.abs(toX - fromX)), Math.max(LEAST, Math.abs(toY - fromY))];
    const excess = Math.sqrt((width * height) / mostPixels);
    if (excess > 1) {
      width = Math.min(picture.width, Math.max(LEAST, Math.floor(width / excess)));
      height = Math.min(picture.height, Math.floor(mostPixels / width));
    }
    this.width = Math.min(width, picture.width);
    this.height = Math.min(height, picture.height);
    this.moveTo(toX < fromX ? fromX - this.width : fromX, toY < fromY ? fromY - this.height : fromY);
  }

  key(event) {
    const steps = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (!event.shiftKey) this.moveTo(this.left + step[0], this.top + step[1]);
    else {
      const to = { x: this.left + this.width + step[0], y: this.top + this.height + step[1] };
      this.stretch(this.left, this.top, to);
    }
  }

  draw(place, zoom) {
    Object.assign(this.element.style, {
      left: `${place.left + this.left * zoom}px`,
      top: `${place.top + this.top * zoom}px`,
      width: `${this.width * zoom}px`,
      height: `${this.height * zoom}px`,
    });
    this.element.setAttribute(
      "aria-label",
      `Part of ${this.width} by ${this.height} pixels, ${this.left} from the left, ${this.top} from the top. ` +
        "Arrow keys move it, with Shift they change its size, Enter enlarges it",
    );
  }
}
