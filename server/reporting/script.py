"""The page's only script: values under the pointer in a readable tip; tables and figures as files to keep.

Without it the browser's own titles show, and there are no links to files. The files are made in the page, as data:
URIs: nothing is fetched. A CSV file holds what its table shows, with plain minus signs and without marks between
thousands; a cell that a spreadsheet would take for a formula gets an apostrophe, since names come over the wire. An
SVG file carries its own colours. A file is made when its link is reached; all at once for page.html#files.
"""

SCRIPT = r"""
"use strict";
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
for (const title of document.querySelectorAll("svg .hit > title")) {
  title.parentNode.dataset.tip = title.textContent;
  title.remove();
}
const show = (event) => {
  const words = event.target.dataset ? event.target.dataset.tip : undefined;
  tip.hidden = !words;
  if (!words) return;
  tip.textContent = words;
  const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const below = event.clientY + 18 + tip.offsetHeight < innerHeight;
  tip.style.left = Math.max(8, x) + "px";
  tip.style.top = (below ? event.clientY + 18 : Math.max(8, event.clientY - tip.offsetHeight - 12)) + "px";
};
document.addEventListener("pointermove", show);
document.addEventListener("pointerdown", show);
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
const title = (part) => {
  let at = part;
  while (at && at !== document.body) {
    const folded = at.matches("details") && at.querySelector("summary");
    if (folded) return folded.textContent + ", " + title(at.parentElement);
    const head = at.querySelector(":scope > h3, :scope > h2");
    if (head) return head.textContent;
    at = at.parentElement;
  }
  return document.title;
};
const fileName = (words, ending) =>
  (words.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "figure") + ending;
const link = (part, ending, type, content) => {
  const words = title(part);
  const made = document.createElement("a");
  made.className = "take";
  made.download = fileName(words, ending);
  made.textContent = ending.slice(1).toUpperCase();
  made.title = "Keep as a file: " + words;
  made.setAttribute("aria-label", made.textContent + ", " + words);
  made.href = "#";
  const fill = () => {
    if (made.getAttribute("href") !== "#") return;
    made.href = "data:" + type + ";charset=utf-8," + encodeURIComponent(content());
  };
  for (const reached of ["pointerenter", "focus", "click"]) made.addEventListener(reached, fill);
  if (location.hash === "#files") fill();
  return made;
};
const csvCell = (cell) => {
  const words = cell.textContent.replace(/\u2212/g, "-").replace(/\u00a0/g, " ").trim();
  const number = /^-?\d{1,3}(,\d{3})+$/.test(words) ? words.replace(/,/g, "") : words;
  const isSafe = /^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(number) || !/^[=+\-@\t\r]/.test(number);
  const safe = isSafe ? number : "'" + number;
  return /[",;\n\r]/.test(safe) ? '"' + safe.replace(/"/g, '""') + '"' : safe;
};
const csvOf = (table) =>
  "\ufeff" + [...table.rows].map((row) => [...row.cells].map(csvCell).join(",") + "\r\n").join("");
for (const table of document.querySelectorAll(".scroll > table")) {
  table.parentElement.after(link(table.parentElement, ".csv", "text/csv", () => csvOf(table)));
}
const NS = (document.querySelector("svg") || document.body).namespaceURI;
const LOOKS = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity",
  "font-size", "font-weight", "font-family", "text-anchor", "dominant-baseline"];
const drawn = (svg) => {
  const copy = svg.cloneNode(true);
  const from = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((to, k) => {
    const looks = getComputedStyle(from[k]);
    for (const name of LOOKS) to.style.setProperty(name, looks.getPropertyValue(name));
    to.removeAttribute("class");
    if (from[k].dataset.tip) {
      const tip = document.createElementNS(NS, "title");
      tip.textContent = from[k].dataset.tip;
      to.prepend(tip);
      to.removeAttribute("data-tip");
    }
  });
  return copy;
};
const wordsAt = (words, x, y, like) => {
  const text = document.createElementNS(NS, "text");
  text.setAttribute("x", x);
  text.setAttribute("y", y);
  text.textContent = words;
  text.style.fontFamily = "sans-serif";
  text.style.fontSize = "12px";
  text.style.fill = getComputedStyle(like).color;
  return text;
};
const legendOf = (block, whole, y, wide) => {
  const before = block.previousElementSibling;
  if (!before || !before.matches(".legend")) return y;
  let x = 8;
  for (const key of before.children) {
    const words = wordsAt(key.textContent, x + 18, y + 11, key);
    const room = 40 + 7 * key.textContent.length;
    if (x > 8 && x + room > wide) { x = 8; y += 20; }
    words.setAttribute("x", x + 18);
    words.setAttribute("y", y + 11);
    const mark = document.createElementNS(NS, "rect");
    for (const [name, value] of [["x", x], ["y", y], ["width", 12], ["height", 12]]) mark.setAttribute(name, value);
    mark.style.fill = getComputedStyle(key.querySelector(".key")).color;
    whole.append(mark, words);
    x += room;
  }
  return y + 24;
};
const svgOf = (block, parts) => {
  const whole = document.createElementNS(NS, "svg");
  const isAlone = parts.length === 1 && parts[0].hasAttribute("viewBox");
  const left = isAlone ? 0 : 230;
  const wide = isAlone ? parts[0].viewBox.baseVal.width : 480;
  let y = legendOf(block, whole, 8, left + wide);
  for (const part of parts) {
    const row = part.closest(".row");
    const tall = isAlone ? parts[0].viewBox.baseVal.height : parseFloat(getComputedStyle(part).height) || 20;
    const copy = drawn(part);
    for (const [name, value] of [["x", left], ["y", y], ["width", wide], ["height", tall]]) {
      copy.setAttribute(name, value);
    }
    copy.style.overflow = "visible";
    if (row && row.querySelector("svg") === part) {
      const site = row.querySelector(".site");
      whole.append(wordsAt(site.textContent, 8, y + tall / 2 + 4, site));
    }
    whole.append(copy);
    y += tall + (row && [...row.querySelectorAll("svg")].pop() === part ? 10 : 2);
  }
  const size = [left + wide + (isAlone ? 0 : 90), y + 8];
  whole.setAttribute("viewBox", "0 0 " + size.join(" "));
  whole.setAttribute("width", size[0]);
  whole.setAttribute("height", size[1]);
  const page = document.createElementNS(NS, "rect");
  page.setAttribute("width", "100%");
  page.setAttribute("height", "100%");
  page.style.fill = getComputedStyle(document.body).backgroundColor;
  whole.prepend(page);
  return new XMLSerializer().serializeToString(whole);
};
for (const block of document.querySelectorAll("svg.chart, .rows:not(.matrix)")) {
  if (block.parentElement.closest(".rows")) continue;
  const parts = block.matches("svg") ? [block] : [...block.querySelectorAll("svg")];
  if (parts.length) block.after(link(block, ".svg", "image/svg+xml", () => svgOf(block, parts)));
}
"""
