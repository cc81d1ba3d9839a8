// Covers the page the moment the visit ends: the server says so, or says nothing any more. The server refuses anyway.
const visit = document.body.dataset.visit;
const stream = new EventSource(`/s/${visit}/watch`);
let heard = performance.now();
let leaving = false;

function cover() {
  if (leaving) return;
  leaving = true;
  document.body.replaceChildren();
  location.replace("/locked");
}

stream.addEventListener("beat", () => { heard = performance.now(); });
stream.addEventListener("locked", cover);
stream.addEventListener("error", cover);
setInterval(() => performance.now() - heard > 2500 && cover(), 250);
for (const name of ["beforeunload", "pagehide"]) {
  addEventListener(name, () => { leaving = true; stream.close(); });
}
addEventListener("pageshow", (event) => { if (event.persisted) { leaving = false; cover(); } });
