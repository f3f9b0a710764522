"""The pages' only script: the key of the link, and parts of the page that follow what happens.

Without it every page can be read and every form sent; the key is pasted, and the page is loaded again by hand. What
it puts into the page was made by the same program as the page itself, and escaped there. It leaves a part alone in
which somebody has selected text or is typing, keeps what was unfolded (also over a moment in which the part has
nothing to show, as when its file is being written), and says since when it is not connected.
"""

SCRIPT = r"""
"use strict";
const entry = document.querySelector("form[data-enter]");
if (entry && location.hash.length > 1) {
  entry.elements.key.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  entry.submit();
}
const parts = (page) => [...page.querySelectorAll("[data-live]")];
const inside = (part, selector) => [...part.querySelectorAll(selector)];
const ACTIVE = "a, button, summary, input, textarea, [tabindex]";
const isInUse = (part) => {
  const chosen = getSelection();
  const typing = document.activeElement && document.activeElement.matches("input, textarea");
  return (typing && part.contains(document.activeElement)) ||
    (!chosen.isCollapsed && chosen.rangeCount > 0 && chosen.getRangeAt(0).intersectsNode(part));
};
const folds = new Map();
const put = (here, fresh) => {
  const folded = inside(here, "details").map((one) => one.open);
  if (folded.length) folds.set(here.id, folded);
  const wasOpen = folds.get(here.id) || [];
  const at = inside(here, ACTIVE).indexOf(document.activeElement);
  const tables = inside(here, ".scroll").map((one) => one.scrollLeft);
  here.replaceWith(fresh);
  inside(fresh, "details").forEach((one, k) => { if (k < wasOpen.length) one.open = wasOpen[k]; });
  inside(fresh, ".scroll").forEach((one, k) => { one.scrollLeft = tables[k] || 0; });
  if (at >= 0 && inside(fresh, ACTIVE)[at]) inside(fresh, ACTIVE)[at].focus({ preventScroll: true });
};
const shown = new Map(parts(document).map((part) => [part.id, part.outerHTML]));
const take = (html) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  const fresh = parts(page);
  document.title = page.title;
  for (const part of fresh) {
    const here = document.getElementById(part.id);
    const text = part.outerHTML;
    if (!here || shown.get(part.id) === text || isInUse(here)) continue;
    shown.set(part.id, text);
    put(here, document.adoptNode(part));
  }
  if (said) say(...said);
};
let busy = false;
let again = false;
let said = null;
const say = (words, look) => {
  said = [words, look];
  const here = document.getElementById("connection");
  if (here.textContent !== words) here.textContent = words;
  here.className = look;
};
const clock = () => new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const follow = async () => {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
    if (answer.ok) take(await answer.text());
  } catch (error) {
    again = false;
  }
  busy = false;
  if (again) { again = false; follow(); }
};
const connection = document.getElementById("connection");
if (connection && connection.dataset.events) {
  let lost = "";
  const source = new EventSource(connection.dataset.events);
  source.onopen = () => { lost = ""; say("follows what happens", "on"); };
  source.onmessage = follow;
  source.onerror = () => {
    lost = lost || clock();
    const ended = source.readyState === EventSource.CLOSED;
    const next = ended ? "open the link of its program again" : "trying again";
    say("not connected since " + lost + "; what stands here is of then; " + next, "off");
  };
}
"""
