// Sentences: translated, word by word, with the matrix on demand.

import { icon, make, save, tell } from "./elements.js";
import { column } from "./links.js";
import { partners, Reading } from "./reading.js";
import { Sentence } from "./sentence.js";
import { translate } from "./service.js";
import { Steering } from "./steering.js";
import { languageName, scoreText, t } from "./strings.js";

const EXAMPLES = {
  en: ["A dog runs on the beach.", "Two men in hats are talking in front of a shop.", "A little girl climbs up a red slide."],
  de: ["Ein Hund läuft am Strand.", "Zwei Männer mit Hüten unterhalten sich vor einem Geschäft.", "Ein kleines Mädchen klettert auf eine rote Rutsche."],
  fr: ["Un chien court sur la plage.", "Deux hommes discutent devant un magasin."],
  ko: ["개 한 마리가 해변을 달린다.", "모자를 쓴 두 남자가 가게 앞에서 이야기하고 있다."],
};

export class Sentences {
  constructor() {
    this.pairs = [];
    this.place = document.getElementById("sentence-result");
    this.text = document.getElementById("text");
    this.from = document.getElementById("from");
    this.to = document.getElementById("to");
  }

  listen() {
    document.getElementById("translate-form").addEventListener("submit", (event) => { event.preventDefault(); this.run(); });
    this.text.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.run(); } });
    this.from.addEventListener("change", () => this.fillTargets());
    document.getElementById("swap").addEventListener("click", () => this.swap());
  }

  // The languages that can be read, and the examples of the one that is chosen.
  fill(pairs) {
    this.pairs = pairs;
    const sources = [...new Set(pairs.map(([source]) => source))], chosen = this.from.value;
    this.from.replaceChildren(...sources.map((code) => make("option", { value: code }, languageName(code))));
    if (sources.includes(chosen)) this.from.value = chosen;
    else if (sources.includes("en")) this.from.value = "en";
    this.fillTargets();
  }

  fillTargets() {
    const chosen = this.to.value, source = this.from.value;
    const targets = this.pairs.filter(([reads]) => reads === source).map(([, writes]) => writes);
    this.to.replaceChildren(...targets.map((code) => make("option", { value: code }, languageName(code))));
    if (targets.includes(chosen)) this.to.value = chosen;
    const examples = (EXAMPLES[source] ?? []).map((text) => make("button", { type: "button", class: "chip", lang: source, onclick: () => { this.text.value = text; this.run(); } }, text));
    document.getElementById("examples").replaceChildren(...examples);
    const back = this.pairs.some(([reads, writes]) => reads === this.to.value && writes === source);
    document.getElementById("swap").disabled = !back;
  }

  swap() {
    const source = this.from.value;
    this.from.value = this.to.value;
    this.fillTargets();
    this.to.value = source;
    if (this.result) { this.text.value = this.result.text; this.run(); }
  }

  get request() {
    return { text: this.asked.text, from: this.asked.from, to: this.asked.to };
  }

  async run() {
    const text = this.text.value.trim();
    if (!text || !this.to.value) return;
    this.asked = { text, from: this.from.value, to: this.to.value };
    await this.ask(() => translate(this.request));
  }

  // Show a skeleton, and then what was asked for; an older answer that comes late is not shown.
  async ask(task) {
    const number = (this.number = (this.number ?? 0) + 1);
    this.place.setAttribute("aria-busy", "true");
    if (!this.result) this.place.replaceChildren(make("div", { class: "skeletons", role: "status" }, make("span", { class: "hidden" }, t("working")), ...["w75 tall", "w60 tall"].map((kind) => make("div", { class: `skeleton ${kind}` }))));
    try {
      const result = await task();
      if (number === this.number) this.draw(result);
    } catch (refusal) {
      if (number === this.number) this.place.replaceChildren(make("div", { class: "notice failed", role: "alert" }, make("p", {}, refusal.words ?? String(refusal))));
      this.result = null;
    } finally {
      this.place.setAttribute("aria-busy", "false");
    }
  }

  draw(result) {
    this.result = result;
    this.pinned = this.pointed = null;
    this.words = [result.source_words.map((word) => ({ word })), result.words];
    this.sentences = [new Sentence(languageName(this.asked.from), result.source, this.words[0], this.handlers(0)), new Sentence(languageName(this.asked.to), result.text, result.words, this.handlers(1))];
    this.reading = new Reading(t("reading.sentence-hint"));
    this.steering = new Steering({
      others: async (prefix, next) => (await translate({ ...this.request, prefix, next })).translations,
      begin: (prefix) => translate({ ...this.request, prefix }),
      adopt: (adopted) => this.draw(adopted),
    });
    const copy = make("button", { type: "button", class: "icon-button", "aria-label": t("result.copy"), title: t("result.copy"), onclick: () => this.copy() }, icon("copy"));
    const parts = [this.lane(0, this.asked.from), this.lane(1, this.asked.to, copy, this.downloads()), this.reading.element, this.steering.element, this.notes(), this.others(), this.matrix()];
    this.place.replaceChildren(make("article", { class: "texts translation" }, ...parts.filter(Boolean)));
    this.ink();
    this.show(null);
  }

  lane(index, code, ...actions) {
    return make("section", { class: "lane", lang: code }, make("div", { class: "lane-head" }, make("h2", {}, languageName(code)), make("div", { class: "actions" }, ...actions)), this.sentences[index].element);
  }

  notes() {
    const notes = [];
    if (!this.result.finished) notes.push(t("result.cut"));
    if (this.result.unfamiliar) notes.push(t("sentences.unfamiliar"));
    return notes.length ? make("div", {}, ...notes.map((note) => make("p", { class: "note" }, note))) : null;
  }

  handlers(lane) {
    return {
      point: (index) => { this.pointed = index === null ? null : [lane, index]; this.show(this.pointed ?? this.pinned); },
      pin: (index) => {
        this.pinned = index === null ? null : [lane, index];
        this.sentences[1 - lane].pinned = null;
        this.steering.offer(this.result.words, lane === 1 ? index : null, this.result.text);
        this.show(this.pinned);
      },
      across: (index) => this.across(lane, index),
      key: (event) => event.key === "c" && (this.copy(), true),
    };
  }

  linksFrom(lane, index) {
    return lane === 1 ? this.result.alignment[index] : column(this.result.alignment, index);
  }

  across(lane, index) {
    const links = this.linksFrom(lane, index);
    if (!links.length) return false;
    this.sentences[1 - lane].focus(links.indexOf(Math.max(...links)));
    return true;
  }

  show(at) {
    const [lane, index] = at ?? [null, null];
    this.sentences.forEach((each, i) => each.show(i === lane ? index : null, at && i !== lane ? this.linksFrom(lane, index) : []));
    for (const cell of this.place.querySelectorAll(".matrix [data-row]")) cell.classList.toggle("line", at !== null && (lane === 1 ? Number(cell.dataset.row) === index : Number(cell.dataset.column) === index));
    if (!at) { this.reading.clear(); return; }
    const said = partners(this.linksFrom(lane, index), this.words[1 - lane].map((each) => each.word));
    this.reading.sayWord(this.words[lane][index], [t(lane ? "reading.from" : "reading.became", { words: said })]);
  }

  others() {
    if (!this.result.alternatives.length) return null;
    const take = (text) => this.ask(() => translate({ ...this.request, prefix: text }));
    const entries = this.result.alternatives.map((other) => make("li", {}, make("button", { type: "button", class: "other", onclick: () => take(other.text) }, make("bdi", {}, other.text), make("span", { class: "score" }, scoreText(other.score)))));
    return make("section", { class: "others" }, make("h2", {}, t("sentences.others")), make("ol", { lang: this.asked.to }, ...entries));
  }

  // The alignment as a table: translated words down, source words across.
  matrix() {
    const { alignment } = this.result;
    if (!alignment.length || !alignment[0].length || alignment.length * alignment[0].length > 4000) return null;
    const head = this.words[0].map(({ word }) => make("th", { scope: "col" }, make("span", {}, make("bdi", {}, word))));
    const rows = alignment.map((row, y) => make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, this.words[1][y].word)), ...row.map((weight, x) => this.cell(weight, x, y))));
    const table = make("table", {}, make("thead", {}, make("tr", {}, make("td"), ...head)), make("tbody", {}, ...rows));
    return make("details", { class: "matrix" }, make("summary", {}, t("sentences.matrix")), make("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": t("sentences.matrix") }, table));
  }

  cell(weight, x, y) {
    const cell = make("td", { data: { row: String(y), column: String(x) }, onpointerenter: () => this.show([1, y]), onpointerleave: () => this.show(this.pinned) }, weight >= 0.05 ? String(Math.round(weight * 100)) : "");
    cell.style.setProperty("--weight", weight.toFixed(3));
    return cell;
  }

  // Black or white numbers, whichever read better on the lightness of their cell.
  ink() {
    for (const cell of this.place.querySelectorAll(".matrix tbody td")) {
      const lightness = Number(getComputedStyle(cell).backgroundColor.match(/^oklab\((\d*\.?\d+)/)?.[1] ?? 1);
      cell.style.color = lightness > 0.565 ? "#000" : "#fff";
    }
  }

  downloads() {
    const entry = (label, act) => make("li", {}, make("button", { type: "button", onclick: (event) => { event.target.closest("details").removeAttribute("open"); act(); } }, label));
    const rendered = async (accept, name) => {
      try {
        save(name, await translate(this.request, { accept }));
      } catch (refusal) {
        tell(refusal.words ?? String(refusal), { failed: true });
      }
    };
    const entries = [
      entry(t("download.page"), () => rendered("text/html", "translation.html")),
      entry(t("download.matrix"), () => rendered("image/png", "translation.png")),
      entry(t("download.json"), () => save("translation.json", JSON.stringify(this.result, null, 1), "application/json")),
    ];
    return make("details", { class: "menu" }, make("summary", { class: "icon-button", "aria-label": t("download.label"), title: t("download.label") }, icon("download")), make("ul", {}, ...entries));
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.result.text);
      tell(t("result.copied"));
    } catch {
      tell(t("result.not-copied"), { failed: true });
    }
  }
}
