"""The frame of a report: the head with its style sheet (light and dark, wide and narrow, print), and the tail."""

from __future__ import annotations

HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tasker simulate</title>
<style>
:root { color-scheme: light dark; --paper: #ffffff; --ink: #22272e; --soft: #5b6570; --line: #d5dae0; --oracle: #dfe9e4;
  --good: #0b7a58; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181d; --ink: #e4e8ec; --soft: #9ba6b2; --line: #363e47; --oracle: #22372f; --good: #4fd1a5;
    --bad: #ff8a80; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem 1.25rem 3rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: .5rem 0; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .25rem; }
figure { margin: 0; min-width: 0; }
figure h2 { margin-top: 0; }
svg { display: block; width: 100%; height: auto; }
figcaption, .small { color: var(--soft); font-size: .85rem; }
.facts { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: .75rem 0; }
.facts div { display: flex; gap: .4rem; }
.facts dt { color: var(--soft); }
dd { margin: 0 0 .5rem; }
.facts dd { margin: 0; font-weight: 600; }
.verdict { border-left: .3rem solid; padding: .4rem .75rem; }
.verdict.good { border-color: var(--good); }
.verdict.bad { border-color: var(--bad); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .4rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
tbody th, thead th:first-child { text-align: left; font-weight: 600; position: sticky; left: 0; background: var(--paper); }
thead th { color: var(--soft); font-weight: 500; }
td.good { color: var(--good); }
td.bad { color: var(--bad); }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .45em; }
.swatch.oracle { background: var(--oracle); outline: 1px solid var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 1.5rem 0 1rem; position: sticky; top: 0;
  background: var(--paper); padding: .4rem 0; border-bottom: 1px solid var(--line); z-index: 1; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1.75rem 2rem; }
dt { font-weight: 600; }
.facts dt { font-weight: 400; }
details ol { font-size: .85rem; max-height: 24rem; overflow-y: auto; }
@media print { .legend { position: static; } details { display: none; } }
</style>
</head>
<body>"""

TAIL = "</body>\n</html>\n"
