"use strict";
(() => {
  const drawing = JSON.parse(document.getElementById("drawing").textContent);

  // The same formula as regard.views.heat_map: a normalised Gaussian in units of the cell, nothing off the grid.
  function spread(cells, pixels) {
    const low = Math.min(...cells.flat()), high = Math.max(...cells.flat());
    return Array.from({ length: pixels }, (_, pixel) => {
      const at = (pixel + 0.5) / pixels;
      if (at < low || at > high) return cells.map(() => 0);
      const near = cells.map(([a, b]) => Math.exp(-0.5 * ((at - (a + b) / 2) / (drawing.sigma * (b - a))) ** 2));
      const sum = near.reduce((x, y) => x + y, 0) || 1;
      return near.map((value) => value / sum);
    });
  }

  function heatMap(weights, rows, columns) {
    const flat = weights.flat(), total = flat.reduce((x, y) => x + y, 0);
    const full = Math.max(Math.max(...flat), (drawing.full * total) / flat.length);
    const wide = weights.map((line) => columns.map((share) => line.reduce((sum, w, i) => sum + w * share[i], 0) / full));
    return rows.map((share) => columns.map((_, x) => wide.reduce((sum, line, i) => sum + line[x] * share[i], 0)));
  }

  // Where the word points: white with a dark edge, which shows on every photo.
  function ring(canvas, [x, y]) {
    const context = canvas.getContext("2d"), long = Math.max(canvas.width, canvas.height);
    for (const [width, colour] of [[5, "black"], [2, "white"]]) {
      context.beginPath();
      context.arc(x * canvas.width, y * canvas.height, drawing.ring * long, 0, 2 * Math.PI);
      context.lineWidth = (width * long) / 300;
      context.strokeStyle = colour;
      context.stroke();
    }
  }

  function paint(canvas, heat, photo, point) {
    const height = heat.length, width = heat[0].length;
    const pixels = new ImageData(width, height);
    const [veil, veilAtPeak] = drawing.veil, last = drawing.ramp.length - 1;
    heat.flat().forEach((value, i) => {
      const at = Math.min(Math.max(value, 0), 1) * last, below = Math.floor(at), rest = at - below;
      const from = drawing.ramp[below], to = drawing.ramp[Math.min(below + 1, last)];
      for (let k = 0; k < 3; k++) pixels.data[4 * i + k] = from[k] + (to[k] - from[k]) * rest;
      pixels.data[4 * i + 3] = 255 * (veil + (veilAtPeak - veil) * value);
    });
    const layer = new OffscreenCanvas(width, height);
    layer.getContext("2d").putImageData(pixels, 0, 0);
    if (!photo) { canvas.width = width; canvas.height = height; }
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (photo) context.drawImage(photo, 0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(layer, 0, 0, canvas.width, canvas.height);
    if (point) ring(canvas, point);
  }

  class Result {
    constructor(element) {
      this.element = element;
      this.data = JSON.parse(element.querySelector("script[type='application/json']").textContent);
      this.reading = element.querySelector(".reading");
      this.hint = this.reading?.firstElementChild;
      this.photo = element.querySelector(".photo img");
      this.canvas = element.querySelector(".photo canvas");
      this.pinned = null;
      this.hovered = null;
      this.timer = 0;
      this.words = this.data.tracks.map((_, track) => [...element.querySelectorAll(`.track[data-track="${track}"] .word`)]);
      if (this.photo) this.measure();
      this.words.forEach((buttons, track) => buttons.forEach((button, word) => this.listen(button, track, word)));
      element.querySelectorAll(".card").forEach((card) => this.listenToCard(card));
      element.querySelectorAll(".alignment tbody td").forEach((cell) => this.listenToCell(cell));
      element.querySelectorAll(".play").forEach((button, track) => button.addEventListener("click", () => this.play(button, track)));
      element.querySelector("details.table")?.removeAttribute("open");
    }

    measure() {
      const ratio = this.photo.width && this.photo.getAttribute("width") / this.photo.getAttribute("height");
      const long = 240;
      this.size = ratio > 1 ? [long, Math.max(1, Math.round(long / ratio))] : [Math.max(1, Math.round(long * ratio)), long];
      this.spreadColumns = spread(this.data.columns, this.size[0]);
      this.spreadRows = spread(this.data.rows, this.size[1]);
    }

    heat(track, word) {
      const weights = this.data.tracks[track].weights[word];
      return weights && heatMap(weights, this.spreadRows, this.spreadColumns);
    }

    point(track, word) {
      return this.data.tracks[track].points[word];
    }

    listen(button, track, word) {
      button.addEventListener("pointerenter", (event) => event.pointerType !== "touch" && this.hover([track, word]));
      button.addEventListener("pointerleave", () => this.hover(null));
      button.addEventListener("focus", () => button.matches(":focus-visible") && this.pin([track, word]));
      button.addEventListener("click", () => this.pin(this.isPinned(track, word) ? null : [track, word]));
      button.addEventListener("keydown", (event) => this.walk(event, track, word));
    }

    listenToCard(card) {
      const at = [Number(card.dataset.track), Number(card.dataset.word)];
      card.addEventListener("pointerenter", (event) => event.pointerType !== "touch" && this.hover(at));
      card.addEventListener("pointerleave", () => this.hover(null));
      card.addEventListener("click", () => this.pin(this.isPinned(...at) ? null : at));
      cards.set(card, () => this.paintCard(card, at));
      seen.observe(card);
    }

    listenToCell(cell) {
      const at = [1, cell.parentElement.rowIndex - 1];
      cell.addEventListener("pointerenter", () => this.hover(at));
      cell.addEventListener("pointerleave", () => this.hover(null));
    }

    paintCard(card, [track, word]) {
      const canvas = card.querySelector("canvas"), [width, height] = this.size;
      canvas.width = Math.round(width * 1.5);
      canvas.height = Math.round(height * 1.5);
      this.photo.decode().then(() => paint(canvas, this.heat(track, word), this.photo, this.point(track, word)));
    }

    isPinned(track, word) {
      return this.pinned !== null && this.pinned[0] === track && this.pinned[1] === word;
    }

    hover(at) {
      this.hovered = at;
      this.show();
    }

    pin(at) {
      this.pinned = at;
      this.show();
    }

    // Arrow keys follow the reading direction; up and down change to the strongest partner in the other sentence.
    walk(event, track, word) {
      const buttons = this.words[track];
      const forward = getComputedStyle(buttons[word].parentElement).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
      const back = forward === "ArrowLeft" ? "ArrowRight" : "ArrowLeft";
      const steps = { [forward]: word + 1, [back]: word - 1, Home: 0, End: buttons.length - 1 };
      if (event.key === "Escape") { this.hovered = null; this.pin(null); return; }
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key in steps) {
        event.preventDefault();
        this.focus(track, Math.min(Math.max(steps[event.key], 0), buttons.length - 1));
      } else if ((event.key === "ArrowDown" && track === 0) || (event.key === "ArrowUp" && track === 1)) {
        const partners = [...(this.data.links?.[track]?.[word] ?? [])].sort((a, b) => b[1] - a[1]);
        if (!partners.length) return;
        event.preventDefault();
        this.focus(1 - track, partners[0][0]);
      }
    }

    focus(track, word) {
      this.hovered = null;
      this.words[track][word].focus();
      this.pin([track, word]);
    }

    play(button, track) {
      const running = this.timer;
      this.stop();
      if (running) return;
      button.setAttribute("aria-pressed", "true");
      button.textContent = "Stop";
      let word = 0;
      const step = () => {
        if (word >= this.words[track].length) { this.stop(); this.pin(null); return; }
        this.pin([track, word++]);
      };
      step();
      this.timer = setInterval(step, 1100);
    }

    stop() {
      clearInterval(this.timer);
      this.timer = 0;
      this.element.querySelectorAll(".play").forEach((button) => {
        button.setAttribute("aria-pressed", "false");
        button.textContent = "Play";
      });
    }

    show() {
      const at = this.hovered ?? this.pinned;
      this.element.querySelectorAll(".chosen, .line").forEach((each) => each.classList.remove("chosen", "line"));
      this.words.flat().forEach((button) => {
        button.style.removeProperty("--link");
        button.setAttribute("aria-pressed", "false");
      });
      this.element.classList.remove("showing");
      if (at === null) { this.reading.replaceChildren(this.hint); return; }
      const [track, word] = at;
      this.words[track].forEach((button, i) => button.setAttribute("tabindex", i === word ? 0 : -1));
      if (this.pinned) this.words[this.pinned[0]][this.pinned[1]].setAttribute("aria-pressed", "true");
      this.element.querySelectorAll(`[data-track="${track}"][data-word="${word}"]`).forEach((each) => each.classList.add("chosen"));
      this.words[track][word].classList.add("chosen");
      for (const [partner, weight] of this.data.links?.[track]?.[word] ?? []) {
        this.words[1 - track][partner].style.setProperty("--link", weight);
      }
      this.markLine(track, word);
      this.read(track, word);
      const heat = this.canvas && this.heat(track, word);
      if (heat) { paint(this.canvas, heat, null, this.point(track, word)); this.element.classList.add("showing"); }
    }

    markLine(track, word) {
      const line = track === 1 ? `tbody tr:nth-child(${word + 1}) td` : `tbody td:nth-child(${word + 2})`;
      this.element.querySelectorAll(`.alignment ${line}`).forEach((cell) => {
        if (Number(cell.style.getPropertyValue("--w")) >= 0.05) cell.classList.add("line");
      });
    }

    read(track, word) {
      const { words, details } = this.data.tracks[track];
      const parts = [words[word], ...details[word]].map((text, i) => {
        const part = document.createElement(i ? "span" : "b");
        part.textContent = i ? text.charAt(0).toUpperCase() + text.slice(1) : text;
        return part;
      });
      this.reading.replaceChildren(...parts);
    }
  }

  // Small photos are drawn when they come near the screen: a page may hold hundreds.
  const cards = new Map();
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      cards.get(target)();
    }
  }, { rootMargin: "300px" });

  document.documentElement.classList.add("live");
  const results = [...document.querySelectorAll("article.result")].map((element) => new Result(element));

  // With nothing focused, the arrow keys begin at the result that is on the screen.
  document.addEventListener("keydown", (event) => {
    if (document.activeElement !== document.body || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const visible = (result) => {
      const box = result.element.getBoundingClientRect();
      return Math.min(box.bottom, innerHeight) - Math.max(box.top, 0);
    };
    const nearest = results.reduce((best, each) => (visible(each) > visible(best) ? each : best));
    const track = nearest.words.length - 1;
    if (!nearest.words[track].length) return;
    event.preventDefault();
    nearest.focus(track, 0);
  });
})();
