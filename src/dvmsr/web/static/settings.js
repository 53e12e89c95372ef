// The form, as the settings that the server takes; see src/dvmsr/web/settings.py.

const KEPT = "dvmsr-settings";
const LOSSY = ["jpg", "webp", "avif"];
const HAVING_LOSSLESS = ["webp", "avif"];
const FIELDS = [
  "size-kind",
  "scale",
  "long",
  "frame-width",
  "frame-height",
  "model",
  "strength",
  "format",
  "quality",
  "lossless",
  "alpha",
  "pages",
];
// Where the settings stand above the pictures; see style.css.
const narrow = matchMedia("(max-width: 52rem)");

// What a picture becomes that keeps its format.
function ownFormat(picture) {
  const suffix = picture.name.split(".").pop().toLowerCase();
  return suffix === "jpeg" ? "jpg" : suffix;
}

export class Settings {
  constructor(form, about, onChange) {
    this.form = form;
    this.fold = form.querySelector("#fold");
    this.fold.open = !narrow.matches;
    narrow.addEventListener("change", () => (this.fold.open = !narrow.matches));
    this.field("scale").value = about.scale;
    this.field("scale").max = about.largest_scale;
    this.restore();
    // A page that was started with weights of its own has none to choose among.
    this.form.querySelector("#model-field").hidden = !about.models.length;
    if (!about.models.length) this.field("model").value = "auto";
    this.show();
    form.addEventListener("input", () => {
      this.show();
      this.keep();
      onChange();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  field(name) {
    return this.form.querySelector(`#${name}`);
  }

  // What each name of the server's is for a picture, where the form says it.
  values(picture) {
    const text = (name) => this.field(name).value.trim();
    const kind = text("size-kind");
    const format = text("format");
    const settings = { format: format || null, alpha: text("alpha"), model: text("model") };
    if (picture.has_more) settings.pages = text("pages");
    if (settings.model === "photo") settings.strength = Number(text("strength"));
    if (kind === "scale") settings.scale = Number(text("scale"));
    if (kind === "long") settings.size = `long=${text("long")}`;
    if (kind === "frame") settings.size = `${text("frame-width")}x${text("frame-height")}`;
    if (this.field("lossless").checked && HAVING_LOSSLESS.includes(format)) settings.lossless = true;
    else if (text("quality") && this.hasQuality(format || ownFormat(picture)))
      settings.quality = Number(text("quality"));
    return settings;
  }

  hasQuality(format) {
    return LOSSY.includes(format);
  }

  // What is wrong in the form is told by the browser, beside the field.
  check() {
    if (!this.valid) this.fold.open = true;
    return this.form.reportValidity();
  }

  get valid() {
    return this.form.checkValidity();
  }

  show() {
    const kind = this.field("size-kind").value;
    for (const part of this.form.querySelectorAll("[data-size]")) {
      part.hidden = part.dataset.size !== kind;
      // What is not seen must not be found wrong.
      for (const input of part.querySelectorAll("input")) input.disabled = part.hidden;
    }
    const mixes = this.field("model").value === "photo";
    this.form.querySelector("#strength-field").hidden = !mixes;
    this.field("strength").disabled = !mixes;
    const format = this.field("format").value;
    const lossless = HAVING_LOSSLESS.includes(format) && this.field("lossless").checked;
    const mayHaveQuality = format === "" || this.hasQuality(format);
    this.form.querySelector("#lossless-field").hidden = !HAVING_LOSSLESS.includes(format);
    this.form.querySelector("#quality-field").hidden = lossless || !mayHaveQuality;
    this.field("quality").disabled = lossless || !mayHaveQuality;
    this.form.querySelector("#settings-now").textContent = this.inShort();
  }

  // What is said of them while they are folded away.
  inShort() {
    const value = (name) => this.field(name).value;
    const sizes = {
      scale: `${value("scale")} times larger`,
      long: `longer side ${value("long")}`,
      frame: `within ${value("frame-width")} × ${value("frame-height")}`,
    };
    const format = this.field("format");
    const formats = value("format") ? `, ${format.selectedOptions[0].textContent}` : "";
    return `${sizes[value("size-kind")]}${formats}`;
  }

  // What is only for some pictures is shown where there is one of them.
  showFor(pictures) {
    for (const [field, has] of [
      ["#alpha-field", "has_alpha"],
      ["#pages-field", "has_more"],
    ])
      this.form.querySelector(field).hidden = !pictures.some((picture) => picture[has]);
  }

  keep() {
    const values = FIELDS.map((name) => [
      name,
      name === "lossless" ? this.field(name).checked : this.field(name).value,
    ]);
    try {
      localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(values)));
    } catch {
      // A browser that keeps nothing begins anew.
    }
  }

  restore() {
    let values = {};
    try {
      values = JSON.parse(localStorage.getItem(KEPT)) ?? {};
    } catch {
      // As above.
    }
    for (const name of FIELDS.filter((each) => each in values)) {
      if (name === "lossless") this.field(name).checked = values[name];
      else this.field(name).value = values[name];
    }
  }
}
