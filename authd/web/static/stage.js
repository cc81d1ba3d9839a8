// The applications of the open session, each in a frame that can neither leave its frame nor open a window.
// They are children of the turn that opened them: when it is over they are removed, not merely hidden.

const stage = document.getElementById("stage");
const frames = new Map();
// No top navigation, windows, dialogs, pointer lock or downloads: nothing that could lie above the cover.
const MAY = "allow-forms allow-scripts allow-same-origin";

export function clear() {
  for (const frame of frames.values()) frame.remove();
  frames.clear();
  stage.replaceChildren();
}

export function has(application) {
  return frames.has(application);
}

export function add(application, url, title) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", MAY);
  frame.setAttribute("allow", "");
  frame.referrerPolicy = "no-referrer";
  frame.title = title;
  frame.src = url;
  frame.addEventListener("load", () => frame.hidden || frame.focus(), { once: true });
  frames.set(application, frame);
  stage.append(frame);
  show(application);
}

export function show(application) {
  for (const [id, frame] of frames) frame.hidden = id !== application;
  frames.get(application)?.focus();
}

export function focus() {
  for (const frame of frames.values()) if (!frame.hidden) frame.focus();
}
