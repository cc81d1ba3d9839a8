// A procedure: one step at a time, by keyboard alone. Nothing is ever chosen beforehand, and Enter alone answers nothing.

import { put, say } from "./say.js";

const $$ = (id) => document.getElementById(id);
const page = document.documentElement;
const panel = $$("procedure");
const form = $$("procedure-step");
const set = form.querySelector("fieldset");
const submit = form.querySelector("[type=submit]");
const answers = $$("procedure-answers");
const parts = { step: form, sure: $$("procedure-sure"), result: $$("procedure-result") };
const LOOKS = { passed: ["start", "good"], refused: ["refused", "stop"] };

export class Procedures {
  #post;
  #home;
  #run = null;
  #turn = 0;
  #early = null;

  // post(verb, body) -> promise of an answer or null; home(): back to what the person was doing.
  constructor(post, home) {
    this.#post = post;
    this.#home = home;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#answer();
    });
    panel.addEventListener("keydown", (event) => this.#key(event));
    $$("procedure-drop").addEventListener("click", () => this.#turnTo("sure"));
    $$("procedure-go-on").addEventListener("click", () => this.#turnTo("step"));
    $$("procedure-yes").addEventListener("click", () => this.#drop());
    $$("procedure-close").addEventListener("click", () => this.#close(true));
  }

  // A new turn: what it may run, and what it was running when this page was loaded anew.
  async begin() {
    this.clear();
    const turn = this.#turn;
    const told = await this.#ask("procedures", {});
    if (told === null || turn !== this.#turn) return;
    $$("procedures").replaceChildren(...told.procedures.map((each) => this.#tile(each)));
    if (told.run?.step) this.#show(told.run);
  }

  clear() {
    this.#turn += 1;
    this.#close();
    $$("procedures").replaceChildren();
  }

  focus() {
    $$("procedures").querySelector("button")?.focus();
  }

  #tile({ id, name }) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(two());
    put(button, name);
    button.addEventListener("click", () => this.#start(id, button));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  async #start(procedure, button) {
    button.disabled = true;
    const told = await this.#ask("procedure-start", { procedure });
    button.disabled = false;
    if (told !== null) this.#show(told.run);
  }

  async #answer() {
    const chosen = new FormData(form).get("answer");
    if (chosen === null) return say($$("procedure-said"), "screen.procedure_choose");
    if (submit.disabled) return;
    const { id, step } = this.#run;
    set.disabled = submit.disabled = true;
    const told = await this.#ask("procedure-answer", { run: id, step: step.id, choice: chosen });
    if (this.#run?.id !== id) return;
    if (told !== null) return this.#show(told.run);
    set.disabled = submit.disabled = false;
    say($$("procedure-said"), "screen.not_sent");
    answers.querySelector("input:checked")?.focus();
  }

  async #drop() {
    const told = await this.#ask("procedure-drop", { run: this.#run.id });
    if (told !== null) return this.#close(true);
    this.#turnTo("step");
    say($$("procedure-said"), "screen.not_sent");
  }

  #show(run) {
    this.#run = run;
    panel.hidden = false;
    page.dataset.procedure = "on";
    put($$("procedure-name"), run.name);
    const at = run.step ? run.done + 1 : run.done;
    $$("procedure-count").textContent = `${at} / ${run.steps}`;
    if (run.step) this.#step(run.step);
    else if (run.result in LOOKS) this.#result(run);
    else this.#close(true);
  }

  #step(step) {
    put(set.querySelector("legend"), step.words);
    say($$("procedure-said"), null);
    answers.replaceChildren(...Object.entries(step.answers).map(([id, words], at) => choice(id, words, at + 1)));
    set.disabled = false;
    panel.dataset.tone = "neutral";
    this.#wait(step.least_ms);
    this.#turnTo("step");
  }

  #wait(span) {
    clearTimeout(this.#early);
    submit.disabled = span > 0;
    if (span === 0) return;
    say($$("procedure-said"), "screen.procedure_wait");
    this.#early = setTimeout(() => {
      submit.disabled = false;
      say($$("procedure-said"), null);
    }, span);
  }

  #result(run) {
    const [shape, tone] = LOOKS[run.result];
    panel.dataset.tone = tone;
    parts.result.querySelector("use").setAttribute("href", `#shape-${shape}`);
    say(parts.result.querySelector(".headline"), `screen.procedure_${run.result}`);
    put(parts.result.querySelector("blockquote"), run.refusal ?? "");
    this.#turnTo("result");
  }

  #turnTo(part) {
    for (const [name, element] of Object.entries(parts)) element.hidden = name !== part;
    const first = part === "step" ? (answers.querySelector("input:checked") ?? answers.querySelector("input")) : null;
    (first ?? parts[part].querySelector("button")).focus();
  }

  // 1 to 9 choose, Enter answers, Escape asks whether to give up; a key that is held does nothing more.
  #key(event) {
    if (event.repeat && event.key === "Enter") return event.preventDefault();
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") return this.#escape();
    const asked = form.hidden ? null : answers.querySelectorAll("input")[Number(event.key) - 1];
    if (!asked || set.disabled) return;
    event.preventDefault();
    asked.checked = true;
    asked.focus();
    if (!submit.disabled) say($$("procedure-said"), null);
  }

  #escape() {
    if (!parts.result.hidden) return this.#close(true);
    this.#turnTo(form.hidden ? "step" : "sure");
  }

  #close(back = false) {
    clearTimeout(this.#early);
    this.#run = null;
    panel.hidden = true;
    page.dataset.procedure = "off";
    answers.replaceChildren();
    for (const place of [$$("procedure-name"), $$("procedure-said"), set.querySelector("legend")]) put(place, "");
    for (const place of parts.result.querySelectorAll(".headline, blockquote")) put(place, "");
    if (back) this.#home();
  }

  async #ask(verb, body) {
    const answer = await this.#post(verb, body);
    return answer === null ? null : answer.json();
  }
}

function choice(id, words, digit) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  Object.assign(input, { type: "radio", name: "answer", value: id });
  const key = document.createElement("kbd");
  key.textContent = String(digit);
  label.append(input, key, two());
  put(label, words);
  const item = document.createElement("li");
  item.append(label);
  return item;
}

function two() {
  const pair = document.createElement("span");
  pair.className = "two";
  for (const language of ["ja", "en"]) {
    const line = document.createElement("span");
    line.lang = language;
    pair.append(line);
  }
  return pair;
}
