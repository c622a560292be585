// A sentence whose words can be pointed at, walked through with the arrow keys, and pinned.

import { make } from "./elements.js";
import { percent, t } from "./strings.js";

export const SURE = 0.6;
export const DOUBTFUL = 0.3;

// What is known of a word beyond doubt: evidence where the model was calibrated, else its probability.
export function certainty(word) {
  return word.evidence ?? word.probability;
}

export function sureness(word) {
  const value = certainty(word);
  if (value === undefined) return "";
  const key = value >= SURE ? "sure" : value >= DOUBTFUL ? "fairly" : "unsure";
  return t(`sureness.${key}`, { share: percent(value) });
}

// Where each word stands in the text: [start, end) or null where it is spelled otherwise.
export function locate(words, text) {
  let from = 0;
  const lower = text.toLowerCase();
  return words.map((word) => {
    const at = lower.indexOf(word.toLowerCase(), from);
    if (at < 0) return null;
    from = at + word.length;
    return [at, from];
  });
}

export class Sentence {
  // words: [{word, probability?}]; handlers: point(index or null), pin(index or null), and optionally across(index).
  constructor(label, text, words, handlers) {
    this.words = words;
    this.handlers = handlers;
    this.pinned = null;
    this.buttons = words.map((word, index) => this.button(word, index));
    const group = { class: "sentence", role: "group", "aria-label": t("sentence.label", { title: label, count: words.length }), dir: "auto" };
    this.element = make("p", group, ...this.spelled(text));
  }

  button(word, index) {
    const element = make("button", {
      type: "button",
      class: "word",
      tabIndex: index ? -1 : 0,
      "aria-pressed": "false",
      onpointerenter: (event) => event.pointerType !== "touch" && this.handlers.point(index),
      onpointerleave: () => this.handlers.point(null),
      onfocus: () => element.matches(":focus-visible") && this.pin(index),
      onclick: () => this.pin(this.pinned === index && !element.matches(":focus-visible") ? null : index),
      onkeydown: (event) => this.walk(event, index),
    }, word.word);
    const value = certainty(word);
    if (value !== undefined) {
      element.style.setProperty("--sure", value.toFixed(3));
      element.classList.add("inked");
      element.classList.toggle("doubtful", value < DOUBTFUL);
    }
    return element;
  }

  // The text as it was written with a button for each word; words alone where they are not found in it.
  spelled(text) {
    const spans = locate(this.words.map((each) => each.word), text);
    if (spans.includes(null)) return this.buttons.flatMap((each, i) => (i ? [" ", each] : [each]));
    const parts = [];
    let end = 0;
    spans.forEach(([from, to], i) => {
      parts.push(text.slice(end, from), this.buttons[i]);
      this.buttons[i].textContent = text.slice(from, to);
      end = to;
    });
    return [...parts, text.slice(end)].filter((each) => each !== "");
  }

  walk(event, index) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const forward = getComputedStyle(this.element).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    const back = forward === "ArrowLeft" ? "ArrowRight" : "ArrowLeft";
    const steps = { [forward]: index + 1, [back]: index - 1, Home: 0, End: this.buttons.length - 1 };
    if (event.key in steps) {
      event.preventDefault();
      this.focus(Math.min(Math.max(steps[event.key], 0), this.buttons.length - 1));
    } else if (["ArrowUp", "ArrowDown"].includes(event.key) && this.handlers.across) {
      if (this.handlers.across(index, event.key)) event.preventDefault();
    } else if (event.key === "Escape") {
      this.pin(null);
    } else if (this.handlers.key?.(event, index)) {
      event.preventDefault();
    }
  }

  focus(index) {
    this.buttons[index].focus({ focusVisible: true });
    this.pin(index);
  }

  pin(index) {
    this.pinned = index;
    this.handlers.pin(index);
  }

  // Show what is chosen, and how strongly each word is linked to what is chosen elsewhere.
  show(chosen, links = []) {
    this.buttons.forEach((each, i) => {
      each.classList.toggle("chosen", i === chosen);
      each.setAttribute("aria-pressed", String(i === this.pinned));
      if (chosen !== null) each.tabIndex = i === chosen ? 0 : -1;
      each.style.setProperty("--link", (links[i] ?? 0).toFixed(3));
      each.classList.toggle("linked", (links[i] ?? 0) >= 0.1);
    });
    if (chosen === null && !this.buttons.some((each) => each.tabIndex === 0) && this.buttons.length) this.buttons[0].tabIndex = 0;
  }
}
