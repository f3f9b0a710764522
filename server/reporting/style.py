"""The page's style sheet. Colours are after Okabe and Ito, who chose them to be told apart with any colour vision."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fbfaf8; --card: #ffffff; --ink: #1b2430; --quiet: #5c6672; --rule: #e3e1dc; --track: #eeece7;
  --local: #98a2ad; --federated: #0a66b0; --pooled: #c07a00;
  --good: #00694c; --good-page: #e2f3ec; --warn: #7d5100; --warn-page: #fdf1d7; --bad: #a33100; --bad-page: #fde7dd;
  --c1: #0072b2; --c2: #e69f00; --c3: #009e73; --c4: #cc79a7;
  --c5: #56b4e9; --c6: #d55e00; --c7: #7a5195; --c8: #7d8590;
  --tip: #1b2430; --tip-ink: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181d; --card: #1b2027; --ink: #e8eaed; --quiet: #a2abb5; --rule: #2f3741; --track: #262d36;
    --local: #7d8894; --federated: #4ba3e8; --pooled: #eab04a;
    --good: #6fd6b0; --good-page: #15332a; --warn: #f0c674; --warn-page: #3a2e14; --bad: #ffa27a; --bad-page: #41221a;
    --c1: #4aa8e0; --c2: #f0b73f; --c3: #2fc49a; --c4: #e39cc4;
    --c5: #9ad6f7; --c6: #f5893d; --c7: #b48fd0; --c8: #a8b0b9;
    --tip: #e8eaed; --tip-ink: #14181d;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  "Liberation Sans", Arial, sans-serif; font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
main { max-width: 1080px; margin: 0 auto; padding: 40px 32px 64px; }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -.015em; margin: .3rem 0 .8rem; }
h2 { font-size: 1.4rem; line-height: 1.3; letter-spacing: -.01em; margin: 0 0 .3rem; }
h3 { font-size: .95rem; margin: 0 0 .6rem; }
p { margin: 0 0 1rem; }
section { border-top: 1px solid var(--rule); padding-top: 32px; margin-top: 28px; }
.overline { display: flex; gap: 12px; align-items: center; margin: 0; }
.kind { color: var(--quiet); font-size: .875rem; }
.badge { font-size: .8125rem; font-weight: 600; padding: 1px 10px; border-radius: 99px; }
.wordy .badge { white-space: nowrap; }
.matrix table { table-layout: fixed; width: 100%; min-width: 900px; }
.matrix td, .matrix th, .matrix tr > :last-child { padding-right: 12px; }
.good { color: var(--good); background: var(--good-page); }
.warn { color: var(--warn); background: var(--warn-page); }
.bad { color: var(--bad); background: var(--bad-page); }
.finding { font-size: 1.3rem; line-height: 1.45; max-width: 54rem; text-wrap: pretty; }
.banner { padding: 10px 16px; border-radius: 8px; }
.lede { max-width: 50rem; margin-bottom: 1.4rem; text-wrap: pretty; }
.note, .quiet { color: var(--quiet); font-size: .875rem; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px 44px; margin: 28px 0; }
.banner ul { margin: .4rem 0 0; padding-left: 1.3rem; }
header .figure > p { max-width: 54rem; text-wrap: pretty; }
header li { max-width: 54rem; }
.tile { display: flex; flex-direction: column; }
.tile b { font-size: 1.5rem; line-height: 1.25; letter-spacing: -.01em; }
.tile span { color: var(--quiet); font-size: .875rem; }
nav { display: flex; flex-wrap: wrap; gap: 4px 20px; margin-top: 28px; font-size: .875rem; }
a { color: var(--federated); text-underline-offset: 3px; }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 16px 48px; }
.figure { min-width: 0; margin-bottom: 1.25rem; }
.rows + .figure, .rows + .take + .figure, section > .figure + .figure { margin-top: 1.75rem; }
.figure > .note { margin: .6rem 0 0; }

.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; padding: 0; margin: 0 0 1rem; list-style: none; }
.legend { font-size: .875rem; }
.legend li { display: flex; align-items: center; gap: 7px; }
.key { width: 13px; height: 13px; border-radius: 3px; flex: none; background: currentColor; }
.rows { display: grid; gap: 8px; margin-bottom: 1rem; }
.groups { gap: 16px; }
.row { display: grid; grid-template-columns: 190px 1fr; gap: 16px; align-items: center; }
.rows.wide-names .row { grid-template-columns: 210px 1fr; }
.beside .row { grid-template-columns: 165px 1fr; gap: 12px; }
.beside .wide-names .row { grid-template-columns: 180px 1fr; }
.strips .row { grid-template-columns: 210px 1fr; }
.strips .name { flex-direction: column; gap: 0; }
.tall { display: block; }
.name { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: baseline; }
.name { gap: 0 10px; min-width: 0; }
.name { font-size: .9rem; line-height: 1.3; }
.site { min-width: 0; overflow-wrap: anywhere; }
.name .note { flex: none; font-size: .8125rem; white-space: nowrap; }
.strong { font-weight: 650; padding-bottom: 14px; border-bottom: 1px solid var(--rule); }
.content { display: grid; gap: 1px; min-width: 0; }

svg { display: block; width: 100%; overflow: visible; }
svg text { fill: var(--quiet); font-size: 12.5px; }
.bar { height: 18px; width: calc(100% - 76px); }
.bar .value { fill: var(--ink); font-size: 13px; }
.track { fill: var(--track); }
.stack { height: 22px; }
.tall .stack { height: 34px; margin-bottom: 12px; }
.strip { height: 26px; }
.strip-axis { height: 16px; }
.columns { height: 150px; border-bottom: 1px solid var(--quiet); }
.timeline { height: 18px; }
.dense { gap: 1px; }
.dense .name { font-size: .6875rem; line-height: 1; }
.dense .name .note { font-size: .6875rem; }
.dense .site { -webkit-line-clamp: 1; }
.dense .timeline { height: 11px; }
.dense .timeline rect { transform: scaleY(.6); }
.chart { max-width: 520px; }
.grid { stroke: var(--rule); }
.axis { stroke: var(--quiet); }
.line { fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linejoin: round; }
.leader { fill: none; stroke: var(--quiet); stroke-width: .7; opacity: .6; }
.dot { fill: currentColor; }
.band { fill: currentColor; stroke: none; }
svg .end { fill: var(--ink); }
svg .end.everybody { font-weight: 700; }
.line.everybody { stroke-width: 3; }
.quiet-line { color: var(--local); stroke-width: 1; }
.line.c4, .line.c5, .line.c6 { stroke-dasharray: 6 3; }
.line.c7, .line.c8 { stroke-dasharray: 2 3; }
.fill, .mark { fill: currentColor; }
.mean { stroke: var(--ink); stroke-width: 3; }
.mark { opacity: .55; }
.cell.contributed { color: var(--federated); }
.cell.idle { color: var(--rule); }
.cell.dropped { color: var(--c6); }
.cell { fill: currentColor; }
.key.contributed { color: var(--federated); }
.key.idle { color: var(--rule); height: 4px; }
.key.dropped { color: var(--c6); height: 16px; }
.hit.column { fill: transparent; }
.hit.column:hover { fill: var(--ink); fill-opacity: .07; }
.local { color: var(--local); } .federated { color: var(--federated); } .pooled { color: var(--pooled); }
.train { color: var(--c1); } .validation { color: var(--c5); } .test { color: var(--c2); }
.out { color: var(--c6); } .in { color: var(--local); }
.everybody { color: var(--ink); } .median { color: var(--federated); }
.outer { color: var(--federated); fill-opacity: .16; } .inner { color: var(--federated); fill-opacity: .26; }
.c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); } .c4 { color: var(--c4); }
.c5 { color: var(--c5); } .c6 { color: var(--c6); } .c7 { color: var(--c7); } .c8 { color: var(--c8); }
.p1 { color: #e69f00; } .p2 { color: #56b4e9; } .p3 { color: #009e73; }
.p4 { color: #f0e442; } .p5 { color: #cc79a7; } .p6 { color: #d55e00; }
svg text.on { dominant-baseline: central; fill: #14181d; font-size: 12px; }
@media (prefers-color-scheme: light) { svg text.on.c1, svg text.on.c7, svg text.on.train { fill: #fff; } }

.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); gap: 24px 32px; }
.cards.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 620px), 1fr)); }
.wide .triple { grid-template-columns: repeat(auto-fill, minmax(min(48%, 170px), 1fr)); gap: 10px 6px; }
.card-head { display: flex; justify-content: space-between; gap: 12px; font-size: .9rem; margin-bottom: 6px; }
.card-head span { color: var(--quiet); white-space: nowrap; }
.alike { display: grid; grid-template-columns: repeat(6, minmax(0, 112px)); gap: 6px; margin: 6px 0 18px; }
.alike figure:first-child img { outline: 2px solid var(--c1); outline-offset: 1px; }
.triple { display: grid; grid-template-columns: repeat(3, 1fr); gap: 4px; }
.filmstrip { display: flex; flex-wrap: wrap; gap: 10px 6px; } .filmstrip figure { width: 112px; }
.filmstrip + .filmstrip { margin-top: 14px; }
.filmstrip.large figure { width: 148px; }
.tiles-of-filters { display: grid; grid-template-columns: repeat(auto-fill, 56px); gap: 10px 10px; }
.map-for { color: #e66101; } .map-against { color: #266ec8; } .map-either { color: #ffbe00; }
.grids img { width: 84px; display: block; border-radius: 3px; image-rendering: pixelated; }
.verdict { border-radius: 4px; padding: 0 6px; display: inline-block; }
.explained { border-bottom: 1px solid var(--rule); padding-bottom: 10px; }
.explained .card-head { flex-wrap: wrap; } .explained .card-head > span { white-space: normal; width: 100%; }
figure { margin: 0; }
figure img { width: 100%; display: block; background: #000; border-radius: 3px; image-rendering: pixelated; }
figcaption { color: var(--quiet); font-size: .75rem; text-align: center; margin-top: 2px; }

details { margin: .75rem 0 1rem; }
summary { cursor: pointer; font-size: .9rem; color: var(--federated); padding: 4px 0; }
.scroll { overflow-x: auto; margin: .4rem 0 1.2rem; }
table { border-collapse: collapse; font-size: .875rem; min-width: 100%; overflow-wrap: normal; }
th, td { text-align: left; padding: 7px 20px 7px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { font-weight: 600; }
tbody th { font-weight: 500; }
tbody th[scope=row] { min-width: 5.5rem; }
thead th { color: var(--quiet); font-weight: 500; vertical-align: bottom; }
td.number, th.number { text-align: right; white-space: nowrap; }
thead th.number { white-space: normal; }
th:last-child, td:last-child { padding-right: 0; }
.facts { margin: 0 0 1rem; }
.facts > div { display: grid; grid-template-columns: 210px 1fr; gap: 16px; }
.facts > div { padding: 6px 0; border-bottom: 1px solid var(--rule); }
.facts dt { color: var(--quiet); }
.facts dd { margin: 0; }
.facts { font-size: .9rem; }
code, pre { font: .8125rem/1.5 ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; }
pre { padding: 14px 16px; background: var(--card); border: 1px solid var(--rule); border-radius: 8px; }
pre { overflow-x: auto; }
footer { border-top: 1px solid var(--rule); margin-top: 36px; padding-top: 16px; }
footer { color: var(--quiet); font-size: .8125rem; }
.take { display: inline-block; font-size: .75rem; margin: 0 0 .6rem; padding: 1px 8px; border-radius: 4px; }
.take { border: 1px solid var(--rule); text-decoration: none; }
.take:hover { border-color: currentColor; }
.take:focus-visible { outline: 2px solid var(--federated); outline-offset: 1px; }
.scroll + .take { margin-top: -.8rem; }
.tip {
  position: fixed; z-index: 9; max-width: 340px; padding: 8px 12px; border-radius: 6px; background: var(--tip);
  color: var(--tip-ink); font-size: .8125rem; line-height: 1.4; white-space: pre-line; pointer-events: none;
}
.tip[hidden] { display: none; }

@media (max-width: 640px) {
  main { padding: 24px 16px 40px; }
  h1 { font-size: 1.6rem; }
  .finding { font-size: 1.15rem; }
  .tiles { gap: 14px 28px; }
  .tile b { font-size: 1.3rem; }
  section { padding-top: 28px; margin-top: 28px; }
  .row, .beside .row, .rows.wide-names .row, .strips .row { grid-template-columns: 1fr; gap: 3px; }
  .dense .row { grid-template-columns: 90px 1fr; gap: 6px; }
  .dense .name .note { display: none; }
  .facts div { grid-template-columns: 1fr; gap: 0; }
  th, td { padding-right: 14px; }
  .wordy thead { display: none; }
  .wordy tr { display: block; padding: 8px 0; border-bottom: 1px solid var(--rule); }
  .wordy th, .wordy td, .wordy td.number { display: block; padding: 1px 0; border: 0; }
  .wordy th, .wordy td, .wordy td.number { text-align: left; white-space: normal; }
  .wordy td[data-label]::before { content: attr(data-label) ": "; color: var(--quiet); }
  .heat { border-spacing: 2px; width: 100%; }
  .heat td { width: auto; padding: 2px; }
  .heat th { padding: 2px; font-size: .72rem; overflow-wrap: anywhere; }
}
.judged { font-size: .95rem; margin: .8rem 0 .9rem; }
.judged .badge, .conditions .badge { margin-right: 4px; }
.question { font-size: 1.05rem; color: var(--quiet); margin: 1.2rem 0 .2rem; }
.plain { list-style: none; padding-left: 0; }
.figure > .plain li, details > .plain li { margin-bottom: .25rem; }
.facts ul.plain, td ul.plain { margin: 0; padding: 0; list-style: none; }
.facts ul.plain li + li { margin-top: .3rem; }
.blank { color: var(--warn); background: var(--warn-page); border-radius: 4px; padding: 0 6px; }
.line-to-write { display: block; border-bottom: 1px solid var(--quiet); min-height: 2em; }
.choice { margin-right: 2rem; white-space: nowrap; }
.sign { border: 1px solid var(--rule); border-radius: 8px; padding: 16px 20px; background: var(--card); }
.sign .facts div { border: 0; }
.conditions li { margin-bottom: .5rem; max-width: 54rem; }
.cards .row { grid-template-columns: 1fr; gap: 3px; }
.causal { width: auto; max-width: 100%; height: auto; margin: .4rem 0 .8rem; }
.causal .node { fill: var(--card); stroke: var(--quiet); stroke-width: 1.4; }
.causal .named { fill: var(--ink); font-size: 15px; dominant-baseline: central; }
.causal .node.treatment { fill: var(--federated); stroke: none; } .causal .named.treatment { fill: var(--page); }
.causal .node.outcome { fill: var(--pooled); stroke: none; } .causal .named.outcome { fill: var(--page); }
.causal .node.adjusted { fill: var(--good-page); stroke: var(--good); stroke-width: 2.2; }
.causal .node.hedged { stroke: var(--bad); stroke-width: 2.6; }
.causal .node.noise { stroke-dasharray: 3 3; } .causal .named.noise { fill: var(--quiet); }
.cause { fill: none; stroke: var(--ink); stroke-width: 1.6; }
.cause.cut { stroke: var(--bad); stroke-dasharray: 2 5; opacity: .75; }
.bow { fill: none; stroke: var(--quiet); stroke-width: 1.6; stroke-dasharray: 6 4; }
.bow.strong { stroke: var(--bad); stroke-width: 2.4; }
.of-cause { fill: var(--ink); } .of-bow { fill: var(--quiet); } .of-cut, .of-strong { fill: var(--bad); }
.key.treatment { color: var(--federated); } .key.outcome { color: var(--pooled); }
.key.adjusted { color: var(--good); } .key.hedged { color: var(--bad); }
.heat { width: auto; min-width: 0; border-collapse: separate; border-spacing: 3px; }
.heat td { width: 8.5rem; height: 2.2rem; text-align: center; vertical-align: middle; }
.heat td { border: 0; border-radius: 4px; padding: 4px; }
.heat th { vertical-align: middle; border: 0; padding: 4px 8px; color: var(--quiet); font-weight: 500; }

@page {
  size: A4; margin: 17mm 16mm 18mm;
  @bottom-right {
    content: counter(page) " of " counter(pages); font: 8.5pt system-ui, "Liberation Sans", Arial; color: #444;
  }
}
@media print {
  :root {
    color-scheme: light;
    --page: #fff; --card: #fff; --ink: #000; --quiet: #444; --rule: #ccc; --track: #eee;
    --good: #00694c; --good-page: #e2f3ec; --warn: #7d5100; --warn-page: #fdf1d7; --bad: #a33100; --bad-page: #fde7dd;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  nav, .tip { display: none; }
  body { font-size: 9.5pt; line-height: 1.4; }
  h1 { font-size: 17pt; }
  h2 { font-size: 13pt; }
  .finding { font-size: 11.5pt; }
  section { margin-top: 14pt; padding-top: 12pt; }
  .row, .card, .cards > div, .chart, .heat, .sign, tr, li { break-inside: avoid; }
  .cards { display: block; }
  .cards > div { display: inline-block; width: 48%; margin: 0 1% 10pt 0; vertical-align: top; }
  h2, h3, summary, .lede, thead { break-after: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; }
  table { font-size: 8.5pt; width: 100%; min-width: 0; }
  .heat { width: auto; }
  .heat td { width: 26mm; }
  th, td { padding: 4px 8px 4px 0; overflow-wrap: break-word; }
  .tiles { display: none; }
  .note, .quiet { font-size: 8.5pt; }
  #risks, #decision, #promised { break-before: page; border-top: 0; padding-top: 0; }
  .facts { font-size: 9pt; }
  .facts div { grid-template-columns: 40mm 1fr; padding: 2px 0; break-inside: avoid; }
  .take { display: none; }
  code, pre { font-size: 8pt; overflow-wrap: anywhere; }
  pre { white-space: pre-wrap; }
  summary { color: var(--ink); list-style: none; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
  .badge { font-size: 8pt; }
  .attempts table { table-layout: fixed; font-size: 7pt; }
  .attempts th:first-child { width: 27%; }
  .attempts tr { break-inside: auto; }
  .attempts td, .attempts th { overflow-wrap: anywhere; }
}
"""
