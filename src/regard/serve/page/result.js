// One photo and what was made of it.

import { button, icon, make, tell } from "./elements.js";
import { shareIn } from "./heatmap.js";
import { captionLinks, column, keptWords } from "./links.js";
import { partners, placeWords, Reading } from "./reading.js";
import { certainty, Sentence } from "./sentence.js";
import { caption } from "./service.js";
import { Stage } from "./stage.js";
import { Steering } from "./steering.js";
import { languageName, percent, scoreText, t } from "./strings.js";

const CONFIDENT = 0.4; // below it a caption is not sure, as regard.results has it
const BEAT = 900; // milliseconds a word of the animation

export class Result {
  // context: {languages, changed(item), downloads(item)}
  constructor(item, context) {
    this.item = item;
    this.context = context;
    this.stage = new Stage(item.url, item.name, { region: (region) => this.choose(region) });
    this.texts = make("div", { class: "texts" });
    this.strip = make("ol", { class: "strip", "aria-hidden": "true" });
    this.element = make("article", { class: "result", "aria-label": item.name },
      make("div", { class: "columns" }, this.stage.element, this.texts), this.strip);
    this.update();
  }

  // Draw anew what hangs on the item.
  update() {
    this.stop();
    const { result, error } = this.item;
    this.element.setAttribute("aria-busy", String(!result && !error));
    this.lanes = [];
    if (error) this.texts.replaceChildren(this.failure(error));
    else if (!result) this.texts.replaceChildren(...skeleton());
    else this.draw(result);
    if (!result) this.strip.replaceChildren();
  }

  failure(error) {
    return make("div", { class: "notice failed", role: "alert" }, make("p", {}, error.words ?? String(error)),
      button(t("again"), { onclick: () => this.context.again(this.item) }));
  }

  draw(result) {
    this.stage.set(result.grid, this.text);
    this.reading = new Reading(t("reading.hint"));
    this.steering = new Steering({
      others: async (prefix, next) => (await caption(this.item.image, { ...this.item.query, prefix, next, max_length: undefined })).captions,
      begin: (prefix) => caption(this.item.image, { ...this.item.query, prefix, max_length: undefined }),
      adopt: (adopted, prefix) => this.adopt(adopted, { ...this.item.query, prefix, max_length: undefined }),
    });
    this.lanes = [this.captionLane(result)];
    this.links = null;
    if (this.item.translation) this.addTranslation(result, this.item.translation);
    this.panel = make("div", { class: "region-panel", hidden: true });
    this.texts.replaceChildren(...[this.captionPart(result), this.reading.element, this.steering.element, this.panel,
      this.languagesPart(), this.translationPart(), this.othersPart(result)].filter(Boolean));
    this.drawStrip();
    this.choose(null);
    this.show(null);
  }

  get text() {
    return this.item.edited ?? this.item.result.text;
  }

  captionLane(result) {
    const handlers = this.handlers(0);
    const edited = this.item.edited;
    if (edited === undefined) return { sentence: new Sentence(t("result.caption"), result.text, result.words, handlers), words: result.words };
    const written = edited.split(/\s+/).filter(Boolean), kept = keptWords(result.words.map((each) => each.word), written);
    const words = written.map((word, j) => (kept.has(j) ? { ...result.words[kept.get(j)], word } : { word }));
    return { sentence: new Sentence(t("result.caption"), edited, words, handlers), words };
  }

  addTranslation(result, translation) {
    this.links = captionLinks(translation, this.item.result.words.map((each) => each.word));
    this.lanes.push({ sentence: new Sentence(languageName(this.item.to), translation.text, translation.words, this.handlers(1)), words: translation.words });
  }

  handlers(lane) {
    return {
      point: (index) => { this.pointed = index === null ? null : [lane, index]; this.show(this.pointed ?? this.pinned); },
      pin: (index) => this.pin(index === null ? null : [lane, index]),
      across: (index) => this.across(lane, index),
      key: (event, index) => this.key(event, lane, index),
    };
  }

  pin(at) {
    this.pinned = at;
    this.lanes.forEach((lane, i) => { if (!at || at[0] !== i) lane.sentence.pinned = null; });
    const steers = at && at[0] === 0 && this.item.edited === undefined;
    this.steering.offer(this.item.result.words, steers ? at[1] : null, this.item.result.text);
    this.show(this.pointed ?? at);
  }

  across(lane, index) {
    if (!this.links || this.item.edited !== undefined) return false;
    const links = lane === 1 ? this.links[index] : column(this.links, index);
    this.lanes[1 - lane].sentence.focus(links.indexOf(Math.max(...links)));
    return true;
  }

  key(event, lane, index) {
    if (event.key === "c") this.copy();
    else if (event.key === "p") this.play(lane);
    else if (event.key === "r" && !this.steering.element.hidden) this.steering.ask.click();
    else return false;
    return true;
  }

  // Show one word of one sentence: its attention on the photo, its links, and what there is to say of it.
  show(at) {
    const [lane, index] = at ?? [null, null];
    const word = at ? this.lanes[lane].words[index] : null;
    this.lanes.forEach((each, i) => each.sentence.show(i === lane ? index : null, at && i !== lane ? this.linksFrom(lane, index) : this.regionLinks(i)));
    this.stage.show(word);
    for (const card of this.strip.children) card.classList.toggle("chosen", Number(card.dataset.word) === index && Number(card.dataset.lane) === lane);
    if (!at) this.reading.clear();
    else this.reading.sayWord(word, [word.weights && placeWords(word.weights, this.item.result.grid), this.partnersOf(lane, index), !word.weights && t("result.by-hand")]);
  }

  linksFrom(lane, index) {
    if (!this.links || this.item.edited !== undefined) return [];
    return lane === 1 ? this.links[index] : column(this.links, index);
  }

  partnersOf(lane, index) {
    const links = this.linksFrom(lane, index);
    return links.length ? t(lane ? "reading.from" : "reading.became", { words: partners(links, this.lanes[1 - lane].words.map((each) => each.word)) }) : "";
  }

  regionLinks(lane) {
    if (!this.region) return [];
    return this.lanes[lane].words.map((word) => (word.weights ? shareIn(word.weights, this.item.result.grid, this.region) : 0));
  }

  // A region was chosen: which words looked here, and may it be described by itself?
  choose(region) {
    this.region = region;
    if (!this.panel) return;
    this.panel.hidden = !region && !this.item.query.region;
    if (this.panel.hidden) { this.stage.mark(null); this.show(this.pinned ?? null); return; }
    const parts = [];
    if (region) {
      const looked = this.regionLinks(0).map((share, i) => [share, this.lanes[0].words[i].word]).filter(([share]) => share >= 0.1).sort((a, b) => b[0] - a[0]).slice(0, 4);
      const words = looked.map(([share, word]) => `${word} ${percent(share)}`).join(", ");
      parts.push(make("p", { role: "status" }, words ? t("region.looked", { words }) : t("region.nobody")), button(t("region.describe"), { class: "button small primary", onclick: () => this.describe(region) }));
    }
    if (this.item.query.region) parts.push(button(t("region.whole"), { class: "button small", onclick: () => this.describe(null) }));
    this.panel.replaceChildren(...parts);
    this.show(this.pinned ?? null);
  }

  async describe(region) {
    const query = { ...this.item.query, prefix: undefined, max_length: undefined, region: region ? [region.left, region.top, region.right, region.bottom].map((edge) => edge.toFixed(4)).join(",") : undefined };
    await this.work(async () => this.adopt(await caption(this.item.image, query), query));
    this.stage.mark(region);
  }

  // Take another caption in place of this one; a translation is made anew.
  async adopt(result, query) {
    Object.assign(this.item, { result, query, edited: undefined, translation: undefined });
    this.pinned = this.pointed = null;
    this.context.changed(this.item);
    this.update();
    if (this.item.to) await this.translateTo(this.item.to);
    this.lanes[0].sentence.buttons[0]?.focus();
  }

  async translateTo(to) {
    this.item.to = to;
    await this.work(async () => {
      const whole = await caption(this.item.image, { ...this.item.query, to });
      this.item.translation = whole.translation;
      this.context.changed(this.item);
      this.pinned = this.pointed = null;
      this.draw(this.item.result);
    });
  }

  async work(task) {
    this.element.classList.add("working");
    try {
      await task();
    } catch (refusal) {
      tell(refusal.words ?? String(refusal), { failed: true });
    } finally {
      this.element.classList.remove("working");
    }
  }

  captionPart(result) {
    const small = { class: "icon-button" };
    const action = (name, label, onclick) => make("button", { type: "button", ...small, title: label, "aria-label": label, onclick }, icon(name));
    this.playButton = action("play", t("result.play"), () => this.play(0));
    const actions = [this.playButton, action("copy", t("result.copy"), () => this.copy()), action("edit", t("result.edit"), () => this.edit())];
    if (this.item.edited !== undefined || this.item.query.prefix || this.item.query.max_length) actions.push(action("undo", t("result.undo"), () => this.undo()));
    this.sentencePlace = make("div", {}, this.lanes[0].sentence.element);
    const notes = [];
    if (this.item.edited !== undefined) notes.push(t("result.edited", { text: result.text }));
    if (!result.finished) notes.push(t("result.cut"));
    if (result.confidence !== undefined) notes.push(t(result.confidence < CONFIDENT ? "result.unsure" : "result.confidence", { share: percent(result.confidence) }));
    return make("section", { class: "lane" },
      make("div", { class: "lane-head" }, make("h2", {}, t(this.item.query.region ? "result.part" : "result.caption")), make("div", { class: "actions" }, ...actions, this.context.downloads(this.item))),
      this.sentencePlace, ...notes.map((note) => make("p", { class: "note" }, note)));
  }

  languagesPart() {
    if (!this.context.languages.length) return null;
    const chips = this.context.languages.map((code) => make("button", { type: "button", class: "chip", "aria-pressed": String(this.item.to === code && Boolean(this.item.translation)), onclick: () => this.toggle(code) }, languageName(code)));
    return make("div", { class: "also" }, make("span", { class: "label" }, t("result.also")), ...chips);
  }

  toggle(code) {
    if (this.item.to !== code || !this.item.translation) { this.translateTo(code); return; }
    Object.assign(this.item, { to: undefined, translation: undefined });
    this.pinned = this.pointed = null;
    this.context.changed(this.item);
    this.draw(this.item.result);
  }

  translationPart() {
    if (!this.item.translation) return null;
    const note = this.item.translation.finished ? [] : [make("p", { class: "note" }, t("result.cut"))];
    return make("section", { class: "lane", lang: this.item.to }, make("div", { class: "lane-head" }, make("h2", {}, languageName(this.item.to))), this.lanes[1].sentence.element, ...note);
  }

  othersPart(result) {
    if (!result.alternatives.length) return null;
    const entries = result.alternatives.map((other) => make("li", {}, make("button", { type: "button", class: "other", onclick: () => this.take(other.text) }, make("bdi", {}, other.text), make("span", { class: "score" }, scoreText(other.score)))));
    return make("section", { class: "others" }, make("h2", {}, t("result.others")), make("ol", {}, ...entries));
  }

  // An alternative of the beam, forced word by word to its end.
  take(text) {
    const query = { ...this.item.query, prefix: text, max_length: text.split(" ").length + 1 };
    return this.work(async () => this.adopt(await caption(this.item.image, query), query));
  }

  drawStrip() {
    const cards = this.lanes[0].words.map((word, index) => (word.weights ? this.card(word, index) : null)).filter(Boolean);
    this.strip.replaceChildren(...cards);
  }

  card(word, index) {
    const canvas = make("canvas"), at = [0, index];
    const card = make("li", { class: "card", data: { lane: "0", word: String(index) },
      onpointerenter: (event) => event.pointerType !== "touch" && this.show(at), onpointerleave: () => this.show(this.pinned ?? null), onclick: () => this.pin(at) },
      canvas, make("span", {}, make("bdi", {}, word.word)), make("span", { class: "score" }, certainty(word) === undefined ? "" : percent(certainty(word))));
    this.stage.image.decode().then(() => this.stage.map.paint(canvas, word, { photo: this.stage.image }), () => {});
    return card;
  }

  play(lane) {
    const running = this.timer;
    this.stop();
    if (running) { this.show(this.pinned ?? null); return; }
    this.playButton.replaceChildren(icon("stop"));
    this.playButton.setAttribute("aria-label", t("result.stop"));
    let index = 0;
    const step = () => {
      if (index >= this.lanes[lane].words.length) { this.stop(); this.show(this.pinned ?? null); }
      else this.show([lane, index++]);
    };
    step();
    this.timer = setInterval(step, BEAT);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.playButton?.replaceChildren(icon("play"));
    this.playButton?.setAttribute("aria-label", t("result.play"));
  }

  async copy() {
    const text = [this.text, this.item.translation?.text].filter(Boolean).join("\n");
    try {
      await navigator.clipboard.writeText(text);
      tell(t("result.copied"));
    } catch {
      tell(t("result.not-copied"), { failed: true });
    }
  }

  edit() {
    const area = make("textarea", { rows: 3, value: this.text, "aria-label": t("result.edit"), maxLength: 1000 });
    const keep = () => {
      const text = area.value.trim().replace(/\s+/g, " ");
      this.item.edited = text && text !== this.item.result.text ? text : undefined;
      Object.assign(this.item, { translation: undefined, to: undefined });
      this.context.changed(this.item);
      this.draw(this.item.result);
    };
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); keep(); }
      if (event.key === "Escape") this.draw(this.item.result);
    });
    this.sentencePlace.replaceChildren(area, make("div", { class: "edit-actions" }, button(t("keep"), { class: "button small primary", onclick: keep }), button(t("cancel"), { class: "button small", onclick: () => this.draw(this.item.result) })));
    area.focus();
  }

  undo() {
    if (this.item.edited !== undefined) { this.item.edited = undefined; this.context.changed(this.item); this.draw(this.item.result); return null; }
    const query = { ...this.item.query, prefix: undefined, max_length: undefined };
    return this.work(async () => this.adopt(await caption(this.item.image, query), query));
  }
}

function skeleton() {
  const lines = [["w90", "tall"], ["w60", "tall"], ["w75", ""], ["w40", ""]].map(([width, height]) => make("div", { class: `skeleton ${width} ${height}` }));
  return [make("div", { class: "skeletons", role: "status" }, make("span", { class: "hidden" }, t("working")), ...lines)];
}
