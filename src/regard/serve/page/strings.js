// The strings of the page: one JSON file a language, chosen by the browser, switchable.

export const LANGUAGES = { en: "English", ko: "한국어" };
let strings = {};
export let language = "en";

export function preferred() {
  const saved = localStorage.getItem("language");
  const wanted = saved ? [saved] : navigator.languages.map((each) => each.slice(0, 2));
  return wanted.find((each) => each in LANGUAGES) ?? "en";
}

export async function speak(name) {
  const response = await fetch(`/page/languages/${name}.json`);
  strings = await response.json();
  language = name;
  document.documentElement.lang = name;
  translatePage(document);
}

// The string of a key, with {names} replaced. A missing key shows itself.
export function t(key, values = {}) {
  return (strings[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function has(key) {
  return key in strings;
}

export function percent(share) {
  const shown = share > 0 && share < 0.005 ? "< 1" : String(Math.round(share * 100));
  return t("percent", { number: shown });
}

// A score of the search, with a minus and not a hyphen.
export function scoreText(score) {
  return score.toFixed(2).replace("-", "−");
}

// "de" as people call it: German, 독일어.
export function languageName(code) {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(code);
  } catch {
    return code;
  }
}

function translatePage(root) {
  for (const each of root.querySelectorAll("[data-t]")) each.textContent = t(each.dataset.t);
  for (const each of root.querySelectorAll("[data-t-label]")) each.setAttribute("aria-label", t(each.dataset.tLabel));
  for (const each of root.querySelectorAll("[data-t-placeholder]")) each.placeholder = t(each.dataset.tPlaceholder);
}
