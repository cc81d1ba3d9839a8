// Puts sentences into the page, always in both languages; the style sheet makes the chosen one the larger.

import words from "./words.js";

export const LANGUAGES = ["ja", "en"];

export function say(place, id, values = {}) {
  for (const language of LANGUAGES) write(place, language, id && fill(words[language][id] ?? "", values));
}

// The same for words that come from outside the catalogue: `texts` by language, or one text for both.
export function put(place, texts) {
  for (const language of LANGUAGES) write(place, language, typeof texts === "string" ? texts : texts[language]);
}

export function word(id, language) {
  return words[language][id];
}

function write(place, language, sentence) {
  const line = place.querySelector(`[lang="${language}"]`);
  if (line.textContent !== sentence) line.textContent = sentence;
}

function fill(sentence, values) {
  return sentence.replace(/\{([a-z_]+)\}/g, (_, name) => values[name] ?? "");
}
