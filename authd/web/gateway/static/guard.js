// The browser guard. Put first into a page's head, it keeps the page covered until authd says that the session lives,
// covers it again at a lock or when nothing is heard, and then takes the page away. One file, two places: a page, and
// the shared worker that listens for all pages of this browser, since HTTP/1.1 has six connections a host.
(() => {
  "use strict";
  const RETRY_MS = [100, 250, 500, 1000];
  const STALE_MS = 1500;
  const STREAM = "/.authd/stream";
  const CLOSED = "/.authd/closed";

  // Calls tell(word) with live, beat, silent, lost or locked; returns after locked, which is the last word.
  async function listen(tell) {
    for (let tries = 0; ; tries++) {
      const answer = await fetch(STREAM, { cache: "no-store", redirect: "error" }).catch(() => null);
      if (answer?.status === 401) return tell("locked");
      if (answer?.ok) {
        const last = await read(answer.body.getReader(), (word) => {
          tries = 0;
          tell(word);
        });
        if (last === "locked") return;
      }
      tell("lost");
      await new Promise((resume) => setTimeout(resume, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]));
    }
  }

  async function read(reader, tell) {
    const decoder = new TextDecoder();
    let rest = "";
    let last = "";
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return last;
        rest += decoder.decode(value, { stream: true });
        const events = rest.split("\n\n");
        rest = events.pop();
        for (const event of events) tell((last = event.split("\n")[0].slice("event: ".length)));
      }
    } catch {
      return last;
    }
  }

  if (typeof document === "undefined") {
    const ports = new Set();
    let listening = false;
    let last = "lost";
    const tell = (word) => {
      last = word;
      for (const port of ports) port.postMessage(word);
    };
    self.onconnect = ({ ports: [port] }) => {
      ports.add(port);
      port.onmessage = () => ports.delete(port);
      if (listening) return port.postMessage(last);
      listening = true;
      listen(tell).finally(() => (listening = false));
    };
    return;
  }

  const mark = Symbol.for("authd guard");
  if (window[mark]) return;
  window[mark] = true;
  const words = "$words";
  const page = document.documentElement;
  let heard = null;
  let heardDate = 0;
  let over = false;

  const host = document.createElement("authd-cover");
  const shadow = host.attachShadow({ mode: "closed" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { all: initial !important; position: fixed !important; inset: 0 !important; margin: 0 !important;
      border: 0 !important; padding: 0 !important; width: 100vw !important; height: 100vh !important;
      max-width: none !important; max-height: none !important; z-index: 2147483647 !important; display: block !important;
      visibility: visible !important; background: #eef1f5 !important; opacity: 1 !important; cursor: default !important; }
    section { box-sizing: border-box; width: 100%; height: 100%; display: grid; place-items: center; overflow: auto;
      color: #1b2733; text-wrap: balance;
      font: 18px/1.7 "Noto Sans CJK JP", "Noto Sans JP", "Hiragino Sans", "Yu Gothic", Meiryo, sans-serif; }
    main { text-align: center; padding: 2rem; max-width: 36em; }
    main[hidden] { display: none; }
    svg { width: 72px; height: 72px; fill: none; stroke: #3b5068; stroke-width: 1.6; stroke-linejoin: round; }
    h1 { margin: 1rem 0 .4rem; font-size: 34px; line-height: 1.3; }
    p { margin: 0; }
    div { margin-top: 2rem; padding-top: 1.4rem; border-top: 1px solid #c6cfd9; color: #44525f; font-size: 16px; }
    h2 { margin: 0 0 .2rem; font-size: 20px; }`);
  shadow.adoptedStyleSheets = [sheet];
  const main = document.createElement("main");
  const lock = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  lock.setAttribute("viewBox", "0 0 24 24");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", "M7 10V7a5 5 0 0 1 10 0v3m-12 0h14v11H5z");
  lock.append(path);
  const english = document.createElement("div");
  english.lang = "en";
  const [title, text, titleEn, textEn] = ["h1", "p", "h2", "p"].map((name) => document.createElement(name));
  english.append(titleEn, textEn);
  main.append(lock, title, text, english);
  const whole = document.createElement("section");
  whole.append(main);
  shadow.append(whole);

  // Whatever the page itself says of visibility, in its own top layer too.
  const hide = new CSSStyleSheet();
  hide.replaceSync(`html[data-authd=covered] :not(authd-cover) { visibility: hidden !important; }
    html[data-authd=covered] ::backdrop { display: none !important; }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, hide];

  function cover(say) {
    if (say) {
      [title.textContent, titleEn.textContent] = words[`${say}_title`] ?? words[say];
      [text.textContent, textEn.textContent] = words[`${say}_text`];
    }
    main.hidden = !say;
    page.dataset.authd = "covered";
    raise();
  }

  function raise() {
    if (host.parentNode !== page) page.append(host);
    if (document.body) document.body.inert = true;
    try {
      host.popover = "manual";
      if (!host.matches(":popover-open")) host.showPopover();
    } catch {
      // A page of frames, or an old browser: what is hidden is hidden nevertheless.
    }
  }

  function uncover() {
    if (page.dataset.authd !== "covered") return;
    delete page.dataset.authd;
    host.remove();
    if (document.body) document.body.inert = false;
  }

  // Nothing that the page does takes the cover off.
  new MutationObserver(() => {
    if (heard !== null && !over) return;
    if (page.dataset.authd !== "covered" || host.parentNode !== page || (document.body && !document.body.inert)) {
      page.dataset.authd = "covered";
      raise();
    }
  }).observe(page, { attributes: true, childList: true, subtree: true, attributeFilter: ["data-authd", "inert"] });

  function told(word) {
    if (over) return;
    if (word === "live" || word === "beat") {
      heard = performance.now();
      heardDate = Date.now();
      uncover();
    } else if (word === "locked") {
      end();
    } else {
      lose("silent");
    }
  }

  function lose(say) {
    heard = null;
    cover(say);
  }

  // The person's page goes away altogether: nobody after them finds it behind the cover.
  function end() {
    over = true;
    heard = null;
    cover("covered");
    window.dispatchEvent(new Event("authd:locked"));
    requestAnimationFrame(() => setTimeout(leave));
    setTimeout(leave, 1000);
  }

  function leave() {
    for (const child of [...page.childNodes]) if (child !== host) child.remove();
    location.replace(CLOSED);
  }

  // The wall clock too: the page's own stands still while the machine sleeps.
  function stale() {
    if (heard === null) return;
    if (Math.max(performance.now() - heard, Math.abs(Date.now() - heardDate)) > STALE_MS) lose("silent");
  }

  function begin() {
    try {
      const worker = new SharedWorker("/.authd/guard.js", "authd guard");
      worker.onerror = () => listen(told);
      worker.port.onmessage = (event) => told(event.data);
      addEventListener("pagehide", () => worker.port.postMessage("gone"));
    } catch {
      listen(told);
    }
  }

  addEventListener("beforeunload", (event) => over && event.stopImmediatePropagation(), true);
  addEventListener("pageshow", (event) => event.persisted && (lose("silent"), location.reload()));
  document.addEventListener("visibilitychange", stale);
  document.addEventListener("DOMContentLoaded", () => page.dataset.authd === "covered" && raise());
  setInterval(stale, 250);
  cover(null);
  begin();
})();
