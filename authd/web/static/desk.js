// What the owner of the seat sees: the bar, the launcher, their applications, and the veil before a lock.

import { hold } from "./hold.js";
import { draw, look, promptOf } from "./looks.js";
import { put, say } from "./say.js";
import * as stage from "./stage.js";

const GREET_MS = 2000;
const NOTICE_MS = 4000;
const NO_NOTICE = new Set(["start", "fading", "confirm"]);
const NOBODY = { name: "", kana: "", section: { ja: "", en: "" } };

const $$ = (id) => document.getElementById(id);
const desk = $$("desk");
const who = $$("who").querySelector(".two");
const notice = $$("notice");
const greeting = $$("greeting");
const greeted = greeting.querySelector(".two");
const launcher = $$("launcher");
const veil = $$("veil");
const timer = $$("timer");

export class Desk {
  #act;
  #view = null;
  #greetUntil = 0;
  #fadeEnds = null;
  #release;
  #glass = null;
  #noticeTimer = null;

  // act: press(button), open(application) -> promise of a URL or null, expired(), key() -> promise of what is to be
  // said, or null; it is there only where the seat's screen is a reader of keys.
  constructor(applications, act) {
    this.#act = act;
    $$("tiles").replaceChildren(...applications.map((application) => this.#tile(application)));
    $$("home").addEventListener("click", () => this.goHome());
    $$("lock").addEventListener("click", () => act.press("lock"));
    $$("yes").addEventListener("click", () => act.press("logout"));
    $$("cancel").addEventListener("click", () => this.#ask(false));
    // By pointer: two seconds. By keyboard: a question, which Escape answers with no.
    this.#release = hold($$("logout"), () => act.press("logout"));
    $$("logout").addEventListener("click", (event) => {
      if (event.detail === 0) this.#ask(true);
      else this.#notice("screen.hold", "neutral");
    });
    addEventListener("keydown", (event) => event.key === "Escape" && !$$("question").hidden && this.#ask(false));
    for (const id of ["confirm-key", "enrol-key"]) $$(id).addEventListener("click", () => this.#useKey($$(id)));
    setInterval(() => this.#tick(), 100);
  }

  // Show the desk of this view's owner; another owner's things are gone before anything is shown.
  show(view) {
    const fresh = this.#view?.turn !== view.turn;
    const before = fresh ? null : this.#view;
    if (fresh) this.#begin(view);
    this.#view = view;
    // Once glass was broken for a turn, the frame stays for as long as the turn lasts.
    if (view.break_glass) this.#glass = view.turn;
    document.documentElement.dataset.glass = this.#glass === view.turn ? "on" : "off";
    $$("enrol-key").hidden = !this.#act.key || !view.lent;
    this.#veil(view);
    this.#say(view, before);
    desk.hidden = desk.inert = false;
    this.#tick();
    return fresh;
  }

  focus() {
    if (launcher.hidden) stage.focus();
    else $$("tiles").querySelector("button")?.focus();
  }

  // Nobody's any more: names, notices and applications leave the document.
  clear() {
    this.#view = null;
    this.#fadeEnds = null;
    this.#glass = null;
    document.documentElement.dataset.glass = "off";
    this.#release();
    desk.hidden = desk.inert = true;
    veil.hidden = true;
    for (const place of [who, notice, greeted, veil]) put(place, "");
    $$("kana").textContent = "";
    document.activeElement?.blur();
    stage.clear();
  }

  goHome() {
    stage.show(null);
    launcher.hidden = false;
    $$("home").hidden = true;
    this.focus();
  }

  #begin(view) {
    this.clear();
    this.#ask(false, false);
    launcher.hidden = false;
    $$("home").hidden = true;
    this.#greetUntil = performance.now() + GREET_MS - view.age_ms;
    if (view.message !== "start" && view.message !== "moved_here") this.#greetUntil = 0;
  }

  // Once each: a line that was lost and found again, or a reader that came back, brings no old news.
  #say(view, before) {
    if (before === null) $$("kana").textContent = view.person?.kana ?? "";
    const told = before !== null && before.message === view.message && before.hint === view.hint;
    if (told && before.reader === view.reader) return;
    const lasting = look(view.message).tone === "trouble";
    const over = NO_NOTICE.has(view.message) || (!lasting && (told || view.age_ms >= NOTICE_MS));
    const said = !view.reader ? "reader_lost" : over ? null : view.message;
    this.#notice(said && (view.hint ? `hint.${view.hint}` : `message.${said}`), said ? look(said).tone : "");
  }

  // Lasting trouble stays; everything else is said for a while.
  #notice(id, tone) {
    clearTimeout(this.#noticeTimer);
    say(notice, id);
    notice.dataset.tone = tone;
    if (tone !== "trouble") this.#noticeTimer = setTimeout(() => say(notice, null), NOTICE_MS);
  }

  #veil(view) {
    const fading = view.state === "fading";
    const asking = view.state === "stepping_up";
    veil.hidden = !fading && !asking && view.prompt === null;
    $$("stage").inert = $$("procedure").inert = $$("review").inert = launcher.inert = asking;
    this.#fadeEnds = fading && view.left_ms !== null ? performance.now() + view.left_ms : null;
    timer.hidden = this.#fadeEnds === null;
    $$("confirm-key").hidden = !this.#act.key || !asking;
    if (veil.hidden) return;
    veil.dataset.kind = fading ? "fading" : "confirm";
    const kind = view.prompt?.again ? "pin_wrong" : fading ? "fading" : view.prompt ? "pin" : "confirm";
    veil.dataset.tone = look(kind).tone;
    veil.style.setProperty("--left", `${view.left_ms ?? 0}ms`);
    for (const part of [timer.querySelector("i"), veil]) restart(part);
    draw(veil.querySelector("svg"), look(kind).shape);
    const another = view.message === "another_finger";
    const what = view.confirms ? `screen.confirm_${view.confirms}` : null;
    const asked = what ?? (another ? "message.another_finger" : "message.confirm");
    say(veil.querySelector(".headline"), fading ? "message.fading" : asked, view.person ?? {});
    const more = what ? "message.another_finger" : null;
    const touch = fading ? "screen.keep" : another ? more : "screen.touch_again";
    say(veil.querySelector(".detail"), view.prompt ? promptOf(view.prompt) : touch);
  }

  #tick() {
    const view = this.#view;
    if (view === null) return;
    this.#name(view, performance.now() < this.#greetUntil);
    if (this.#fadeEnds === null) return;
    const left = this.#fadeEnds - performance.now();
    timer.querySelector(".left").textContent = String(Math.max(0, Math.ceil(left / 1000)));
    if (left <= 0) this.#act.expired();
  }

  // The name for two seconds, then the section.
  #name(view, greet) {
    greeting.dataset.greets = greet ? "yes" : "no";
    const person = view.person ?? NOBODY;
    for (const [place, sentence] of [[who, "screen.name"], [greeted, "message.start"]]) {
      if (greet) say(place, sentence, person);
      else put(place, person.section);
    }
  }

  async #useKey(button) {
    button.disabled = true;
    const turn = this.#view?.turn;
    this.#notice("hint.touch_the_key", "calm");
    const id = await this.#act.key().finally(() => (button.disabled = false));
    if (this.#view !== null && this.#view.turn === turn) this.#notice(id, "retry");
  }

  #tile(application) {
    const tile = document.createElement("button");
    tile.type = "button";
    tile.append(document.getElementById("tile").content.cloneNode(true));
    put(tile, application.name);
    tile.addEventListener("click", () => this.#open(application, tile));
    const item = document.createElement("li");
    item.append(tile);
    return item;
  }

  async #open(application, tile) {
    const turn = this.#view?.turn;
    if (!stage.has(application.id)) {
      tile.disabled = true;
      const url = await this.#act.open(application.id).finally(() => (tile.disabled = false));
      if (this.#view === null || this.#view.turn !== turn) return;
      if (url === null) return this.#notice("screen.cannot_open", "stop");
      stage.add(application.id, url, application.name[document.documentElement.lang]);
    }
    stage.show(application.id);
    launcher.hidden = true;
    $$("home").hidden = false;
  }

  #ask(asking, focus = true) {
    $$("question").hidden = !asking;
    $$("buttons").hidden = asking;
    if (focus) $$(asking ? "cancel" : "logout").focus();
  }
}

function restart(element) {
  for (const animation of element.getAnimations()) {
    animation.cancel();
    animation.play();
  }
}
