"""What a page of many hospitals adds to the page's script and style: the search, and CSV files of all hospitals.

It runs after `script.SCRIPT`, whose `link` and `csvCell` it uses. The data are columns of cells, as
`sections/finder.py` writes them. Names and cells may be anybody's; they become text of the page and nothing else.
"""

FINDER_STYLE = """
.histogram { height: 84px; }
.find label { display: block; font-size: .9rem; margin-bottom: 4px; }
.find input {
  font: inherit; width: min(100%, 28rem); padding: 8px 12px; border: 1px solid var(--quiet); border-radius: 8px;
  background: var(--card); color: var(--ink);
}
.find input:focus-visible { outline: 2px solid var(--federated); outline-offset: 1px; }
#hospital-found { margin-top: 1rem; }
.hospital { border: 1px solid var(--rule); border-radius: 8px; background: var(--card); padding: 16px 20px; }
.hospital + * { margin-top: 1rem; }
.hospital > h3 { font-size: 1.1rem; }
.hospital h4 { font-size: .9rem; margin: 1rem 0 .2rem; }
.hospital .facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); }
.hospital .facts { gap: 0 32px; }
.hospital .facts div { display: flex; justify-content: space-between; gap: 16px; padding: 3px 0; }
.hospital .facts dd { text-align: right; }
@media print { #find { display: none; } }
"""

FINDER_SCRIPT = r"""
"use strict";
{
  const MOST_LISTED = 20, MOST_SHOWN = 5;
  const known = JSON.parse(document.getElementById("every-hospital").textContent);
  const alike = (words) => words.replace(/\s+/g, " ").trim().toLowerCase();
  const names = known.names.map(alike);
  const tables = new Map(known.tables.map((one) => [one.key, one]));
  const columnsOf = (one) => {
    one.split = one.split || one.columns.map((column) => (Array.isArray(column) ? column : column.split("|")));
    return one.split;
  };
  const rowOf = (one, k) => columnsOf(one).map((cells) => (cells.length === 1 ? cells[0] : cells[k]));
  const part = (name, words, look) => {
    const made = document.createElement(name);
    if (words) made.textContent = words;
    if (look) made.className = look;
    return made;
  };
  const linkTo = (name) => {
    const made = part("a", name);
    made.href = "#hospital=" + encodeURIComponent(name);
    return made;
  };
  const fact = (term, value) => {
    const made = part("div");
    made.append(part("dt", term), part("dd", value));
    return made;
  };
  const shown = (k) => {
    const whole = part("div", "", "hospital"), head = part("h3");
    head.append(linkTo(known.names[k]));
    whole.append(head);
    for (const one of known.tables) {
      const cells = rowOf(one, k);
      if (cells.every((cell) => !cell)) continue;
      const facts = part("dl", "", "facts");
      cells.forEach((cell, at) => facts.append(fact(one.head[at], cell)));
      whole.append(part("h4", one.title), facts);
    }
    return whole;
  };
  const listed = (fits) => {
    const list = part("ul", "", "plain");
    for (const k of fits.slice(0, MOST_LISTED)) {
      const line = part("li");
      line.append(linkTo(known.names[k]));
      list.append(line);
    }
    if (fits.length > MOST_LISTED) list.append(part("li", "and " + (fits.length - MOST_LISTED) + " more: type on."));
    return list;
  };
  const box = document.getElementById("hospital-name"), found = document.getElementById("hospital-found");
  const look = () => {
    const wanted = alike(box.value);
    found.replaceChildren();
    if (!wanted) return;
    const fits = [...names.keys()].filter((k) => names[k].includes(wanted));
    const exact = fits.filter((k) => names[k] === wanted);
    const others = fits.filter((k) => names[k] !== wanted);
    const whole = exact.length ? exact.slice(0, MOST_SHOWN) : fits.length === 1 ? fits : [];
    found.append(...whole.map(shown));
    if (!fits.length) found.append(part("p", "No hospital has this in its name.", "quiet"));
    if (!whole.length && fits.length) found.append(part("p", fits.length + " hospitals:", "quiet"), listed(fits));
    if (!exact.length || !others.length) return;
    found.append(part("p", "Others with this in their name:", "quiet"), listed(others));
  };
  box.addEventListener("input", look);
  const fromAddress = () => {
    const said = location.hash.match(/^#hospital=(.*)$/s);
    if (!said) return;
    try { box.value = decodeURIComponent(said[1]); } catch { return; }
    look();
    document.getElementById("find").scrollIntoView();
  };
  addEventListener("hashchange", fromAddress);
  const csvLine = (cells) => cells.map((cell) => csvCell({ textContent: cell })).join(",") + "\r\n";
  const csvOfAll = (one, shownTable) => {
    const lines = [csvLine(["Hospital", ...one.head])];
    known.names.forEach((name, k) => {
      const cells = rowOf(one, k);
      if (cells.some((cell) => cell)) lines.push(csvLine([name, ...cells]));
    });
    for (const row of shownTable.tBodies[0].rows) {
      if (!row.querySelector("th a")) lines.push(csvLine([...row.cells].map((cell) => cell.textContent)));
    }
    return "\ufeff" + lines.join("");
  };
  for (const block of document.querySelectorAll("[data-every]")) {
    const one = tables.get(block.dataset.every), shownTable = block.querySelector("table");
    const made = link(block.firstElementChild, ".csv", "text/csv", () => csvOfAll(one, shownTable));
    block.querySelector(".take").replaceWith(made);
  }
  fromAddress();
}
"""
