"""What pages that live and have forms need beside the style of a report."""

MORE = """
.skip { position: absolute; left: -999px; }
.skip:focus { position: static; display: inline-block; padding: 6px 12px; }
:focus-visible { outline: 2px solid var(--federated); outline-offset: 2px; }
main > nav:first-child { margin: 0 0 1.2rem; }
.overline { flex-wrap: wrap; }
#connection { color: var(--quiet); font-size: .875rem; margin-left: auto; }
#connection::before { content: "○ "; }
#connection.on::before { content: "● "; color: var(--good); }
#connection.off { color: var(--bad); font-weight: 600; }
#connection.off::before { content: "✕ "; }
progress { appearance: none; width: 100%; height: 10px; border: 0; border-radius: 99px; overflow: hidden; }
progress { background: var(--track); color: var(--federated); display: block; margin: 0 0 .5rem; }
progress::-webkit-progress-bar { background: var(--track); }
progress::-webkit-progress-value { background: var(--federated); }
progress::-moz-progress-bar { background: var(--federated); }
.banner { margin: 0 0 1rem; max-width: 54rem; }
.banner p:last-child { margin: 0; }
.banner.todo { background: var(--card); border: 2px solid var(--federated); }
.banner.todo a { font-weight: 650; }
.nowrap { white-space: nowrap; }
button, .button { font: inherit; font-size: .9375rem; font-weight: 600; padding: 8px 18px; border-radius: 8px; }
button, .button { border: 1px solid var(--quiet); background: var(--card); color: var(--ink); cursor: pointer; }
button:hover { border-color: currentColor; }
button.primary { background: var(--federated); border-color: var(--federated); color: #fff; }
button.danger { color: var(--bad); border-color: currentColor; }
@media (prefers-color-scheme: dark) { button.primary { color: #14181d; } }
form { margin: 0 0 1rem; max-width: 44rem; }
label { display: block; font-weight: 600; font-size: .9rem; margin: 0 0 4px; }
label.check { display: flex; gap: 10px; align-items: flex-start; font-weight: 400; margin: 0 0 12px; }
label.check input { width: 18px; height: 18px; margin: 3px 0 0; flex: none; }
input[type=text], input[type=password], textarea {
  font: inherit; width: 100%; padding: 8px 12px; border: 1px solid var(--quiet); border-radius: 8px;
  background: var(--card); color: var(--ink); margin: 0 0 12px; display: block;
}
.hint { color: var(--quiet); font-size: .875rem; margin: -8px 0 12px; }
.choices { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 24px 48px; }
.choices h3 { font-size: 1.05rem; }
.facts dd .badge { margin-right: 6px; }
.plain { margin: 0 0 1rem; padding-left: 1.2rem; max-width: 54rem; }
.plain li { margin-bottom: .3rem; }
.groups-of-four { font: .875rem/1.6 ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; }
@media (max-width: 640px) { .wordy td:empty { display: none; } }
"""
