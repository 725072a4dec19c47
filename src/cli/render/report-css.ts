/** How the page of a report looks: on a screen, light or dark, wide or narrow, and on paper. */
export const reportCss = `
:root{color-scheme:light dark;--paper:#fff;--card:#f6f7f9;--line:#d9dde3;--grid:#e6e9ee;--ink:#1a1f27;--soft:#5b6675;--warn:#b45309;--warn-card:#fff7ea;--warn-line:#f0cf96;
--c0:#2563c9;--c1:#d9662b;--c2:#15906f;--c3:#b0469b;--c4:#7a5ad0;--c5:#8f7400;--c6:#c2334d;--c7:#4b7f96}
@media (prefers-color-scheme:dark){:root{--paper:#12151a;--card:#1b1f26;--line:#343b46;--grid:#2a303a;--ink:#e8ebf0;--soft:#9aa5b4;--warn:#f2b35c;--warn-card:#2a2114;--warn-line:#5d4520;
--c0:#6fa3f5;--c1:#f0915c;--c2:#45c29c;--c3:#dd83cb;--c4:#ab93f3;--c5:#d3b73f;--c6:#f07b8c;--c7:#84b9cf}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1240px;padding:24px 20px 40px;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;overflow-wrap:anywhere}
h1{font-size:22px;line-height:1.25;margin:0 0 4px}h2{font-size:16px;margin:32px 0 12px}p{margin:0}
.soft,.by,footer{color:var(--soft)}code{font:13px/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,monospace}
header code{display:block;margin-top:8px;padding:8px 10px;background:var(--card);border-radius:6px;max-height:7.5em;overflow:auto}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin-top:20px}
.tiles div{background:var(--card);border-radius:8px;padding:10px 14px}.tiles b{display:block;font-size:20px;line-height:1.3;font-weight:600}.tiles span{color:var(--soft);font-size:13px}
.advice{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:10px}
.advice section{border:1px solid var(--line);border-radius:8px;padding:12px 16px}.advice .warn{border-color:var(--warn-line);background:var(--warn-card)}
.advice h3{font-size:15px;margin:0 0 2px}.advice .warn h3::before{content:"! ";color:var(--warn)}.advice ul{margin:6px 0 0;padding-left:20px}.advice p{font-size:13.5px;color:var(--soft)}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:16px 20px}
figure{margin:0;min-width:0;break-inside:avoid}figcaption{font-weight:600;font-size:14px}.by{font-weight:400}
.keys{display:flex;flex-wrap:wrap;gap:2px 12px;font-size:12.5px;color:var(--soft)}.keys i{display:inline-block;width:14px;height:3px;border-radius:2px;margin-right:5px;vertical-align:middle}
.marks{font-size:12.5px;margin:-8px 0 10px}svg{display:block;width:100%;height:auto}.grid{stroke:var(--grid);fill:none}.tick{fill:var(--soft);font:10.5px system-ui,sans-serif;font-variant-numeric:tabular-nums}
.tick.y{text-anchor:end}.tick.x{text-anchor:middle}.tick.first{text-anchor:start}.tick.last{text-anchor:end}
.line{fill:none;stroke-width:1.6;stroke-linejoin:round}.limit{stroke:var(--soft);stroke-dasharray:2 3;fill:none}
.attempt{stroke:var(--warn);stroke-dasharray:4 3;stroke-width:1.5;fill:none}.checkpoint{fill:var(--soft);stroke:none}
${Array.from({ length: 8 }, (_, index) => `.line.c${index}{stroke:var(--c${index})}i.c${index}{background:var(--c${index})}`).join('')}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}th,td{padding:5px 16px 5px 0;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600;color:var(--soft);font-size:12.5px}td.n,th.n{text-align:right}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:0}dt{color:var(--soft)}dd{margin:0}
footer{margin-top:36px;font-size:13px}
@media (max-width:480px){body{padding:16px 14px 28px}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}.tiles{grid-template-columns:1fr 1fr}}
@media print{:root{--paper:#fff;--card:#f4f4f4;--line:#ccc;--grid:#e4e4e4;--ink:#000;--soft:#444;--warn:#8a4500;--warn-card:#fff;--warn-line:#999;
--c0:#1d4fa3;--c1:#b04d18;--c2:#0d6b52;--c3:#8c3379;--c4:#5b3fb0;--c5:#6b5700;--c6:#9c2038;--c7:#37627a}
body{max-width:none;padding:0;font-size:11pt;print-color-adjust:exact}.plots{grid-template-columns:1fr 1fr}h2{break-after:avoid}section{break-inside:avoid}}
`;
