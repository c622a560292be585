// A photo described and a sentence translated from JavaScript, in Node 18 or newer without packages:
// node examples/client.mjs photo.jpg [http://127.0.0.1:8000]
import { readFile } from "node:fs/promises";

const [photo, service = "http://127.0.0.1:8000"] = process.argv.slice(2);

async function post(path, body, type) {
  const response = await fetch(service + path, { method: "POST", body, headers: { "content-type": type } });
  const data = await response.json();
  if (!response.ok) throw new Error(`${data.error.code}: ${data.error.message}`);
  return data;
}

const caption = await post("/v1/caption?beam=5", await readFile(photo), "application/octet-stream");
console.log(caption.text);
for (const { word, probability } of caption.words) console.log(`  ${word}: ${Math.round(100 * probability)} % sure`);

const sentence = { text: `${caption.text}.`, from: "en", to: "de" };
const translation = await post("/v1/translate", JSON.stringify(sentence), "application/json");
console.log(translation.text);
