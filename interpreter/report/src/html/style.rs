//! The report's style sheet.

/// Everything is in the page: it may be mailed, archived and read without a network.
pub(super) const CSS: &str = r#"
:root {
  color-scheme: light dark;
  --ground: #fbfbf9; --panel: #ffffff; --ink: #1c2126; --quiet: #5b6570; --line: #dcdfe3; --link: #0b5cad;
  --good: #1b6e3c; --good-ground: #e2f3e8; --bad: #a8201a; --bad-ground: #fbe5e3;
  --warn: #805400; --warn-ground: #fdf0d2; --code: #f2f3f5;
  --before: #8a94a3; --after: #2f8f5b; --mark: #2456b8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --panel: #1c2024; --ink: #e6e8ea; --quiet: #a0a9b2; --line: #353b42; --link: #7db7f5;
    --good: #7fd3a0; --good-ground: #173524; --bad: #ff9b94; --bad-ground: #451b19;
    --warn: #f2c46d; --warn-ground: #3d2e0c; --code: #262b30;
    --before: #7b8694; --after: #3fa56d; --mark: #8fb4ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif;
}
main, header, footer { max-width: 70rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .7rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .2rem; overflow-wrap: anywhere; break-after: avoid; }
p { margin: .3rem 0; }
a { color: var(--link); }
code, pre, .mono { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .88em; }
code { background: var(--code); border-radius: 3px; padding: .1em .35em; overflow-wrap: anywhere; }
pre {
  margin: .4rem 0; padding: .6rem .8rem; background: var(--code); border-radius: 5px;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
pre .plus { color: var(--good); } pre .minus { color: var(--bad); } pre .hunk { color: var(--quiet); }
.quiet { color: var(--quiet); } .late { color: var(--bad); font-weight: 600; }
.sandbox {
  position: sticky; top: 0; z-index: 1; margin: 0; padding: .5rem 1.5rem; text-align: center; font-weight: 700;
  background: var(--warn-ground); color: var(--warn); border-bottom: 2px solid var(--warn);
}
dl.facts {
  display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; margin: .8rem 0;
  padding: .9rem 1.1rem; background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
}
dl.facts dt { color: var(--quiet); } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
.badge {
  display: inline-block; padding: .05rem .5rem; border-radius: 999px; border: 1px solid currentColor;
  font-size: .85em; font-weight: 600; white-space: nowrap; color: var(--quiet);
}
.badge.good { color: var(--good); background: var(--good-ground); }
.badge.bad { color: var(--bad); background: var(--bad-ground); }
.badge.warn { color: var(--warn); background: var(--warn-ground); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; background: var(--panel); border: 1px solid var(--line); }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { text-align: left; vertical-align: top; padding: .4rem .7rem; border-bottom: 1px solid var(--line); }
thead th { color: var(--quiet); font-size: .82em; font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; min-width: 7rem; overflow-wrap: anywhere; }
td { min-width: 5rem; overflow-wrap: anywhere; }
.state, .when { white-space: nowrap; }
.small { font-size: .85em; line-height: 1.45; }
td ul { margin: 0; padding-left: 1.1rem; }
tr { break-inside: avoid; }
#steps table { table-layout: fixed; min-width: 46rem; }
#steps th:nth-child(1) { width: 16%; } #steps th:nth-child(2) { width: 12%; }
#steps th:nth-child(3) { width: 17%; } #steps th:nth-child(4) { width: 15%; }
.took { white-space: nowrap; }
.bar { display: block; height: .45rem; margin-top: .25rem; min-width: 2px; border-radius: 2px; background: var(--mark); }
.box { border: 1px solid; border-radius: 6px; padding: .6rem .9rem; margin: .6rem 0; }
.box.bad { border-color: var(--bad); background: var(--bad-ground); }
.box.warn { border-color: var(--warn); background: var(--warn-ground); }
.box p, .box li { overflow-wrap: anywhere; white-space: pre-wrap; }
.box ul { margin: .2rem 0; }
details { margin: .3rem 0; } summary { cursor: pointer; color: var(--link); }
svg.lines { display: block; width: 100%; min-width: 46rem; height: auto; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; }
svg text { fill: var(--ink); font-size: 12px; } svg .small { font-size: 11px; fill: var(--quiet); }
svg .host { font-weight: 600; } svg .late { fill: var(--bad); font-weight: 600; }
svg .grid { stroke: var(--line); } svg .today { stroke: var(--mark); stroke-width: 1.5; stroke-dasharray: 4 3; }
svg .today-text { fill: var(--mark); font-weight: 600; }
svg .before { fill: var(--before); } svg .after { fill: var(--after); } svg .back { opacity: .35; }
svg .gone { fill: url(#gone); stroke: var(--bad); } svg .hatch { stroke: var(--bad); stroke-width: 2; }
footer { margin-top: 2.5rem; padding-top: 1rem; padding-bottom: 2rem; border-top: 1px solid var(--line); color: var(--quiet); }
@media print {
  :root {
    --ground: #fff; --panel: #fff; --ink: #000; --quiet: #444; --line: #bbb; --link: #000; --code: #f4f4f4;
    --good: #14532d; --good-ground: #fff; --bad: #8b1a15; --bad-ground: #fff; --warn: #6b4600; --warn-ground: #fff;
    --before: #8a94a3; --after: #2f8f5b; --mark: #2456b8;
  }
  body { font-size: 10pt; } main, header, footer { max-width: none; padding-left: 0; padding-right: 0; }
  .sandbox { position: static; }
  .when { white-space: normal; } tr { break-inside: auto; } details p { margin: 0; }
  .wide { overflow: visible; } svg.lines, #steps table { min-width: 0; }
  details::details-content { content-visibility: visible; block-size: auto; }
  h2, h3 { break-after: avoid; }
  * { print-color-adjust: exact; }
}
"#;

/// Repeats the banner on every printed page, beside the one at the top of the document.
pub(super) const SANDBOX_CSS: &str = r#"
@page { margin: 18mm 14mm 16mm; @top-center { content: "SANDBOX: no real host was touched"; font: 700 10pt sans-serif; } }
"#;
