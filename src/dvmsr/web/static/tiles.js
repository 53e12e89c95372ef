// A picture of any size in an element, by tiles that the server has cut; see src/dvmsr/images/tiles.py.
// Tiles are <img> elements, not painted on a canvas: so the browser shows their colours by their own profile.

export function tiledSource(view, address) {
  return { ...view, address: (level, column, row) => `${address}/${view.name}/${level}/${column}/${row}` };
}

export function singleSource(width, height, address) {
  return { width, height, levels: 1, tile: Math.max(width, height), overlap: 0, address: () => address };
}

export class TileLayer {
  constructor(element) {
    this.element = element;
    this.ground = element.appendChild(Object.assign(document.createElement("div"), { className: "ground" }));
    this.images = new Map();
    this.source = null;
  }

  show(source) {
    for (const image of this.images.values()) image.element.remove();
    this.images.clear();
    this.source = source;
    this.ground.hidden = !source;
    this.element.dataset.ready = "false";
  }

  // `place` is where the whole picture lies, in CSS pixels from the element's corner.
  draw(place) {
    const { source } = this;
    if (!source) return;
    Object.assign(this.ground.style, pixels(place));
    const scale = place.width / source.width;
    // The smallest level that has a pixel for each of the screen's.
    const halvings = Math.floor(Math.log2(1 / (scale * devicePixelRatio)) + 1e-6);
    const depth = Math.min(source.levels - 1, Math.max(0, halvings));
    const wanted = new Set(["0/0/0"]);
    for (const key of this.visible(source.levels - 1 - depth, place)) wanted.add(key);
    for (const key of wanted) if (!this.images.has(key)) this.add(key);
    for (const image of this.images.values())
      Object.assign(image.element.style, pixels(this.placed(image, place)));
    this.wanted = wanted;
    this.prune();
  }

  levelSize(level) {
    const { width, height, levels } = this.source;
    const reduction = 2 ** (levels - 1 - level);
    return [Math.ceil(width / reduction), Math.ceil(height / reduction)];
  }

  *visible(level, place) {
    const [width, height] = this.levelSize(level);
    const { tile } = this.source;
    const span = (offset, length, view, pixelCount) => {
      const side = (tile * length) / pixelCount;
      const last = Math.ceil(pixelCount / tile) - 1;
      return [Math.max(0, Math.floor(-offset / side)), Math.min(last, Math.floor((view - offset) / side))];
    };
    const [left, right] = span(place.left, place.width, this.element.clientWidth, width);
    const [top, bottom] = span(place.top, place.height, this.element.clientHeight, height);
    for (let row = top; row <= bottom; row += 1) {
      for (let column = left; column <= right; column += 1) yield `${level}/${column}/${row}`;
    }
  }

  add(key) {
    const [level, column, row] = key.split("/").map(Number);
    const element = document.createElement("img");
    element.alt = "";
    element.decoding = "async";
    element.draggable = false;
    element.style.zIndex = level;
    const image = { level, column, row, element, loaded: false };
    const ended = () => {
      image.loaded = true;
      this.prune();
    };
    element.addEventListener("load", ended);
    element.addEventListener("error", ended);
    element.src = this.source.address(level, column, row);
    this.images.set(key, image);
    this.element.append(element);
  }

  placed({ level, column, row }, place) {
    const [width, height] = this.levelSize(level);
    const { tile, overlap } = this.source;
    const [across, down] = [place.width / width, place.height / height];
    const left = Math.max(0, column * tile - overlap);
    const top = Math.max(0, row * tile - overlap);
    const right = Math.min(width, (column + 1) * tile + overlap);
    const bottom = Math.min(height, (row + 1) * tile + overlap);
    return {
      left: place.left + left * across,
      top: place.top + top * down,
      width: (right - left) * across,
      height: (bottom - top) * down,
    };
  }

  // What is not wanted any more stays until all that is wanted is there.
  prune() {
    const complete = [...this.wanted].every((key) => this.images.get(key)?.loaded);
    this.element.dataset.ready = complete;
    if (!complete) return;
    for (const [key, image] of this.images) {
      if (this.wanted.has(key)) continue;
      image.element.remove();
      this.images.delete(key);
    }
  }
}

function pixels({ left, top, width, height }) {
  return { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` };
}
