// A button that acts only when it is held for two seconds: with the pointer and, where it is asked for, with a key.

export const HOLD_MS = 2000;

// Returns what lets the button go.
export function hold(button, act, { keys = false } = {}) {
  let timer = null;
  const release = () => {
    clearTimeout(timer);
    button.classList.remove("held");
  };
  const begin = () => {
    release();
    button.classList.add("held");
    timer = setTimeout(() => {
      release();
      act();
    }, HOLD_MS);
  };
  button.classList.add("hold");
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    begin();
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
    button.addEventListener(name, release);
  }
  if (keys) {
    const meant = (event) => event.key === "Enter" || event.key === " ";
    button.addEventListener("keydown", (event) => {
      if (!meant(event)) return;
      event.preventDefault();
      if (!event.repeat) begin();
    });
    button.addEventListener("keyup", (event) => {
      if (!meant(event)) return;
      event.preventDefault();
      release();
    });
  }
  return release;
}
