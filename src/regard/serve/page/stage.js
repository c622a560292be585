// The photo with attention on it, on which a region can be clicked, dragged, or chosen with the keyboard.

import { make } from "./elements.js";
import { HeatMap } from "./heatmap.js";
import { t } from "./strings.js";

const SCALE = 3; // of the layer on the photo, so that the ring is sharp
const DRAGGED = 8; // pixels from which on a pointer draws a region and does not click a cell

export class Stage {
  constructor(url, name, { region }) {
    this.choose = region;
    this.image = make("img", { src: url, alt: name, draggable: false });
    this.canvas = make("canvas", { class: "heat", "aria-hidden": "true" });
    this.box = make("div", { class: "region", hidden: true, "aria-hidden": "true" });
    this.seen = make("div", { class: "seen", hidden: true, "aria-hidden": "true" });
    this.frame = make("div", { class: "photo", tabIndex: 0, role: "group", "aria-label": t("stage.label"), onkeydown: (event) => this.key(event) },
      this.image, this.canvas, this.seen, this.box);
    this.element = make("figure", { class: "stage" }, this.frame,
      make("figcaption", { class: "legend", "aria-hidden": "true" }, make("span", {}, t("stage.away")), make("i"), make("span", {}, t("stage.here"))));
    this.frame.addEventListener("pointerdown", (event) => this.begin(event));
    this.image.addEventListener("load", () => this.proportion(this.image.naturalWidth, this.image.naturalHeight));
  }

  proportion(width, height) {
    this.element.style.setProperty("--ratio", (width / height).toFixed(4));
  }

  // What the model made of the photo: where the cells lie, and what to call it.
  set(grid, text) {
    this.grid = grid;
    this.map = new HeatMap(grid);
    this.image.alt = text;
    this.proportion(grid.width, grid.height);
    const edges = [grid.rows[0][0], 1 - grid.columns.at(-1)[1], 1 - grid.rows.at(-1)[1], grid.columns[0][0]];
    this.seen.hidden = edges.every((edge) => edge < 0.01);
    this.seen.style.inset = edges.map((edge) => `${Math.max(0, edge * 100)}%`).join(" ");
  }

  // Lay the attention of a word on the photo; nothing where it has none.
  show(word) {
    if (word?.weights) this.map.paint(this.canvas, word, { scale: SCALE });
    this.element.classList.toggle("showing", Boolean(word?.weights));
  }

  mark(region) {
    this.region = region;
    this.box.hidden = !region;
    if (region) this.box.style.inset = [region.top, 1 - region.right, 1 - region.bottom, region.left].map((edge) => `${edge * 100}%`).join(" ");
  }

  at(event) {
    const place = this.frame.getBoundingClientRect();
    const within = (value) => Math.min(Math.max(value, 0), 1);
    return [within((event.clientX - place.left) / place.width), within((event.clientY - place.top) / place.height)];
  }

  begin(event) {
    if (event.button !== 0 || !this.grid) return;
    const start = this.at(event), from = [event.clientX, event.clientY];
    let dragged = false;
    const move = (moved) => {
      dragged ||= Math.hypot(moved.clientX - from[0], moved.clientY - from[1]) > DRAGGED && moved.pointerType !== "touch";
      if (!dragged) return;
      const [x, y] = this.at(moved);
      this.mark({ left: Math.min(x, start[0]), right: Math.max(x, start[0]), top: Math.min(y, start[1]), bottom: Math.max(y, start[1]) });
    };
    const end = (ended) => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      if (ended.type === "pointercancel") return;
      if (dragged && this.region.right - this.region.left > 0.01 && this.region.bottom - this.region.top > 0.01) this.choose(this.region);
      else this.toggle(this.cell(start));
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  }

  toggle(region) {
    const same = region && this.region && Math.abs(region.left - this.region.left) + Math.abs(region.top - this.region.top) < 1e-6;
    this.mark(same ? null : region);
    this.choose(this.region);
  }

  // The cell of the grid at a point; none where the model did not look.
  cell([x, y]) {
    const row = this.grid.rows.find(([low, high]) => y >= low && y <= high);
    const column = this.grid.columns.find(([low, high]) => x >= low && x <= high);
    const within = (value) => Math.min(Math.max(value, 0), 1);
    return row && column ? { left: within(column[0]), right: within(column[1]), top: within(row[0]), bottom: within(row[1]) } : null;
  }

  // Arrow keys move a cell, with shift they grow it, escape lets go of it.
  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === "Escape") {
      this.mark(null);
      this.choose(null);
    } else if (event.key in steps && this.grid && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      const [x, y] = steps[event.key], { columns, rows } = this.grid;
      const width = columns[0][1] - columns[0][0], height = rows[0][1] - rows[0][0];
      const now = this.region ?? this.cell([0.5, 0.5]);
      const moved = event.shiftKey
        ? { ...now, right: now.right + x * width, bottom: now.bottom + y * height }
        : { left: now.left + x * width, right: now.right + x * width, top: now.top + y * height, bottom: now.bottom + y * height };
      const fits = moved.left > -0.01 && moved.top > -0.01 && moved.right < 1.01 && moved.bottom < 1.01;
      if (!fits || moved.right - moved.left < width / 2 || moved.bottom - moved.top < height / 2) return;
      this.mark({ left: Math.max(0, moved.left), top: Math.max(0, moved.top), right: Math.min(1, moved.right), bottom: Math.min(1, moved.bottom) });
      this.choose(this.region);
    }
  }
}
