// Keys for those who decide a lot. Each of them only moves the focus, so that nothing is decided
// by a slip: `a` goes to Approve, and Enter presses it. Without this file every page works as well.
(() => {
  "use strict";
  const WRITES = "input, textarea, select, [contenteditable]";
  let chosen = "";

  const rows = () => [...document.querySelectorAll(".row > a")];

  function choose(row) {
    if (!row) return;
    chosen = row.id;
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  }

  function move(step) {
    const all = rows();
    const at = all.findIndex((row) => row.id === chosen);
    choose(all[at < 0 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1)]);
  }

  function go(id) {
    const target = document.getElementById(id);
    if (!target) return false;
    target.focus();
    target.scrollIntoView({ block: "center" });
    return true;
  }

  function edit() {
    const form = document.getElementById("edit");
    if (!form) return false;
    form.open = true;
    form.querySelector("textarea, input:not([type=hidden]), select")?.focus();
    return true;
  }

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    a: () => go("approve"),
    r: () => go("feedback"),
    e: () => edit(),
    u: () => document.querySelector(".back")?.click(),
    "/": () => go("search"),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest(WRITES)) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const action = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
    if (action && action() !== false) event.preventDefault();
  });

  document.addEventListener("focusin", (event) => {
    const row = event.target instanceof Element ? event.target.closest(".row > a") : null;
    if (row) chosen = row.id;
  });

  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest('a[href="#edit"]') : null;
    if (link && edit()) event.preventDefault();
  });

  // One press decides once; a second one while the first is under way is not sent.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) event.preventDefault();
    else if (form.method === "post") form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });

  // The button that leads to the decision is not needed where Approve is in sight.
  const decision = document.getElementById("approve");
  const shortcut = document.querySelector(".to-decision");
  if (decision && shortcut) {
    new IntersectionObserver(([seen]) => { shortcut.hidden = seen.isIntersecting; }).observe(decision);
  }

  const offline = document.getElementById("offline");
  const show = (away) => () => { if (offline) offline.hidden = !away; };
  for (const event of ["htmx:sendError", "htmx:timeout"]) {
    document.body.addEventListener(event, show(true));
  }
  document.body.addEventListener("htmx:afterOnLoad", show(false));
})();
