// Plays the devices. One letter a button while the strip has the focus; Tab and Enter always work.

const known = JSON.parse(document.getElementById("known").textContent);
const KEYS = ["qwertyuiop[", "asdfghjkl;'", "zxcvbnm,"];
const SCREEN = { width: 1024, height: 700 };
const $ = (id) => document.getElementById(id);

const person = () => document.querySelector("#people :checked")?.value ?? "";
const finger = () => $("finger").value;
const hand = () => `${person()} ${finger()}`;

// What each button says, its device, what it sends; `on` is whether it is pressed in, by the device's own state (`calm`:
// which is nothing to be red about); `only`: for these seats.
const BUTTONS = [
  { ja: "指を置く", en: "Touch", main: true, device: "vein", say: () => `TOUCH ${hand()}` },
  { ja: "長く置く", en: "Hold 2 s: log out", device: "vein", say: () => `TOUCH ${hand()} hold` },
  { ja: "ぬれた指", en: "Wet finger", device: "vein", say: () => `WET ${hand()}` },
  { ja: "知らない人の指", en: "A stranger's finger", device: "vein", say: () => "WRONG" },
  { ja: "席を離れる", en: "Walk away", back: ["席に戻る", "Come back"], device: "presence", say: (on) => (on ? "COME" : "LEAVE"), on: (vein, sensor) => sensor && !sensor.present },
  { ja: "読取装置を抜く", en: "Unplug reader", back: ["読取装置を挿す", "Plug in"], device: "vein", say: (on) => (on ? "PLUG" : "UNPLUG"), on: (vein) => vein && !vein.plugged },
  { ja: "固まらせる", en: "Hang reader", back: ["元に戻す", "Recover"], device: "vein", say: (on) => (on ? "RESUME" : "HANG"), on: (vein) => vein?.trouble === "hang" },
  { ja: "でたらめな応答", en: "Garbage", back: ["元に戻す", "Recover"], device: "vein", say: (on) => (on ? "RESUME" : "GARBAGE"), on: (vein) => vein?.trouble.startsWith("garbage") },
  { ja: "鍵を挿す", en: "Plug key in", back: ["鍵を抜く", "Pull key out"], device: "key", say: (on) => (on ? "REMOVE" : "INSERT"), on: (vein, sensor, key) => key?.inserted, calm: true },
  { ja: "鍵に触れる", en: "Touch the key", device: "key", say: (on, seat) => seat.act },
  { ja: "鍵に違う指", en: "Wrong finger", device: "key", say: () => "WRONG", only: (seat) => !seat.pin },
  { ja: "鍵を固まらせる", en: "Hang key", back: ["元に戻す", "Recover"], device: "key", say: (on) => (on ? "RESUME" : "HANG"), on: (vein, sensor, key) => key?.trouble === "hangs" },
];

// The same of further readers, by what is enrolled at them; `say` is the command.
const FURTHER = {
  card: [
    { ja: "カードを挿す", en: "Put in", say: () => "INSERT piv" },
    { ja: "カードを抜く", en: "Pull card out", say: () => "REMOVE" },
    { ja: "番号だけのカード", en: "Number-only card", say: () => "INSERT uid" },
  ],
  fingerprint: [
    { ja: "指紋に指を置く", en: "Sensor", say: () => `TOUCH ${hand()}` },
    { ja: "知らない指紋", en: "A stranger's finger", say: () => "WRONG" },
    { ja: "指紋装置を抜く", en: "Unplug sensor", say: () => "UNPLUG" },
    { ja: "指紋装置を挿す", en: "Plug sensor in", say: () => "PLUG" },
  ],
};
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
  const lamp = {};
  for (const kind of ["key", "vein", "presence"]) {
    lamp[kind] = element("span", { className: "lamp" });
    if (seat[kind]) lamps.append(lamp[kind]);
  }
  const keys = element("div", { className: "keys" });
  const bench = { seat, lamp, buttons: [] };
  BUTTONS.forEach((button, column) => {
    const device = seat[button.device];
    if (!device || (button.only && !button.only(seat))) return;
    const made = element("button", { type: "button", className: button.main ? "main" : button.calm ? "calm" : "" });
    const press = () => send(`${device} ${button.say(made.getAttribute(pressed(button)) === "true", seat)}`);
    made.addEventListener("click", press);
    const key = KEYS[row]?.[column];
    if (key) byKey.set(key, press);
    label(made, button.ja, button.en, key);
    bench.buttons.push({ button, made, key });
    keys.append(made);
  });
  for (const device of seat.further) showFurther(device, keys);
  benches.push(bench);
  $("benches").append(element("div", { className: "bench" }, lamps, keys));
}

function showFurther({ id, means, owner, pin }, keys) {
  FURTHER[means].forEach((button, column) => {
    const made = element("button", { type: "button" });
    made.addEventListener("click", () => send(`${id} ${button.say()}`));
    label(made, button.ja, column ? button.en : `${owner}${pin && ` PIN ${pin}`}`);
    keys.append(made);
  });
}

function label(made, ja, en, key) {
  made.replaceChildren(element("span", { textContent: ja }), english(en));
  if (key) made.append(element("kbd", { textContent: key.toUpperCase(), ariaHidden: "true" }));
  if (key) made.setAttribute("aria-keyshortcuts", key);
}

let asked = 0, shown = 0;
async function look() {
  const turn = ++asked;
  try {
    const state = await (await fetch("/state")).json();
    if (turn < shown) return;  // an older answer that comes later
    shown = turn;
    for (const bench of benches) reflect(bench, state[bench.seat.vein], state[bench.seat.presence], state[bench.seat.key]);
  } catch {
    for (const bench of benches) for (const lamp of Object.values(bench.lamp)) shine(lamp, "bad", "模擬装置なし", "no bench");
  }
}

function reflect({ seat, lamp, buttons }, vein, sensor, key) {
  if (vein) shine(lamp.vein, ...veinLamp(vein));
  if (sensor) shine(lamp.presence, ...(sensor.present ? ["on", "在席", "present"] : ["off", "離席", "away"]));
  if (key) shine(lamp.key, ...keyLamp(key, seat));
  for (const { button, made, key: letter } of buttons) {
    if (!button.on) continue;
    const on = Boolean(button.on(vein, sensor, key));
    if (made.getAttribute(pressed(button)) === String(on)) continue;
    made.setAttribute(pressed(button), String(on));
    label(made, ...(on ? button.back : [button.ja, button.en]), letter);
  }
}

function veinLamp(vein) {
  if (!vein.plugged) return ["bad", "抜けています", "unplugged"];
  if (vein.trouble !== "none") return ["bad", "不調", vein.trouble];
  if (vein.finger) return ["busy", "指あり", "finger down"];
  return vein.driver ? ["on", "接続中", "connected"] : ["off", "未接続", "no driver"];
}

// A key that is in is no trouble that could be recovered from.
const pressed = (button) => (button.calm ? "data-on" : "aria-pressed");

function keyLamp(key, seat) {
  const whose = seat.owner ? `${seat.owner}の鍵` : "鍵";
  const pin = seat.pin ? ` PIN ${seat.pin}` : "";
  if (!key.there) return ["bad", whose, "key: no answer"];
  if (key.trouble !== "none") return ["bad", whose, `key: ${key.trouble}`];
  if (!key.inserted) return ["off", whose + pin, "key: not in"];
  return key.asking ? ["busy", whose + pin, key.asking === "finger" ? "key: blinks for a finger" : "key: blinks"] : ["on", whose + pin, "key: in"];
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
