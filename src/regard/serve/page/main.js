// The page: its views, its language, its colours.

import { make, tell } from "./elements.js";
import * as history from "./history.js";
import { How } from "./how.js";
import { Photos } from "./photos.js";
import { Sentences } from "./sentences.js";
import { keysComeFrom, models } from "./service.js";
import { LANGUAGES, preferred, speak, t } from "./strings.js";

const VIEWS = ["photos", "sentences", "how", "history"];
const photos = new Photos(), sentences = new Sentences(), how = new How(photos);

function show() {
  const wanted = location.hash.slice(1), view = VIEWS.includes(wanted) ? wanted : "photos";
  for (const each of VIEWS) document.getElementById(each).hidden = each !== view;
  for (const link of document.querySelectorAll(".views a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = view === "photos" ? "regard" : `regard · ${t(`view.${view}`)}`;
  if (view === "how") how.draw();
  if (view === "history") drawHistory();
}

async function drawHistory() {
  const place = document.getElementById("history-list");
  let entries = [];
  try {
    entries = await history.list();
  } catch {
    tell(t("history.none"), { failed: true });
  }
  document.getElementById("empty").disabled = !entries.length;
  for (const image of place.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  const open = (entry) => { photos.reopen(entry); location.hash = "photos"; };
  const card = (entry) => make("li", {}, make("button", { type: "button", class: "memory", onclick: () => open(entry) },
    make("img", { src: URL.createObjectURL(entry.image), alt: "", loading: "lazy" }), make("span", {}, make("bdi", {}, entry.edited ?? entry.result.text)), make("small", {}, new Date(entry.time).toLocaleString(document.documentElement.lang))));
  place.replaceChildren(entries.length ? make("ol", { class: "memories" }, ...entries.map(card)) : make("p", { class: "note" }, t("history.nothing")));
}

async function emptyHistory() {
  if (!confirm(t("history.sure"))) return;
  await history.empty();
  tell(t("history.emptied"));
  drawHistory();
}

function useTheme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("theme", name);
  sentences.ink();
}

function otherTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  useTheme(now === "dark" ? "light" : "dark");
}

function askForKey() {
  const dialog = document.getElementById("key-dialog"), input = document.getElementById("key");
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => { resolve(input.value.trim()); input.value = ""; }, { once: true }));
}

async function useModels() {
  try {
    const known = await models();
    how.captioners = known.filter((each) => each.kind === "captioner").map((each) => each.name);
    const pairs = known.filter((each) => each.kind === "translator").map((each) => each.languages);
    photos.languages = pairs.filter(([source]) => source === "en").map(([, target]) => target);
    sentences.fill(pairs);
  } catch (refusal) {
    tell(refusal.words ?? String(refusal), { failed: true });
  }
}

async function useLanguage(name) {
  await speak(name);
  sentences.fill(sentences.pairs);
  if (photos.current) photos.show(photos.current);
  if (sentences.result) sentences.draw(sentences.result);
  show();
}

function listen() {
  photos.listen();
  sentences.listen();
  const choice = document.getElementById("language");
  choice.append(...Object.entries(LANGUAGES).map(([code, name]) => make("option", { value: code, lang: code }, name)));
  choice.addEventListener("change", () => { localStorage.setItem("language", choice.value); useLanguage(choice.value); });
  document.getElementById("theme").addEventListener("click", otherTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => sentences.ink());
  document.getElementById("empty").addEventListener("click", emptyHistory);
  for (const each of document.querySelectorAll("dialog [data-close]")) each.addEventListener("click", () => each.closest("dialog").close());
  addEventListener("hashchange", () => { show(); document.getElementById("main").focus({ preventScroll: true }); scrollTo(0, 0); });
  document.addEventListener("keydown", startReading);
}

// With nothing focused, the arrow keys begin at the first word.
function startReading(event) {
  if (document.activeElement !== document.body && document.activeElement?.id !== "main") return;
  if (!["ArrowLeft", "ArrowRight"].includes(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
  const view = VIEWS.find((each) => !document.getElementById(each).hidden);
  const sentence = view === "photos" ? photos.result?.lanes[0]?.sentence : view === "sentences" && sentences.result ? sentences.sentences[1] : null;
  if (!sentence?.buttons.length) return;
  event.preventDefault();
  sentence.focus(0);
}

const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
keysComeFrom(askForKey);
listen();
const language = preferred();
document.getElementById("language").value = language;
await speak(language);
show();
await useModels();
document.documentElement.dataset.ready = "true";
