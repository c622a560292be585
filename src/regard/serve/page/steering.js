// Another word in the place of one: the likeliest others, or one that is typed; the rest is written anew from there.

import { button, make, tell } from "./elements.js";
import { percent, t } from "./strings.js";

const OTHERS = 6;

export class Steering {
  // others(prefix, count) gives results that differ in the next word; begin(prefix) one that begins so.
  constructor({ others, begin, adopt }) {
    this.others = others;
    this.begin = begin;
    this.adopt = adopt;
    this.element = make("div", { class: "steering", hidden: true });
  }

  // Offer to replace word `index` of `words`; nothing to offer where index is null.
  offer(words, index, text) {
    this.element.hidden = index === null;
    if (index === null) return;
    const before = prefixOf(words, index, text);
    const ask = button(t("steering.ask", { word: words[index].word }), { class: "button small", onclick: () => this.list(words, index, before) });
    this.element.replaceChildren(ask);
    this.ask = ask;
  }

  async list(words, index, before) {
    const list = make("ul", { class: "chips", "aria-label": t("steering.others", { word: words[index].word }) });
    const input = make("input", { type: "text", maxLength: 60, "aria-label": t("steering.type"), placeholder: t("steering.type") });
    const form = make("form", { class: "own-word", onsubmit: (event) => this.type(event, before, input) }, input, button(t("steering.use"), { type: "submit", class: "button small" }));
    list.append(...Array.from({ length: 4 }, () => make("li", { class: "chip skeleton" })));
    this.element.replaceChildren(make("p", { class: "label" }, t("steering.others", { word: words[index].word })), list, form);
    try {
      const found = await this.others(before, OTHERS);
      const chips = found.filter((each) => each.words[index] && each.words[index].word !== words[index].word);
      list.replaceChildren(...chips.map((each) => make("li", {}, this.chip(each, index))));
      if (!chips.length) list.replaceChildren(make("li", { class: "note" }, t("steering.none")));
      list.querySelector("button")?.focus();
    } catch (refusal) {
      list.replaceChildren(make("li", { class: "note" }, refusal.words ?? String(refusal)));
    }
  }

  chip(result, index) {
    const word = result.words[index];
    return make("button", { type: "button", class: "chip", title: result.text, onclick: () => this.adopt(result, prefixOf(result.words, index + 1, result.text)) },
      make("bdi", {}, word.word), make("span", { class: "score" }, percent(word.probability)));
  }

  async type(event, before, input) {
    event.preventDefault();
    if (!input.value.trim()) return;
    const prefix = `${before} ${input.value.trim()}`.trim();
    try {
      this.adopt(await this.begin(prefix), prefix);
    } catch (refusal) {
      tell(refusal.words ?? String(refusal), { failed: true });
      input.select();
    }
  }
}

// How the text begins before word `index`, as it was spelled.
export function prefixOf(words, index, text) {
  if (index >= words.length) return text;
  let from = 0, at = 0;
  for (let i = 0; i <= index; i++) {
    at = text.indexOf(words[i].word, from);
    if (at < 0) return words.slice(0, index).map((each) => each.word).join(" ");
    from = at + words[i].word.length;
  }
  return text.slice(0, at).trimEnd();
}
