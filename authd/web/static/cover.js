// The cover: what the screen shows while it is nobody's. It is there before any script; scripts only take it away.

import { draw, look, promptOf } from "./looks.js";
import { say } from "./say.js";

const page = document.documentElement;
const cover = document.getElementById("cover");
const shape = document.getElementById("shape");
const headline = cover.querySelector(".headline");
const detail = cover.querySelector(".detail");
const countdown = cover.querySelector(".countdown");
const ASKS_FOR_A_FINGER = new Set(["locked", "logged_out", "moved_away", "kept", "once_more", "removed"]);
// Somebody is waited for, or has to wait.
const COUNTED = new Set(["wait", "another_factor", "colleague", "vouched", "break_glass", "second_person"]);
let endsAt = null;

export function isCovered() {
  return page.dataset.cover !== "off";
}

export function uncover() {
  endsAt = null;
  page.dataset.cover = "off";
}

export function coverWith(message, view = null) {
  page.dataset.cover = "on";
  const prompt = view?.prompt ?? null;
  const { shape: form, tone } = look(prompt === null ? message : prompt.again ? "pin_wrong" : "pin");
  paint(form, tone);
  say(headline, prompt === null ? `message.${message}` : promptOf({ id: prompt.id }));
  say(detail, below(message, view));
  endsAt = COUNTED.has(message) && prompt === null && view?.left_ms != null ? performance.now() + view.left_ms : null;
  count();
}

// For what no message of the core can say: the core cannot be heard.
export function coverAlone(sentence) {
  page.dataset.cover = "on";
  paint("starting", "neutral");
  say(headline, `screen.${sentence}`);
  say(detail, null);
  endsAt = null;
  count();
}

function paint(form, tone) {
  draw(shape, form);
  page.dataset.look = form;
  page.dataset.tone = tone;
}

function below(message, view) {
  if (view?.prompt?.again) return "hint.pin_wrong";
  if (view?.hint) return `hint.${view.hint}`;
  if (view?.named) return "screen.named";
  if (view && !view.reader) return "screen.other_seat";
  return ASKS_FOR_A_FINGER.has(message) ? "screen.touch_to_start" : null;
}

function count() {
  countdown.hidden = endsAt === null;
  if (endsAt === null) return;
  countdown.querySelector(".left").textContent = String(Math.max(0, Math.ceil((endsAt - performance.now()) / 1000)));
}

setInterval(count, 250);
