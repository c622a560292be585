// Captions as files: JSON, CSV, one text file a photo, and HTML with alt attributes.

export const text = (item) => item.edited ?? item.result.text;

export function json(items) {
  return JSON.stringify(items.map((item) => ({ ...item.result, path: item.name, ...(item.edited === undefined ? {} : { edited: item.edited }), ...(item.translation ? { translation: item.translation } : {}) })), null, 1);
}

export function csv(items) {
  const rows = [["photo", "caption", "edited", "translation", "score"], ...items.map((item) => [item.name, text(item), item.edited === undefined ? "no" : "yes", item.translation?.text ?? "", item.result.score])];
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

// A cell that spreadsheets take for text, even where it begins like a formula.
function cell(value) {
  const plain = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

export function alternatives(items) {
  return items.map((item) => `<img src="${escape(item.name)}" alt="${escape(text(item))}">`).join("\n") + "\n";
}

function escape(value) {
  return value.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

export function stem(name) {
  return name.replace(/^.*[\\/]/, "").replace(/\.[^.]*$/, "") || "photo";
}

// photo.txt beside photo.jpg, in one archive; names that meet are numbered.
export function texts(items) {
  const taken = new Set();
  const entries = items.map((item) => {
    let name = stem(item.name);
    for (let number = 2; taken.has(name); number++) name = `${stem(item.name)}-${number}`;
    taken.add(name);
    return [`${name}.txt`, new TextEncoder().encode(text(item) + "\n")];
  });
  return zip(entries);
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n >>> 0;
});

function checksum(bytes) {
  return (bytes.reduce((sum, byte) => TABLE[(sum ^ byte) & 255] ^ (sum >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;
}

// A ZIP archive of small files, stored as they are (PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16).
export function zip(entries) {
  const parts = [], directory = [];
  let offset = 0;
  for (const [name, content] of entries) {
    const encoded = new TextEncoder().encode(name);
    const shared = [[2, 20], [2, 0x0800], [2, 0], [2, 0], [2, 0x21], [4, checksum(content)], [4, content.length], [4, content.length], [2, encoded.length], [2, 0]];
    const local = fields([[4, 0x04034b50], ...shared]);
    directory.push(fields([[4, 0x02014b50], [2, 20], ...shared, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]), encoded);
    parts.push(local, encoded, content);
    offset += local.length + encoded.length + content.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = fields([[4, 0x06054b50], [2, 0], [2, 0], [2, entries.length], [2, entries.length], [4, size], [4, offset], [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

function fields(values) {
  const bytes = new Uint8Array(values.reduce((sum, [size]) => sum + size, 0)), view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of values) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return bytes;
}
