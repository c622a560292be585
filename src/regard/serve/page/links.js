// How the words of a translation hang together with those of its source.

import { locate } from "./sentence.js";

// alignment over source words → over the words of the caption that was translated, matched by their characters.
export function captionLinks(translation, captionWords) {
  const text = translation.source;
  const sources = locate(translation.source_words, text), words = locate(captionWords, text);
  return translation.alignment.map((row) => {
    const linked = captionWords.map(() => 0);
    row.forEach((weight, i) => {
      const at = words.findIndex((span) => span && sources[i] && span[0] < sources[i][1] && sources[i][0] < span[1]);
      if (at >= 0) linked[at] += weight;
    });
    return linked;
  });
}

export function column(links, index) {
  return links.map((row) => row[index] ?? 0);
}

// Which words of a text that was edited by hand are the model's own: the longest common subsequence, as pairs.
export function keptWords(model, edited) {
  const longest = Array.from({ length: model.length + 1 }, () => new Array(edited.length + 1).fill(0));
  for (let i = model.length - 1; i >= 0; i--) {
    for (let j = edited.length - 1; j >= 0; j--) {
      const same = model[i].toLowerCase() === edited[j].toLowerCase().replace(/[.,!?;:]+$/, "");
      longest[i][j] = same ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  const pairs = new Map();
  for (let i = 0, j = 0; i < model.length && j < edited.length;) {
    if (model[i].toLowerCase() === edited[j].toLowerCase().replace(/[.,!?;:]+$/, "")) pairs.set(j++, i++);
    else if (longest[i + 1][j] >= longest[i][j + 1]) i++;
    else j++;
  }
  return pairs;
}
