// Reviews: months to look at, by keyboard, signed with a touch. Only a supervisor sees that there are any.

import { put, say } from "./say.js";

const LOOK_EVERY_MS = 5_000;
const COLUMNS = ["when", "what", "seat", "person", "count", "detail"];
const $$ = (id) => document.getElementById(id);
const panel = $$("review");
const list = $$("review-list");
const month = $$("review-month");
const sign = $$("review-sign");
const body = month.querySelector("tbody");

export class Reviews {
  #post;
  #home;
  #turn = 0;
  #look = null;
  #shown = null;

  // post(verb, body) -> promise of an answer or null; home(): back to what the person was doing.
  constructor(post, home) {
    this.#post = post;
    this.#home = home;
    for (const [id, words] of [["review-title", "title"], ["review-keys", "keys"], ["review-sign", "sign"], ["review-back", "back"]]) {
      say($$(id), `review_page.${words}`);
    }
    say($$("review-alerts").querySelector("h3"), "review_page.alerts");
    month.querySelector("tr").replaceChildren(...COLUMNS.map((each) => cell("th", (place) => say(place, `review_page.${each}`))));
    panel.addEventListener("keydown", (event) => this.#key(event));
    sign.addEventListener("click", () => this.#sign());
    $$("review-back").addEventListener("click", () => this.#open());
  }

  // A new turn: whether its owner supervises anybody, now and again.
  async begin() {
    this.clear();
    await this.#alerts(this.#turn);
  }

  clear() {
    this.#turn += 1;
    clearTimeout(this.#look);
    this.#close();
    $$("reviews").replaceChildren();
    $$("review-alerts").querySelector("ul").replaceChildren();
  }

  get shown() {
    return !panel.hidden;
  }

  async #alerts(turn) {
    const told = await this.#ask("review-alerts", {});
    if (turn !== this.#turn) return;
    if (told !== null) this.#tell(told);
    if (told?.supervisor === false) return;
    this.#look = setTimeout(() => this.#alerts(turn), LOOK_EVERY_MS);
  }

  #tell({ supervisor, alerts }) {
    const place = $$("review-alerts");
    place.hidden = alerts.length === 0;
    place.querySelector("ul").replaceChildren(...alerts.map((each) => line("li", `${each.seat}  ${each.name} → ${each.place}  ${time(each.seen)}`)));
    if (!supervisor) return $$("reviews").replaceChildren();
    const button = $$("reviews").querySelector("button") ?? $$("reviews").appendChild(this.#tile());
    button.dataset.tone = alerts.length ? "alarm" : "neutral";
    say(button, alerts.length ? "review_page.alerts" : "review_page.title");
  }

  #tile() {
    const button = document.createElement("button");
    button.type = "button";
    button.append(two());
    button.addEventListener("click", () => this.#open());
    return button;
  }

  async #open() {
    const turn = this.#turn;
    const told = await this.#ask("reviews", {});
    if (turn !== this.#turn) return;
    this.#shown = null;
    panel.hidden = list.hidden = false;
    month.hidden = true;
    put($$("review-said"), "");
    if (told === null) return say($$("review-said"), "review_page.unchanged");
    list.replaceChildren(...told.reviews.toReversed().map((each) => this.#month(each)));
    if (told.reviews.length === 0) say($$("review-said"), "review_page.nobody");
    (list.querySelector("button") ?? panel).focus();
  }

  #month(review) {
    const button = document.createElement("button");
    button.type = "button";
    const name = two();
    put(name, review.name);
    const state = two();
    state.classList.add("state");
    say(state, review.done ? "review.signed" : review.late ? "review.late" : "review.waiting");
    button.dataset.tone = review.done ? "good" : review.late ? "alarm" : "neutral";
    button.append(line("span", review.month), name, line("span", `${review.open} / ${review.items}`), state);
    button.addEventListener("click", () => this.#show(review));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  async #show({ section, month: of }) {
    const turn = this.#turn;
    const told = await this.#ask("review-items", { section, month: of });
    if (turn !== this.#turn) return;
    if (told === null) return say($$("review-said"), "review_page.unchanged");
    this.#shown = told.review;
    list.hidden = true;
    month.hidden = false;
    body.replaceChildren(...told.items.map(row), ...told.ended.map(ended));
    sign.hidden = !told.review.may_sign;
    sign.disabled = false;
    put($$("review-said"), told.review.done ? told.review.signed.join("  ") : "");
    (body.querySelector("tr") ?? sign).focus();
  }

  async #sign() {
    const { section, month: of, digest } = this.#shown;
    const turn = this.#turn;
    sign.disabled = true;
    say($$("review-said"), "review_page.signing");
    const told = await this.#ask("review-sign", { section, month: of, digest });
    if (turn !== this.#turn) return;
    if (told === null) {
      sign.disabled = false;
      return say($$("review-said"), "review_page.not_signed");
    }
    await this.#open();
    say($$("review-said"), told.review.done ? "review.done" : "review_page.mine");
  }

  // Up and down choose, Enter opens, Escape goes back; S goes to the signature.
  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") return this.#shown === null ? this.#close(true) : this.#open();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "s" && !month.hidden && !sign.hidden) sign.focus();
    if (!step) return;
    event.preventDefault();
    const all = [...panel.querySelectorAll(month.hidden ? "#review-list button" : "tbody tr, .row button")].filter((each) => !each.hidden);
    const at = all.indexOf(document.activeElement);
    all[Math.min(Math.max(at + step, 0), all.length - 1)]?.focus();
  }

  #close(back = false) {
    this.#shown = null;
    panel.hidden = true;
    list.replaceChildren();
    body.replaceChildren();
    put($$("review-said"), "");
    if (back) this.#home();
  }

  async #ask(verb, said) {
    const answer = await this.#post(verb, said);
    return answer === null ? null : answer.json();
  }
}

function row(item) {
  const made = document.createElement("tr");
  made.tabIndex = -1;
  made.dataset.open = item.open ? "yes" : "no";
  made.append(
    line("td", time(item.at)),
    cell("td", (place) => put(place, item.what)),
    line("td", item.seat),
    line("td", item.name),
    number(item.count),
    cell("td", (place) => put(place, item.detail)),
  );
  return made;
}

function ended({ seat, name, detail }) {
  const made = document.createElement("tr");
  made.tabIndex = -1;
  made.append(line("td", ""), cell("td", (place) => say(place, "review.ended")), line("td", seat), line("td", name), number(""), cell("td", (place) => put(place, detail)));
  return made;
}

function number(count) {
  const made = line("td", String(count));
  made.className = "number";
  return made;
}

function cell(tag, write) {
  const made = document.createElement(tag);
  made.append(two());
  write(made);
  return made;
}

function line(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function two() {
  const pair = document.createElement("span");
  pair.className = "two";
  for (const language of ["ja", "en"]) {
    const each = document.createElement("span");
    each.lang = language;
    pair.append(each);
  }
  return pair;
}

function time(at) {
  const moment = new Date(at);
  const two = (value) => String(value).padStart(2, "0");
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${two(moment.getHours())}:${two(moment.getMinutes())}`;
}
