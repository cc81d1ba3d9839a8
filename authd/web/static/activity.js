// Tells the core that the person at this seat moves. Only what the browser itself vouches for counts: no application is
// asked. Work inside an application's frame is seen by `navigator.userActivation`, which a click or a key there sets in
// this page too, for up to 5 s; the pointer's mere movement is seen only outside the frames and on the veil.

const REPORT_EVERY_MS = 1000;
const WORK_EVERY_MS = 5000;
const LOOK_EVERY_MS = 250;

export class Activity {
  #report;
  #reported = -Infinity;
  #worked = -Infinity;
  #working = false;
  #pointer = null;

  constructor(report) {
    this.#report = report;
    const options = { capture: true, passive: true };
    for (const name of ["pointerdown", "wheel", "keydown"]) {
      addEventListener(name, (event) => event.isTrusted && !event.repeat && this.#stir(), options);
    }
    addEventListener("pointermove", (event) => event.isTrusted && this.#moved(event), options);
    setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  // What lies under the pointer has changed: browsers then invent a movement, which is nobody's.
  forgetPointer() {
    this.#pointer = null;
  }

  #moved({ screenX, screenY }) {
    const before = this.#pointer;
    this.#pointer = { screenX, screenY };
    if (before && (before.screenX !== screenX || before.screenY !== screenY)) this.#stir();
  }

  #look() {
    const working = navigator.userActivation?.isActive ?? false;
    const now = performance.now();
    if (working && (!this.#working || now - this.#worked >= WORK_EVERY_MS)) {
      this.#worked = now;
      this.#stir();
    }
    this.#working = working;
  }

  #stir() {
    const now = performance.now();
    if (now - this.#reported < REPORT_EVERY_MS) return;
    this.#reported = now;
    this.#report();
  }
}
