// Photos: taken in, described one after the other, shown, downloaded.

import * as downloads from "./downloads.js";
import { icon, make, save, tell } from "./elements.js";
import * as history from "./history.js";
import { Result } from "./result.js";
import { caption, readable, smaller } from "./service.js";
import { t } from "./strings.js";

const TOGETHER = 3; // photos that are asked for at the same time
const KEPT_SIDE = 1200;

export class Photos {
  constructor() {
    this.items = [];
    this.current = null;
    this.languages = [];
    this.place = document.getElementById("photo-result");
    this.queue = document.getElementById("queue");
    this.intake = document.getElementById("intake");
    this.running = 0;
  }

  add(files) {
    const added = [...files].map((file) => ({ id: crypto.randomUUID(), name: file.name || "photo", file, url: URL.createObjectURL(file), query: {}, state: "waiting", time: Date.now() }));
    if (!added.length) return;
    this.items.push(...added);
    this.show(added[0]);
    this.advance();
  }

  // One that the history kept.
  reopen(entry) {
    const known = this.items.find((item) => item.id === entry.id);
    if (!known) this.items.push({ ...entry, kept: entry.image, url: URL.createObjectURL(entry.image), state: "done" });
    this.show(known ?? this.items.at(-1));
  }

  advance() {
    while (this.running < TOGETHER) {
      const item = this.items.find((each) => each.state === "waiting");
      if (!item) break;
      this.running++;
      item.state = "working";
      this.describe(item).finally(() => { this.running--; this.advance(); });
    }
    this.drawQueue();
  }

  async describe(item) {
    try {
      item.image = await readable(item.file);
      item.result = await caption(item.image, { ...item.query, name: item.name });
      item.state = "done";
      this.remember(item);
      document.dispatchEvent(new CustomEvent("photo-described"));
    } catch (refusal) {
      item.error = refusal;
      item.state = "failed";
    }
    if (item === this.current) this.result.update();
  }

  again(item) {
    Object.assign(item, { state: "waiting", error: undefined });
    if (item === this.current) this.result.update();
    this.advance();
  }

  changed(item) {
    this.remember(item);
    this.drawQueue();
  }

  async remember(item) {
    try {
      item.kept ??= await smaller(item.image, KEPT_SIDE);
      const { id, name, result, query, edited, translation, to, time, kept } = item;
      await history.keep({ id, name, result, query, edited, translation, to, time, image: kept });
    } catch (error) {
      console.warn("the history cannot be kept", error);
    }
  }

  show(item) {
    this.result?.stop();
    this.current = item;
    this.intake.classList.add("slim");
    document.getElementById("photos-title").textContent = t("photos.more");
    this.result = new Result(item, { languages: this.languages, changed: (each) => this.changed(each), again: (each) => this.again(each), downloads: (each) => this.menu(each) });
    this.place.replaceChildren(this.result.element);
    this.drawQueue();
  }

  get done() {
    return this.items.filter((item) => item.result);
  }

  drawQueue() {
    this.queue.hidden = this.items.length < 2;
    if (this.queue.hidden) return;
    const finished = this.items.filter((item) => ["done", "failed"].includes(item.state)).length;
    const bar = make("progress", { max: this.items.length, value: finished, "aria-label": t("queue.label") });
    const counted = make("span", { class: "label", role: "status" }, t("queue.progress", { done: finished, count: this.items.length }));
    const list = make("ol", { class: "thumbs" }, ...this.items.map((item) => this.thumb(item)));
    const held = this.queue.querySelector(":focus")?.dataset.id;
    this.queue.replaceChildren(make("div", { class: "queue-head" }, counted, bar), list);
    if (held) this.queue.querySelector(`[data-id="${held}"]`)?.focus({ preventScroll: true });
    this.queue.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  thumb(item) {
    const said = item.result ? downloads.text(item) : item.error ? t("queue.failed") : t("queue.waiting");
    const attributes = { type: "button", class: `thumb ${item.state}`, title: said, "aria-label": `${item.name}: ${said}`, onclick: () => this.show(item), data: { id: item.id } };
    return make("li", {}, make("button", { ...attributes, ...(item === this.current ? { "aria-current": "true" } : {}) }, make("img", { src: item.url, alt: "", loading: "lazy" })));
  }

  menu(item) {
    const entry = (label, act) => make("li", {}, make("button", { type: "button", onclick: (event) => { event.target.closest("details").removeAttribute("open"); act(); } }, label));
    const name = downloads.stem(item.name), all = () => this.done;
    const entries = [
      entry(t("download.page"), () => this.rendered(item, "text/html", `${name}.html`)),
      entry(t("download.sheet"), () => this.rendered(item, "image/png", `${name}.png`)),
      entry(t("download.json"), () => save("captions.json", downloads.json(all()), "application/json")),
      entry(t("download.csv"), () => save("captions.csv", "\ufeff" + downloads.csv(all()), "text/csv")),
      entry(t("download.texts"), () => save("captions.zip", downloads.texts(all()))),
      entry(t("download.alt"), () => save("captions.html", downloads.alternatives(all()), "text/html")),
    ];
    return make("details", { class: "menu" }, make("summary", { class: "icon-button", "aria-label": t("download.label"), title: t("download.label") }, icon("download")), make("ul", {}, ...entries));
  }

  async rendered(item, accept, name) {
    try {
      save(name, await caption(item.image, { ...item.query, name: item.name, to: item.translation ? item.to : undefined }, { accept }));
    } catch (refusal) {
      tell(refusal.words ?? String(refusal), { failed: true });
    }
  }

  // Everything that leads to photos: the picker, the camera, dropping, pasting.
  listen() {
    const files = document.getElementById("files"), snapshot = document.getElementById("snapshot");
    document.getElementById("choose").addEventListener("click", () => files.click());
    for (const input of [files, snapshot]) input.addEventListener("change", () => { this.add(input.files); input.value = ""; });
    document.getElementById("camera").addEventListener("click", () => this.photograph(snapshot));
    const holds = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    addEventListener("dragover", (event) => { if (holds(event)) { event.preventDefault(); document.body.classList.add("dropping"); } });
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
    addEventListener("drop", (event) => {
      document.body.classList.remove("dropping");
      if (!holds(event)) return;
      event.preventDefault();
      this.take(event.dataTransfer.files);
    });
    addEventListener("paste", (event) => { if (event.clipboardData?.files.length) { event.preventDefault(); this.take(event.clipboardData.files); } });
    addEventListener("click", (event) => { for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.removeAttribute("open"); });
  }

  take(files) {
    const images = [...files].filter((file) => file.type.startsWith("image/"));
    if (!images.length) { tell(t("photos.none"), { failed: true }); return; }
    location.hash = "photos";
    this.add(images);
  }

  // The camera of the device; where pages may not use it, the system's own picture taker.
  async photograph(fallback) {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1600 } } });
    } catch {
      fallback.click();
      return;
    }
    const dialog = document.getElementById("camera-dialog"), video = document.getElementById("video");
    const shutter = document.getElementById("shutter");
    const shoot = () => {
      const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => { dialog.close(); this.add([new File([blob], "camera.jpg", { type: "image/jpeg" })]); }, "image/jpeg", 0.92);
    };
    shutter.addEventListener("click", shoot);
    dialog.addEventListener("close", () => { shutter.removeEventListener("click", shoot); stream.getTracks().forEach((track) => track.stop()); }, { once: true });
    video.srcObject = stream;
    dialog.showModal();
    await video.play();
  }
}

