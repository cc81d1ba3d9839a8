// The stream of faces. What it says holds for one second; after that the seat is nobody's until a new stream says who.

export const STALE_AFTER_MS = 1000;
const DROP_AFTER_MS = 2000;
const TICK_MS = 100;
const RETRY_MS = [100, 250, 500, 1000];

export class Link {
  #url;
  #handlers;
  #source = null;
  #heard = null;
  #lostAt = null;
  #tries = 0;
  page = null;

  // handlers: face(view), stale() after 1 s of silence, lost() when it has lasted as long as an answer may be trusted.
  constructor(seat, handlers) {
    this.#url = `/seat/${seat}/stream`;
    this.#handlers = handlers;
    setInterval(() => this.#tick(), TICK_MS);
    document.addEventListener("visibilitychange", () => this.#tick());
  }

  open() {
    this.#close();
    const source = new EventSource(this.#url);
    this.#source = source;
    this.#heard = clocks();
    const on = (name, act) =>
      source.addEventListener(name, (event) => {
        if (source === this.#source && this.#fresh()) act(JSON.parse(event.data));
      });
    on("hello", (hello) => this.#hello(hello));
    on("face", (view) => this.#face(view));
    on("beat", () => {});
    on("gone", () => this.#lose());
    on("full", () => this.#lose());
    source.onerror = () => source === this.#source && this.#lose();
  }

  #hello(hello) {
    if (hello.build !== document.documentElement.dataset.build) location.reload();
    this.page = hello.page;
  }

  #face(view) {
    this.#tries = 0;
    this.#lostAt = null;
    this.#handlers.face(view);
  }

  // Whether the silence before this moment was short enough; what comes after a long one may be old, and is not read.
  #fresh() {
    const now = clocks();
    if (silence(this.#heard, now) > STALE_AFTER_MS) {
      this.#lose();
      return false;
    }
    this.#heard = now;
    return true;
  }

  #tick() {
    if (this.#source !== null && silence(this.#heard, clocks()) > STALE_AFTER_MS) this.#lose();
    if (this.#lostAt === null || silence(this.#lostAt, clocks()) < DROP_AFTER_MS - STALE_AFTER_MS) return;
    this.#lostAt = null;
    this.#handlers.lost();
  }

  #lose() {
    this.#close();
    this.#lostAt ??= clocks();
    this.#handlers.stale();
    const wait = RETRY_MS[Math.min(this.#tries++, RETRY_MS.length - 1)];
    setTimeout(() => this.#source ?? this.open(), wait);
  }

  #close() {
    this.#source?.close();
    this.#source = null;
    this.page = null;
  }
}

// Two clocks: one that cannot be set, and one that goes on while the machine sleeps.
function clocks() {
  return { steady: performance.now(), wall: Date.now() };
}

function silence(since, now) {
  return Math.max(now.steady - since.steady, Math.abs(now.wall - since.wall));
}
