// How each sentence looks: a shape and a tone, so that colour is never the only sign.

const LOOKS = {
  waiting: ["waiting", "calm"],
  reading: ["reading", "calm"],
  start: ["start", "good"],
  once_more: ["again", "retry"],
  another_finger: ["other", "other"],
  other_way: ["other", "other"],
  confirm: ["confirm", "neutral"],
  fading: ["fading", "retry"],
  kept: ["start", "good"],
  locked: ["locked", "neutral"],
  moved_here: ["moved", "good"],
  moved_away: ["moved", "neutral"],
  refused: ["refused", "stop"],
  refused_hours: ["hours", "stop"],
  refused_factors: ["other", "other"],
  wait: ["wait", "retry"],
  reader_lost: ["reader", "trouble"],
  ledger_down: ["trouble", "trouble"],
  fault: ["trouble", "trouble"],
  logged_out: ["out", "neutral"],
  unattended: ["trouble", "trouble"],
  another_factor: ["factor", "other"],
  key_unknown: ["key-unknown", "other"],
  key_refused: ["key-refused", "stop"],
  key_blocked: ["key-blocked", "stop"],
  card_alone: ["card", "other"],
  pin: ["pin", "calm"],
  pin_wrong: ["pin-wrong", "retry"],
  removed: ["removed", "neutral"],
  colleague: ["colleague", "calm"],
  vouched: ["vouched", "good"],
  second_person: ["second", "alarm"],
  break_glass: ["glass", "alarm"],
};

export function look(message) {
  const [shape, tone] = LOOKS[message] ?? LOOKS.locked;
  return { shape, tone };
}

export function draw(svg, shape) {
  const use = svg.querySelector("use");
  const href = `#shape-${shape}`;
  if (use.getAttribute("href") !== href) use.setAttribute("href", href);
}

// What a prompt says: what is wanted, or that the last one was wrong.
export function promptOf({ id, again }) {
  if (again) return "hint.pin_wrong";
  return id === "new_pin" ? "screen.new_pin" : "message.pin";
}
