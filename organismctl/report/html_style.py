"""The style sheet of the HTML page: light and dark, wide and narrow, on paper; colour only repeats what words say."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #59636e; --line: #c4ccd4; --panel: #f5f7f9;
  --held: #2f6f9f; --bad: #a3141c; --warn: #7a5200; --unknown: #6b3fa0; --ok: #176b34; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e6eaee; --soft: #9aa5b1; --line: #3d4650;
  --panel: #1c2229; --held: #6cb2e4; --bad: #ff8f8f; --warn: #e6b450; --unknown: #c7a3f5; --ok: #7fd69a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0.5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; padding-top: 0.75rem; border-top: 2px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 0.25rem; }
p { margin: 0.4rem 0; }
a { color: inherit; }
code { font: 0.85em ui-monospace, "DejaVu Sans Mono", monospace; }
.soft { color: var(--soft); }
.verdict { padding: 0.6rem 0.9rem; background: var(--panel); border-left: 6px solid var(--line); }
.verdict.bad { border-left-color: var(--bad); }
.verdict.unknown { border-left-color: var(--unknown); }
.verdict.warn { border-left-color: var(--warn); }
.verdict.ok { border-left-color: var(--ok); }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; list-style: none; margin: 0.75rem 0; padding: 0; }
table { width: 100%; border-collapse: collapse; margin: 0.5rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.75rem 0.3rem 0;
  border-bottom: 1px solid var(--line); }
th { font-size: 0.8rem; font-weight: 600; color: var(--soft); white-space: nowrap; }
td { overflow: hidden; }
td.whole { white-space: nowrap; }
.mark { font-weight: 600; white-space: nowrap; }
.mark.bad { color: var(--bad); } .mark.warn { color: var(--warn); }
.mark.unknown { color: var(--unknown); } .mark.ok { color: var(--ok); }
figure { margin: 0.75rem 0 1.5rem; break-inside: avoid; }
figcaption { margin-bottom: 0.25rem; }
svg { display: block; width: 100%; overflow: hidden; }
svg text { fill: currentColor; stroke: var(--paper); stroke-width: 3px; paint-order: stroke;
  font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
svg .tick { fill: var(--soft); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .held { fill: var(--held); }
svg .none { fill: none; stroke: var(--line); stroke-width: 1; }
svg .dots { fill: url(#dots); stroke: var(--line); }
svg .lost { fill: url(#hatch); }
svg .perhaps { fill: url(#sparse); }
svg .end { stroke: var(--ink); stroke-width: 2; }
svg .majority { stroke: var(--bad); stroke-width: 2; stroke-dasharray: 6 3; }
svg .said { fill: var(--bad); font-weight: 600; }
svg .trace { fill: none; stroke: var(--ink); stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round;
  vector-effect: non-scaling-stroke; }
.defs { position: absolute; width: 0; height: 0; }
.key { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; list-style: none; margin: 0.25rem 0; padding: 0; }
.key svg { display: inline-block; width: 3rem; height: 0.8rem; vertical-align: middle; }
details { margin: 0.75rem 0; }
summary { cursor: pointer; }
footer { margin-top: 2.5rem; padding-top: 0.75rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: 0.85rem; }
@media (max-width: 640px) {
  body { padding: 0.75rem; font-size: 14px; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr, td { display: block; }
  tr { padding: 0.45rem 0; border-bottom: 1px solid var(--line); }
  td { padding: 0.05rem 0; border: 0; }
  td[data-label]:not(:empty)::before { content: attr(data-label) ": "; color: var(--soft); font-size: 0.85em; }
}
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --line: #999; --panel: #fff; --held: #555;
    --bad: #000; --warn: #000; --unknown: #000; --ok: #000; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  tr, figure { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  svg .held { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
