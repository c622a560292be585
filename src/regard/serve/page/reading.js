// What is said of a word, for eyes and for screen readers: "dog: lower left, 41 % of attention, sure".

import { make } from "./elements.js";
import { place } from "./heatmap.js";
import { sureness } from "./sentence.js";
import { percent, t } from "./strings.js";

const LEAST_PARTNER = 0.1;

export function placeWords(weights, grid) {
  const { name, share } = place(weights, grid);
  return name ? t("reading.place", { place: t(`place.${name}`), share: percent(share) }) : t("place.everywhere");
}

// The words with the largest links, such as "dog 81 %, a 12 %".
export function partners(links, words) {
  const named = links.map((weight, i) => [weight, words[i]]).filter(([weight]) => weight >= LEAST_PARTNER).sort((a, b) => b[0] - a[0]).slice(0, 3);
  return named.length ? named.map(([weight, word]) => `${word} ${percent(weight)}`).join(", ") : t("reading.nobody");
}

export class Reading {
  constructor(hint) {
    this.hint = hint;
    this.element = make("div", { class: "reading", role: "status", "aria-live": "polite" });
    this.clear();
  }

  clear() {
    this.element.replaceChildren(make("span", { class: "hint" }, this.hint));
  }

  say(word, sayings) {
    const said = sayings.filter(Boolean);
    this.element.replaceChildren(make("b", {}, make("bdi", {}, word)), make("span", { class: "hidden" }, ": "), make("span", {}, said.join(" · ")));
  }

  sayWord(word, more) {
    this.say(word.word, [...more, word.concept && t("reading.concept", { concept: word.concept }), sureness(word)]);
  }
}
