"""The page's only script: values under the pointer in a readable tip. Without it the browser's own titles show."""

SCRIPT = """
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
"""
