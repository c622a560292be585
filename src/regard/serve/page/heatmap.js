// Attention over the photo: the same formulas as regard.views, so that page, sheet and saved page show the same.

import { FULL_HEAT, RAMP, RING, SIGMA, VEIL } from "./drawing.js";

const LONGEST = 240; // pixels of the layer that is drawn over the photo

// The share of each cell in each pixel of one axis: a normalised Gaussian in units of the cell, nothing off the grid.
function spread(cells, pixels) {
  const low = Math.min(...cells.flat()), high = Math.max(...cells.flat());
  return Array.from({ length: pixels }, (_, pixel) => {
    const at = (pixel + 0.5) / pixels;
    if (at < low || at > high) return cells.map(() => 0);
    const near = cells.map(([a, b]) => Math.exp(-0.5 * ((at - (a + b) / 2) / (SIGMA * (b - a))) ** 2));
    const sum = near.reduce((x, y) => x + y, 0) || 1;
    return near.map((value) => value / sum);
  });
}

export class HeatMap {
  constructor(grid) {
    const ratio = grid.width / grid.height;
    this.width = ratio > 1 ? LONGEST : Math.max(1, Math.round(LONGEST * ratio));
    this.height = ratio > 1 ? Math.max(1, Math.round(LONGEST / ratio)) : LONGEST;
    this.columns = spread(grid.columns, this.width);
    this.rows = spread(grid.rows, this.height);
  }

  // How much each pixel was looked at, 0 to 1, row by row.
  heat(weights) {
    const flat = weights.flat(), total = flat.reduce((x, y) => x + y, 0) || 1;
    const full = Math.max(Math.max(...flat), (FULL_HEAT * total) / flat.length);
    const wide = weights.map((line) => this.columns.map((share) => line.reduce((sum, w, i) => sum + w * share[i], 0) / full));
    return this.rows.flatMap((share) => this.columns.map((_, x) => wide.reduce((sum, line, i) => sum + line[x] * share[i], 0)));
  }

  // Paint the weights of a word on a canvas, with a ring where it points; over the photo where one is given, else as a
  // layer to lie on it.
  paint(canvas, { weights, point }, { photo = null, scale = 1 } = {}) {
    const pixels = new ImageData(this.width, this.height), last = RAMP.length - 1;
    this.heat(weights).forEach((value, i) => {
      const at = Math.min(Math.max(value, 0), 1) * last, below = Math.floor(at), rest = at - below;
      const from = RAMP[below], to = RAMP[Math.min(below + 1, last)];
      for (let k = 0; k < 3; k++) pixels.data[4 * i + k] = from[k] + (to[k] - from[k]) * rest;
      pixels.data[4 * i + 3] = 255 * (VEIL[0] + (VEIL[1] - VEIL[0]) * value);
    });
    const layer = new OffscreenCanvas(this.width, this.height);
    layer.getContext("2d").putImageData(pixels, 0, 0);
    canvas.width = Math.round(this.width * scale);
    canvas.height = Math.round(this.height * scale);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    if (photo) context.drawImage(photo, 0, 0, canvas.width, canvas.height);
    context.drawImage(layer, 0, 0, canvas.width, canvas.height);
    if (point) ring(context, point);
  }
}

// White with a dark edge, which shows on every photo.
function ring(context, [x, y]) {
  const { width, height } = context.canvas, longest = Math.max(width, height);
  context.beginPath();
  context.arc(x * width, y * height, RING * longest, 0, 2 * Math.PI);
  for (const [colour, line] of [["rgb(0 0 0 / .7)", 0.012], ["#fff", 0.006]]) {
    context.strokeStyle = colour;
    context.lineWidth = line * longest;
    context.stroke();
  }
}

function overlap([low, high], [from, to]) {
  return Math.max(0, Math.min(high, to) - Math.max(low, from)) / (high - low);
}

const THIRDS = [[0, 1 / 3], [1 / 3, 2 / 3], [2 / 3, 1]];
const PLACES = [["upper-left", "top", "upper-right"], ["left", "middle", "right"], ["lower-left", "bottom", "lower-right"]];
const CONCENTRATED = 0.2;

// The ninth of the photo that was looked at most, and its share; no place where no ninth stands out.
export function place(weights, grid) {
  let best = { name: null, share: 0 };
  THIRDS.forEach((vertical, row) => THIRDS.forEach((horizontal, column) => {
    const share = shareIn(weights, grid, { left: horizontal[0], right: horizontal[1], top: vertical[0], bottom: vertical[1] });
    if (share > best.share) best = { name: PLACES[row][column], share };
  }));
  return best.share < CONCENTRATED ? { name: null, share: best.share } : best;
}

// How much of the weights lies in a box, given as fractions of the photo.
export function shareIn(weights, grid, box) {
  const down = grid.rows.map((cell) => overlap(cell, [box.top, box.bottom]));
  const across = grid.columns.map((cell) => overlap(cell, [box.left, box.right]));
  return weights.reduce((sum, line, y) => sum + line.reduce((part, w, x) => part + w * across[x], 0) * down[y], 0);
}
