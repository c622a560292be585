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

  function heatMap(look, rows, columns) {
    const flat = look.flat(), total = flat.reduce((x, y) => x + y, 0);
    const full = Math.max(Math.max(...flat), (drawing.full * total) / flat.length);
    const wide = look.map((line) => columns.map((share) => line.reduce((sum, w, i) => sum + w * share[i], 0) / full));
    return rows.map((share) => columns.map((_, x) => wide.reduce((sum, line, i) => sum + line[x] * share[i], 0)));
  }

  function paint(canvas, heat, photo) {
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
      this.words = this.data.lanes.map((_, lane) => [...element.querySelectorAll(`.lane[data-lane="${lane}"] .word`)]);
      if (this.photo) this.measure();
      this.words.forEach((buttons, lane) => buttons.forEach((button, word) => this.listen(button, lane, word)));
      element.querySelectorAll(".card").forEach((card) => this.listenToCard(card));
      element.querySelectorAll(".alignment tbody td").forEach((cell) => this.listenToCell(cell));
      element.querySelectorAll(".play").forEach((button, lane) => button.addEventListener("click", () => this.play(button, lane)));
      element.querySelector("details.table")?.removeAttribute("open");
    }

    measure() {
      const ratio = this.photo.width && this.photo.getAttribute("width") / this.photo.getAttribute("height");
      const long = 240;
      this.size = ratio > 1 ? [long, Math.max(1, Math.round(long / ratio))] : [Math.max(1, Math.round(long * ratio)), long];
      this.spreadColumns = spread(this.data.columns, this.size[0]);
      this.spreadRows = spread(this.data.rows, this.size[1]);
    }

    heat(lane, word) {
      const look = this.data.lanes[lane].looks[word];
      return look && heatMap(look, this.spreadRows, this.spreadColumns);
    }

    listen(button, lane, word) {
      button.addEventListener("pointerenter", (event) => event.pointerType !== "touch" && this.hover([lane, word]));
      button.addEventListener("pointerleave", () => this.hover(null));
      button.addEventListener("focus", () => button.matches(":focus-visible") && this.pin([lane, word]));
      button.addEventListener("click", () => this.pin(this.isPinned(lane, word) ? null : [lane, word]));
      button.addEventListener("keydown", (event) => this.walk(event, lane, word));
    }

    listenToCard(card) {
      const at = [Number(card.dataset.lane), Number(card.dataset.word)];
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

    paintCard(card, [lane, word]) {
      const canvas = card.querySelector("canvas"), [width, height] = this.size;
      canvas.width = Math.round(width * 1.5);
      canvas.height = Math.round(height * 1.5);
      this.photo.decode().then(() => paint(canvas, this.heat(lane, word), this.photo));
    }

    isPinned(lane, word) {
      return this.pinned !== null && this.pinned[0] === lane && this.pinned[1] === word;
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
    walk(event, lane, word) {
      const buttons = this.words[lane];
      const forward = getComputedStyle(buttons[word].parentElement).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
      const back = forward === "ArrowLeft" ? "ArrowRight" : "ArrowLeft";
      const steps = { [forward]: word + 1, [back]: word - 1, Home: 0, End: buttons.length - 1 };
      if (event.key === "Escape") { this.hovered = null; this.pin(null); return; }
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key in steps) {
        event.preventDefault();
        this.focus(lane, Math.min(Math.max(steps[event.key], 0), buttons.length - 1));
      } else if ((event.key === "ArrowDown" && lane === 0) || (event.key === "ArrowUp" && lane === 1)) {
        const partners = [...(this.data.links?.[lane]?.[word] ?? [])].sort((a, b) => b[1] - a[1]);
        if (!partners.length) return;
        event.preventDefault();
        this.focus(1 - lane, partners[0][0]);
      }
    }

    focus(lane, word) {
      this.hovered = null;
      this.words[lane][word].focus();
      this.pin([lane, word]);
    }

    play(button, lane) {
      const running = this.timer;
      this.stop();
      if (running) return;
      button.setAttribute("aria-pressed", "true");
      button.textContent = "Stop";
      let word = 0;
      const step = () => {
        if (word >= this.words[lane].length) { this.stop(); this.pin(null); return; }
        this.pin([lane, word++]);
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
      const [lane, word] = at;
      this.words[lane].forEach((button, i) => button.setAttribute("tabindex", i === word ? 0 : -1));
      if (this.pinned) this.words[this.pinned[0]][this.pinned[1]].setAttribute("aria-pressed", "true");
      this.element.querySelectorAll(`[data-lane="${lane}"][data-word="${word}"]`).forEach((each) => each.classList.add("chosen"));
      this.words[lane][word].classList.add("chosen");
      for (const [partner, weight] of this.data.links?.[lane]?.[word] ?? []) {
        this.words[1 - lane][partner].style.setProperty("--link", weight);
      }
      this.markLine(lane, word);
      this.read(lane, word);
      const heat = this.canvas && this.heat(lane, word);
      if (heat) { paint(this.canvas, heat); this.element.classList.add("showing"); }
    }

    markLine(lane, word) {
      const line = lane === 1 ? `tbody tr:nth-child(${word + 1}) td` : `tbody td:nth-child(${word + 2})`;
      this.element.querySelectorAll(`.alignment ${line}`).forEach((cell) => {
        if (Number(cell.style.getPropertyValue("--w")) >= 0.05) cell.classList.add("line");
      });
    }

    read(lane, word) {
      const { words, sayings } = this.data.lanes[lane];
      const parts = [words[word], ...sayings[word]].map((text, i) => {
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
    const lane = nearest.words.length - 1;
    if (!nearest.words[lane].length) return;
    event.preventDefault();
    nearest.focus(lane, 0);
  });
})();
