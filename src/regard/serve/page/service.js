// Asking the service. What it refuses is a Refusal with its stable code; "busy" and "process_ended" are asked again.

import { has, t } from "./strings.js";

const PATIENCE = 20;
const TAKEN = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp"];
const LARGEST = 18_000_000;

export class Refusal extends Error {
  constructor({ code, message, allowed }, status) {
    super(message);
    this.code = code;
    this.status = status;
    this.allowed = allowed;
  }

  // In the reader's language where the code is known, else in the service's words.
  get words() {
    return has(`error.${this.code}`) ? t(`error.${this.code}`, { message: this.message }) : this.message;
  }
}

let askForKey = async () => null;

export function keysComeFrom(ask) {
  askForKey = ask;
}

async function ask(path, options = {}) {
  for (let attempt = 1; ; attempt++) {
    const key = sessionStorage.getItem("key");
    const headers = { accept: "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}), ...options.headers };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal({ code: "unreachable", message: String(error) }, 0);
    }
    if (response.ok) return response;
    const refusal = new Refusal((await response.json().catch(() => ({}))).error ?? { code: "internal" }, response.status);
    if (refusal.status === 401) {
      const given = await askForKey();
      if (!given) throw refusal;
      sessionStorage.setItem("key", given);
    } else if (["busy", "process_ended"].includes(refusal.code) && attempt < PATIENCE) {
      const seconds = Number(response.headers.get("retry-after") ?? 1);
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds * (0.5 + Math.random())));
    } else {
      throw refusal;
    }
  }
}

function address(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

export async function models() {
  return (await (await ask("/v1/models")).json()).models;
}

export async function caption(image, query = {}, { accept = "application/json", signal } = {}) {
  const options = { method: "POST", body: image, headers: { "content-type": image.type, accept }, signal };
  const response = await ask(address("/v1/caption", query), options);
  return accept === "application/json" ? response.json() : response.blob();
}

export async function inspect(image, query = {}) {
  const options = { method: "POST", body: image, headers: { "content-type": image.type } };
  return (await ask(address("/v1/inspect", query), options)).json();
}

export async function translate(body, { accept = "application/json", signal } = {}) {
  const options = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", accept }, signal };
  const response = await ask("/v1/translate", options);
  return accept === "application/json" ? response.json() : response.blob();
}

// An image as the service takes it: as it is, or as a JPEG that the browser makes of what only the browser can read.
export async function readable(file) {
  if (TAKEN.includes(file.type) && file.size <= LARGEST) return file;
  try {
    return await smaller(file, 2400);
  } catch {
    throw new Refusal({ code: "image_unreadable", message: file.name }, 422);
  }
}

export async function smaller(file, longest) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.88 });
}
