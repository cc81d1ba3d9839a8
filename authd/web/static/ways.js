// What the locked screen offers besides the reader: a key, names to choose from, a colleague's help, an emergency.
// It opens with a deliberate press only, and closes itself; what it has shown is then no more in the document.

import { hold } from "./hold.js";
import { say } from "./say.js";

const CLOSE_AFTER_MS = 15000;
const SAID_MS = 8000;
const QUESTIONS = {
  vouch: ["screen.vouch_question", "screen.vouch_first", "screen.vouch_few"],
  break_glass: ["screen.break_glass_question", "screen.break_glass_two", "screen.break_glass_reviewed"],
};

const $$ = (id) => document.getElementById(id);
const cover = $$("cover");
const panel = $$("ways");
const parts = { menu: $$("menu"), names: $$("names"), sure: $$("sure") };
const told = $$("told");
const behind = [cover.querySelector(".centre"), cover.querySelector("footer")];

export class Ways {
  #post;
  #keys;
  #offered;
  #closing = null;
  #telling = null;
  #asking = null;
  #release;

  // offered: set of the ways' names; post(verb, body) -> promise of the answer, or null
  constructor(offered, keys, post) {
    this.#offered = offered;
    this.#keys = keys;
    this.#post = post;
    $$("key").hidden = !this.#offered.has("webauthn");
    $$("other").hidden = !["tiles", "vouch", "break_glass"].some((way) => this.#offered.has(way));
    for (const way of ["tiles", "vouch", "break_glass"]) $$(`way-${way}`).hidden = !this.#offered.has(way);
    $$("key").addEventListener("click", () => this.#useKey());
    $$("other").addEventListener("click", () => this.#turnTo("menu"));
    $$("way-tiles").addEventListener("click", () => this.#showNames());
    for (const way of ["vouch", "break_glass"]) $$(`way-${way}`).addEventListener("click", () => this.#askFor(way));
    for (const button of panel.querySelectorAll(".close")) button.addEventListener("click", () => this.close(true));
    $$("sure-yes").addEventListener("click", () => this.#press());
    this.#release = hold($$("sure-hold"), () => this.#press(), { keys: true });
    for (const name of ["keydown", "pointerdown", "wheel"]) {
      panel.addEventListener(name, (event) => event.isTrusted && this.#closeLater(), { passive: true });
    }
    addEventListener("keydown", (event) => event.key === "Escape" && this.close(true));
  }

  // may: whether the seat is free for a key or for help now.
  face(may) {
    cover.dataset.ways = may ? "on" : "off";
    $$("key").disabled = $$("other").disabled = !may;
    this.close();
    this.tell(null);
  }

  tell(id, tone = "retry") {
    clearTimeout(this.#telling);
    say(told, id);
    told.dataset.tone = tone;
    told.hidden = id === null;
    if (id !== null) this.#telling = setTimeout(() => this.tell(null), SAID_MS);
  }

  close(back = false) {
    if (panel.hidden) return;
    clearTimeout(this.#closing);
    this.#release();
    this.#asking = null;
    panel.hidden = true;
    for (const part of behind) part.inert = false;
    $$("people").replaceChildren();
    if (back) $$("other").focus();
  }

  #turnTo(part) {
    panel.hidden = false;
    for (const each of behind) each.inert = true;
    for (const [name, element] of Object.entries(parts)) element.hidden = name !== part;
    panel.dataset.tone = part === "sure" && this.#asking === "break_glass" ? "alarm" : "neutral";
    parts[part].querySelector("button:not([hidden])")?.focus();
    this.#closeLater();
  }

  #closeLater() {
    clearTimeout(this.#closing);
    this.#closing = setTimeout(() => this.close(true), CLOSE_AFTER_MS);
    for (const animation of $$("ends").getAnimations()) {
      animation.cancel();
      animation.play();
    }
  }

  async #useKey() {
    $$("key").disabled = true;
    this.tell("hint.touch_the_key", "calm");
    const id = await this.#keys.start();
    $$("key").disabled = cover.dataset.ways !== "on";
    this.tell(id);
  }

  async #showNames() {
    const answer = await this.#post("names", {});
    if (answer === null) return this.#failed();
    const { names } = await answer.json();
    if (panel.hidden) return;
    $$("people").replaceChildren(...names.map((each) => this.#tile(each)));
    $$("nobody").hidden = names.length > 0;
    this.#turnTo("names");
  }

  #tile({ tile, name, kana }) {
    const button = document.createElement("button");
    button.type = "button";
    for (const [kind, text] of [["kana", kana], ["name", name]]) {
      const line = document.createElement("span");
      line.className = kind;
      line.lang = "ja";
      line.textContent = text;
      button.append(line);
    }
    button.addEventListener("click", () => this.#claim(tile));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  async #claim(tile) {
    this.close(true);
    if ((await this.#post("claim", { tile })) === null) this.tell("screen.not_now");
  }

  #askFor(way) {
    this.#asking = way;
    const lines = parts.sure.querySelectorAll("p");
    for (const [index, id] of QUESTIONS[way].entries()) say(lines[index], id);
    $$("sure-hold").hidden = way !== "break_glass";
    $$("sure-yes").hidden = way === "break_glass";
    this.#turnTo("sure");
  }

  async #press() {
    const button = this.#asking;
    if (button === null) return;
    this.close(true);
    if ((await this.#post("press", { button })) === null) this.tell("screen.not_now");
  }

  #failed() {
    this.close(true);
    this.tell("screen.not_now");
  }
}
