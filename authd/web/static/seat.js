// The seat's page: hears faces, shows them, and says what was pressed. It can lock; only the core's word unlocks.

import { Activity } from "./activity.js";
import { coverAlone, coverWith, isCovered, uncover } from "./cover.js";
import { Desk } from "./desk.js";
import { Keys } from "./keys.js";
import { Link } from "./link.js";
import { Procedures } from "./procedure.js";
import { Prompt } from "./prompt.js";
import { Reviews } from "./review.js";
import { word } from "./say.js";
import { Ways } from "./ways.js";

const page = document.documentElement;
const seat = document.body.dataset.seat;
const OPEN = new Set(["active", "fading", "stepping_up"]);
const FREE = new Set(["locked", "out_of_service"]);
let view = null;
// A turn whose end was asked for here: it stays covered, whatever is still said of it.
let given = null;

function cover(message, seen) {
  coverWith(message, seen);
  desk.clear();
  procedures.clear();
  reviews.clear();
}

function face(seen) {
  if (view?.turn !== seen.turn) keys.stop();
  view = seen;
  activity.forgetPointer();
  const open = OPEN.has(seen.state) && !seen.covered && seen.turn !== null;
  ways.face(FREE.has(seen.state));
  if (!open) {
    given = null;
    cover(seen.message, seen);
    return prompt.show(seen.prompt);
  }
  if (seen.turn === given) return prompt.show(null);
  given = null;
  const fresh = desk.show(seen);
  if (fresh) procedures.begin(), reviews.begin();
  uncover();
  const back = prompt.shown;
  prompt.show(seen.prompt, true);
  if (!prompt.shown && (fresh || back)) desk.focus();
}

async function post(verb, body) {
  const answer = await fetch(`/seat/${seat}/${verb}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ page: link.page, turn: view?.turn ?? null, ...body }),
  }).catch(() => null);
  return answer?.ok ? answer : null;
}

// Covered first, told afterwards; if it could not be told, the core is asked how things are.
async function press(button) {
  if (isCovered()) return;
  const told = post("press", { button });
  given = view.turn;
  prompt.show(null);
  cover(button === "logout" ? "logged_out" : "locked", null);
  if ((await told) === null && given !== null) {
    given = null;
    link.open();
  }
}

async function open(application) {
  const answer = await post("open", { application });
  return answer === null ? null : (await answer.json()).url;
}

function stale() {
  keys.stop();
  prompt.show(null);
  ways.face(false);
  coverAlone("disconnected");
}

function lost() {
  view = null;
  desk.clear();
  procedures.clear();
  reviews.clear();
}

function choose(language) {
  page.lang = language;
  document.title = word("screen.title", language);
  try {
    localStorage.setItem("language", language);
  } catch {
    // A browser that keeps nothing begins in Japanese each time.
  }
}

function chosen() {
  try {
    return localStorage.getItem("language");
  } catch {
    return null;
  }
}

const applications = JSON.parse(document.getElementById("applications").content.textContent);
const activity = new Activity(() => isCovered() || post("activity", {}));
const offered = new Set(document.body.dataset.ways.split(" "));
const keys = new Keys(post);
const key = offered.has("webauthn") ? () => keys.start() : null;
const desk = new Desk(applications, { press, open, expired: () => coverWith("locked"), key });
const procedures = new Procedures(post, () => desk.focus());
const reviews = new Reviews(post, () => desk.focus());
const prompt = new Prompt(async (ask, typed) => (await post("answer", { ask, typed })) !== null);
const ways = new Ways(offered, keys, post);
const link = new Link(seat, { face, stale, lost });

for (const button of document.querySelectorAll(".language")) {
  button.addEventListener("click", () => choose(page.lang === "ja" ? "en" : "ja"));
}
addEventListener("keydown", (event) => {
  if (!event.ctrlKey || !event.altKey || event.repeat || isCovered()) return;
  if (event.code === "KeyL") press("lock");
  else if (event.code === "KeyH") desk.goHome();
  else if (event.code === "KeyP") desk.goHome(), procedures.focus();
  else return;
  event.preventDefault();
});
if (!new URLSearchParams(location.search).has("lang") && chosen() === "en") choose("en");
link.open();
