// authd's own prompt: one masked field, on the cover or, for the owner of the seat, on the veil. What is typed leaves the document with Enter, with Escape, and with every face.

import { say } from "./say.js";

const SHORTEST = 4;
const LONGEST = 63;
const asked = document.getElementById("asked");
const field = document.getElementById("pin");
const said = document.getElementById("asked-said");
const left = document.getElementById("tries");
const cover = asked.parentElement;
const veil = document.getElementById("panel");

export class Prompt {
  #send;
  #ask = null;
  #new = false;
  // Of a new PIN, which is typed twice.
  #once = null;

  // send(ask, typed) -> promise of whether it was taken
  constructor(send) {
    this.#send = send;
    field.addEventListener("keydown", (event) => this.#key(event));
    field.addEventListener("input", () => this.#say(null));
    // Keys that are pressed beside the field are meant for it.
    addEventListener("keydown", (event) => {
      const typing = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.altKey && !event.metaKey;
      if (this.shown && typing && !field.disabled) field.focus();
    });
  }

  get shown() {
    return this.#ask !== null;
  }

  // Every face comes here: what was typed for the one before is gone.
  show(prompt, open = false) {
    this.#wipe();
    if (open) veil.insertBefore(asked, document.getElementById("timer"));
    else cover.insertBefore(asked, document.getElementById("key"));
    this.#ask = prompt?.ask ?? null;
    this.#new = prompt?.id === "new_pin";
    asked.hidden = !this.shown;
    field.disabled = !this.shown;
    if (!this.shown) return;
    say(left, prompt.left === null ? null : "screen.tries_left", { left: String(prompt.left) });
    left.dataset.last = prompt.left !== null && prompt.left <= 1 ? "yes" : "no";
    this.#say(null);
    field.focus();
  }

  #key(event) {
    if (event.key === "Escape") this.#wipe();
    if (event.key !== "Enter" || event.isComposing || event.repeat) return;
    event.preventDefault();
    this.#enter();
  }

  async #enter() {
    const ask = this.#ask;
    const typed = field.value.normalize("NFC");
    field.value = "";
    const length = new TextEncoder().encode(typed).length;
    if (ask === null || typed === "") return;
    if (length < SHORTEST || length > LONGEST) return this.#say("hint.pin_invalid");
    if (this.#new && !this.#repeated(typed)) return;
    field.disabled = true;
    this.#say("screen.checking");
    const taken = await this.#send(ask, typed);
    if (!taken && this.#ask === ask) this.#say("screen.not_sent");
  }

  #repeated(typed) {
    const before = this.#once;
    this.#once = before === null ? typed : null;
    if (before === typed) return true;
    this.#say(before === null ? "screen.pin_repeat" : "screen.pin_differs");
    return false;
  }

  #wipe() {
    field.value = "";
    this.#once = null;
  }

  #say(id) {
    say(said, id ?? "screen.pin_enter");
    said.dataset.wrong = id === "hint.pin_invalid" || id === "screen.pin_differs" || id === "screen.not_sent" ? "yes" : "no";
  }
}
