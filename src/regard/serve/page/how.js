// How it works: one photo from pixels to words, to play with.

import { RAMP } from "./drawing.js";
import { button, make, tell } from "./elements.js";
import { caption, inspect } from "./service.js";
import { percent, t } from "./strings.js";

const PICKED = 1; // the word that is shown first: the one after "a"

export class How {
  constructor(photos) {
    this.photos = photos;
    this.place = document.getElementById("how-steps");
    this.captioners = [];
  }

  // Show what is known of the current photo, and ask for it where it is not.
  async draw() {
    const item = this.photos.current;
    if (!item?.image) {
      this.place.replaceChildren(make("div", { class: "step" }, button(t("how.choose"), { class: "button primary", onclick: () => document.getElementById("files").click() }, "photo")));
      document.addEventListener("photo-described", () => { if (location.hash === "#how") this.draw(); }, { once: true });
      return;
    }
    if (this.item === item && this.text === item.result?.text && this.found) { this.show(); return; }
    this.place.replaceChildren(make("div", { class: "skeletons", role: "status" }, make("span", { class: "hidden" }, t("working")), ...["w60 tall", "w90", "w75"].map((kind) => make("div", { class: `skeleton ${kind}` }))));
    try {
      this.found = await inspect(item.image, { prefix: item.query.prefix });
      Object.assign(this, { item, text: item.result?.text, picked: null });
      this.show();
      this.compare();
    } catch (refusal) {
      tell(refusal.words ?? String(refusal), { failed: true });
      this.place.replaceChildren(make("p", { class: "note" }, refusal.words ?? String(refusal)));
    }
  }

  show() {
    const { inspection } = this.found;
    this.words = make("div");
    this.others = make("section", { class: "step", hidden: true });
    this.place.replaceChildren(this.photo(inspection), this.maps(inspection), this.classes(inspection), this.words, this.others);
    this.pick(this.picked ?? Math.min(PICKED, inspection.steps.length - 1));
  }

  photo({ size }) {
    const canvas = make("canvas", { width: size, height: size, role: "img", "aria-label": t("how.photo") });
    const image = new Image();
    image.src = this.item.url;
    image.decode().then(() => canvas.getContext("2d").drawImage(image, 0, 0, size, size), () => {});
    return step(t("how.photo"), t("how.photo-lead", { size }), make("div", { class: "squares" }, make("figure", { class: "square" }, canvas)));
  }

  maps({ layers }) {
    const rows = layers.map((layer) => make("div", { class: "layer" },
      make("div", {}, make("b", {}, layer.name), make("div", { class: "label" }, t("how.channels", { count: layer.channels, size: layer.size }))),
      make("ol", {}, ...layer.maps.map((map) => make("li", {}, picture(map))))));
    return step(t("how.maps"), t("how.maps-lead"), make("div", { class: "maps", role: "img", "aria-label": t("how.maps") }, ...rows));
  }

  classes({ classes }) {
    return step(t("how.classes"), t("how.classes-lead"), classes ? bars(classes) : make("p", { class: "note" }, t("how.classes-none")));
  }

  // Everything that hangs on one word.
  pick(index) {
    this.picked = index;
    const { steps } = this.found.inspection, now = steps[index];
    if (!now) return;
    const chips = steps.map((each, i) => make("button", { type: "button", class: "chip", "aria-pressed": String(i === index), onclick: () => { this.pick(i); this.words.querySelectorAll(".chips button")[i].focus(); } }, each.text));
    const parts = [step(t("how.pick"), this.found.caption.text, make("div", { class: "chips" }, ...chips))];
    if (now.query) parts.push(step(t("how.query"), t("how.query-lead", { count: now.query.length, size: now.query_size }), query(now.query)));
    const squares = [make("figure", { class: "square" }, cells(now.weights, (value) => String(Math.round(100 * value))), make("figcaption", {}, t("how.weights")))];
    if (now.scores) squares.unshift(make("figure", { class: "square" }, cells(now.scores, (value) => value.toFixed(1)), make("figcaption", {}, t("how.scores"))));
    const concepts = now.concepts.length ? [make("h3", {}, t("how.concepts")), bars(now.concepts)] : [];
    parts.push(step(t("how.attention"), t("how.attention-lead"), make("div", { class: "squares" }, ...squares), ...concepts));
    parts.push(step(t("how.next"), t("how.next-lead"), bars(now.next.map((each) => ({ ...each, text: each.text || "·" })), now.text)));
    this.words.replaceChildren(...parts);
  }

  // The same photo by every other captioner that is loaded.
  async compare() {
    if (this.captioners.length < 2) return;
    const item = this.item, found = [];
    for (const model of this.captioners) {
      const result = await caption(item.image, { model }).catch(() => null);
      if (result) found.push(make("div", {}, make("h3", {}, model.replace(/^.*\//, "")), make("p", {}, result.text)));
    }
    if (item !== this.item) return;
    this.others.hidden = false;
    this.others.replaceChildren(make("h2", {}, t("how.others")), make("p", {}, t("how.others-lead")), make("div", { class: "side" }, ...found));
  }
}

function step(title, lead, ...content) {
  return make("section", { class: "step" }, make("h2", {}, title), make("p", {}, lead), ...content);
}

function colour(value) {
  return `rgb(${RAMP[Math.round(Math.min(Math.max(value, 0), 1) * (RAMP.length - 1))].join(" ")})`;
}

// Whether black reads better than white on a colour: its luminance (WCAG 2.2) is above that of equal contrast.
function isLight(colour) {
  const [r, g, b] = colour.map((each) => (each / 255 <= 0.04045 ? each / 255 / 12.92 : ((each / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179;
}

function picture(map) {
  const canvas = make("canvas", { width: map[0].length, height: map.length, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  map.forEach((row, y) => row.forEach((value, x) => { context.fillStyle = colour(value / 255); context.fillRect(x, y, 1, 1); }));
  return canvas;
}

// A grid of numbers, each on the colour of its place between the least and the greatest.
function cells(values, written) {
  const flat = values.flat(), low = Math.min(...flat), high = Math.max(...flat);
  const grid = make("div", { class: "cells" }, ...flat.map((value) => {
    const share = high > low ? (value - low) / (high - low) : 0, cell = make("span", {}, written(value));
    cell.style.background = colour(share);
    cell.style.color = isLight(RAMP[Math.round(share * (RAMP.length - 1))]) ? "#000" : "#fff";
    return cell;
  }));
  grid.style.gridTemplateColumns = `repeat(${values[0].length}, 1fr)`;
  return grid;
}

function bars(entries, chosen = null) {
  const most = Math.max(...entries.map((each) => each.probability), 1e-6);
  return make("ul", { class: "bars" }, ...entries.map((each) => {
    const bar = make("i", { "aria-hidden": "true" });
    bar.style.setProperty("--share", (each.probability / most).toFixed(3));
    return make("li", { class: each.text === chosen ? "bar chosen" : "bar" }, make("b", {}, each.text), bar, make("span", { class: "score" }, percent(each.probability)));
  }));
}

function query(numbers) {
  const most = Math.max(...numbers.map(Math.abs), 1e-6);
  return make("div", { class: "query", "aria-hidden": "true" }, ...numbers.map((value) => {
    const bar = make("i", { class: value < 0 ? "negative" : "" });
    bar.style.height = `${Math.max(2, 50 * Math.abs(value / most))}%`;
    bar.style.translate = `0 ${value < 0 ? 50 : -50}%`;
    return bar;
  }));
}
