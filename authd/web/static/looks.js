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
