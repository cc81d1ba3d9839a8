// Runs before the modules and without them: whatever breaks, the page is covered, empty, and loaded anew.
"use strict";

const HEAL_AFTER_MS = 2000;
let broken = false;

function fail() {
  const page = document.documentElement;
  page.dataset.cover = "on";
  for (const frame of document.querySelectorAll("iframe")) frame.remove();
  if (broken) return;
  broken = true;
  page.dataset.broken = "on";
  setTimeout(() => location.reload(), HEAL_AFTER_MS);
}

// In the capture phase also files that cannot be loaded are seen.
addEventListener("error", fail, true);
addEventListener("unhandledrejection", fail);
// A page that is put aside must not come back with what it showed.
addEventListener("pagehide", fail);
