// Plays the devices. One letter a button while the strip has the focus; Tab and Enter always work.

const known = JSON.parse(document.getElementById("known").textContent);
const KEYS = ["qwertyui", "asdfghjk", "zxcvbnm,"];
const SCREEN = { width: 1024, height: 700 };
const $ = (id) => document.getElementById(id);

const person = () => document.querySelector("#people :checked")?.value ?? "";
const finger = () => $("finger").value;
const hand = () => `${person()} ${finger()}`;

// What each button says, sends and means; `on` is whether it is pressed in, by the device's own state.
const BUTTONS = [
  { ja: "指を置く", en: "Touch", main: true, vein: () => `TOUCH ${hand()}` },
  { ja: "長く置く", en: "Hold 2 s: log out", vein: () => `TOUCH ${hand()} hold` },
  { ja: "ぬれた指", en: "Wet finger", vein: () => `WET ${hand()}` },
  { ja: "知らない人の指", en: "A stranger's finger", vein: () => "WRONG" },
  { ja: "席を離れる", en: "Walk away", back: ["席に戻る", "Come back"], presence: (on) => (on ? "COME" : "LEAVE"), on: (vein, sensor) => sensor && !sensor.present },
  { ja: "読取装置を抜く", en: "Unplug reader", back: ["読取装置を挿す", "Plug in"], vein: (on) => (on ? "PLUG" : "UNPLUG"), on: (vein) => vein && !vein.plugged },
  { ja: "固まらせる", en: "Hang reader", back: ["元に戻す", "Recover"], vein: (on) => (on ? "RESUME" : "HANG"), on: (vein) => vein?.trouble === "hang" },
  { ja: "でたらめな応答", en: "Garbage", back: ["元に戻す", "Recover"], vein: (on) => (on ? "RESUME" : "GARBAGE"), on: (vein) => vein?.trouble.startsWith("garbage") },
];

const benches = [];
const byKey = new Map();

function element(tag, props = {}, ...children) {
  const made = Object.assign(document.createElement(tag), props);
  made.append(...children);
  return made;
}

const english = (text) => element("small", { lang: "en", textContent: text });

async function send(line) {
  try {
    const answer = await fetch("/command", { method: "POST", headers: { "content-type": "text/plain" }, body: line });
    const said = answer.ok ? (await answer.json()).answer : `error ${answer.status}`;
    if (said.startsWith("error")) complain(`できません ${said.replace(/^error /, "— ")}`);
  } catch {
    complain("模擬装置が応答しません The bench does not answer");
  }
  await look();
}

let quiet;
function complain(text) {
  $("said").textContent = text;
  $("said").classList.add("shown");
  clearTimeout(quiet);
  quiet = setTimeout(() => $("said").classList.remove("shown"), 3500);
}

function showScreen(seat) {
  const figure = $("screen").content.cloneNode(true).firstElementChild;
  figure.querySelector("figcaption").append(seat.name_ja, " ", english(seat.name_en));
  const frame = figure.querySelector("iframe");
  frame.title = `${seat.name_ja} ${seat.name_en}`;
  frame.src = seat.url;
  const view = figure.querySelector(".view");
  new ResizeObserver(() => fit(view, frame)).observe(view);
  $("screens").append(figure);
}

// A seat's screen is drawn for a real monitor and shown smaller.
function fit(view, frame) {
  const scale = Math.min(1, view.clientWidth / SCREEN.width, view.clientHeight / SCREEN.height);
  frame.style.width = `${view.clientWidth / scale}px`;
  frame.style.height = `${view.clientHeight / scale}px`;
  frame.style.transform = `scale(${scale})`;
}

function showPerson(each, index) {
  const radio = element("input", { type: "radio", name: "person", value: each.staff_number, checked: index === 2 });
  const key = (index + 1) % 10;
  const parts = [element("b", { textContent: each.name }), element("small", { textContent: `${each.section_name}${each.officer ? "・登録係" : ""}` })];
  const label = element("label", { title: each.kana }, radio);
  if (index < 10) {
    label.append(element("kbd", { textContent: String(key) }));
    byKey.set(String(key), () => { radio.checked = true; radio.focus(); });
  }
  label.append(...parts);
  $("people").append(label);
}

function showBench(seat, row) {
  const lamps = element("p", { className: "lamps" }, element("strong", {}, seat.name_ja, " ", english(seat.name_en)));
  const lamp = { vein: element("span", { className: "lamp" }), presence: element("span", { className: "lamp" }) };
  if (seat.vein) lamps.append(lamp.vein);
  if (seat.presence) lamps.append(lamp.presence);
  const keys = element("div", { className: "keys" });
  const bench = { seat, lamp, buttons: [] };
  BUTTONS.forEach((button, column) => {
    const device = button.vein ? seat.vein : seat.presence;
    if (!device) return;
    const made = element("button", { type: "button", className: button.main ? "main" : "" });
    const press = () => send(`${device} ${(button.vein ?? button.presence)(made.getAttribute("aria-pressed") === "true")}`);
    made.addEventListener("click", press);
    const key = KEYS[row]?.[column];
    if (key) byKey.set(key, press);
    label(made, button.ja, button.en, key);
    bench.buttons.push({ button, made, key });
    keys.append(made);
  });
  benches.push(bench);
  $("benches").append(element("div", { className: "bench" }, lamps, keys));
}

function label(made, ja, en, key) {
  made.replaceChildren(element("span", { textContent: ja }), english(en));
  if (key) made.append(element("kbd", { textContent: key.toUpperCase(), ariaHidden: "true" }));
  if (key) made.setAttribute("aria-keyshortcuts", key);
}

async function look() {
  try {
    const state = await (await fetch("/state")).json();
    for (const bench of benches) reflect(bench, state[bench.seat.vein], state[bench.seat.presence]);
  } catch {
    for (const bench of benches) for (const lamp of Object.values(bench.lamp)) shine(lamp, "bad", "模擬装置なし", "no bench");
  }
}

function reflect({ lamp, buttons }, vein, sensor) {
  if (vein) shine(lamp.vein, ...veinLamp(vein));
  if (sensor) shine(lamp.presence, ...(sensor.present ? ["on", "在席", "present"] : ["off", "離席", "away"]));
  for (const { button, made, key } of buttons) {
    if (!button.on) continue;
    const on = Boolean(button.on(vein, sensor));
    if (made.getAttribute("aria-pressed") === String(on)) continue;
    made.setAttribute("aria-pressed", String(on));
    label(made, ...(on ? button.back : [button.ja, button.en]), key);
  }
}

function veinLamp(vein) {
  if (!vein.plugged) return ["bad", "抜けています", "unplugged"];
  if (vein.trouble !== "none") return ["bad", "不調", vein.trouble];
  if (vein.finger) return ["busy", "指あり", "finger down"];
  return vein.driver ? ["on", "接続中", "connected"] : ["off", "未接続", "no driver"];
}

function shine(lamp, state, ja, en) {
  if (lamp.textContent === `${ja} ${en}` && lamp.dataset.state === state) return;
  lamp.dataset.state = state;
  lamp.replaceChildren(`${ja} `, english(en));
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.target.matches("select")) return;
  const act = byKey.get(event.key.toLowerCase());
  if (!act) return;
  event.preventDefault();
  act();
});

for (const each of known.fingers) $("finger").append(element("option", { value: each.id, textContent: `${each.ja} ${each.en}` }));
known.people.forEach(showPerson);
known.seats.forEach(showScreen);
known.seats.forEach(showBench);
await look();
setInterval(() => document.hidden || look(), 700);
