// The seat's page: hears faces, shows them, and says what was pressed. It can lock; only the core's word unlocks.

import { Activity } from "./activity.js";
import { coverAlone, coverWith, isCovered, uncover } from "./cover.js";
import { Desk } from "./desk.js";
import { Link } from "./link.js";
import { word } from "./say.js";

const page = document.documentElement;
const seat = document.body.dataset.seat;
const OPEN = new Set(["active", "fading", "stepping_up"]);
let view = null;
// A turn whose end was asked for here: it stays covered, whatever is still said of it.
let given = null;

function cover(message, seen) {
  coverWith(message, seen);
  desk.clear();
}

function face(seen) {
  view = seen;
  activity.forgetPointer();
  const open = OPEN.has(seen.state) && !seen.covered && seen.turn !== null;
  if (!open) {
    given = null;
    return cover(seen.message, seen);
  }
  if (seen.turn === given) return;
  given = null;
  const fresh = desk.show(seen);
  uncover();
  if (fresh) desk.focus();
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
  coverAlone("disconnected");
}

function lost() {
  view = null;
  desk.clear();
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
const desk = new Desk(applications, { press, open, expired: () => coverWith("locked") });
const activity = new Activity(() => isCovered() || post("activity", {}));
const link = new Link(seat, { face, stale, lost });

for (const button of document.querySelectorAll(".language")) {
  button.addEventListener("click", () => choose(page.lang === "ja" ? "en" : "ja"));
}
addEventListener("keydown", (event) => {
  if (!event.ctrlKey || !event.altKey || event.repeat || isCovered()) return;
  if (event.code === "KeyL") press("lock");
  else if (event.code === "KeyH") desk.goHome();
  else return;
  event.preventDefault();
});
if (!new URLSearchParams(location.search).has("lang") && chosen() === "en") choose("en");
link.open();
