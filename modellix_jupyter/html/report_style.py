"""The style sheet of a report: light and dark, a telephone's width, and paper."""

from __future__ import annotations

from modellix_jupyter.html.markup import Html

STYLE = Html("""
:root{color-scheme:light dark;--ink:#16181d;--soft:#5c6370;--page:#fbfbfa;--card:#fff;
--line:#e4e5e7;--well:#f1f1ef;--good:#1f7a44;--bad:#b42328}
@media(prefers-color-scheme:dark){:root{--ink:#eceef1;--soft:#a0a7b3;--page:#121316;--card:#1b1d21;
--line:#2f3238;--well:#24262b;--good:#5bc98a;--bad:#ff8a86}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);overflow-wrap:anywhere;
font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main,header,footer{max-width:1180px;margin:0 auto;padding:0 clamp(16px,4vw,40px)}
header{padding-top:clamp(28px,6vw,64px);padding-bottom:20px}
h1{font-size:clamp(25px,4.2vw,40px);line-height:1.15;letter-spacing:-.02em;font-weight:650;margin:0}
h2{font-size:18px;font-weight:620;letter-spacing:-.01em;margin:44px 0 14px}
h2 small{font-weight:400;font-size:14px;color:var(--soft);margin-left:8px;letter-spacing:0}
time{color:var(--soft);font-size:14px;display:block;margin-top:8px}
dl{display:flex;flex-wrap:wrap;gap:1px;margin:20px 0 0;
background:var(--line);border:1px solid var(--line);border-radius:12px;overflow:hidden}
dl div{flex:1 1 130px;background:var(--card);padding:14px 18px}
dt{color:var(--soft);font-size:13px}dd{margin:2px 0 0;font-size:21px;font-weight:620;
letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,256px),1fr));gap:20px}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:12px;
overflow:hidden;display:flex;flex-direction:column;break-inside:avoid}
.well{background:var(--well);aspect-ratio:1;display:flex;align-items:center;justify-content:center;
overflow:hidden}
.well img{width:100%;height:100%!important;object-fit:contain;border-radius:0!important}
.well a{display:block;width:100%;height:100%}
.well video{width:100%;max-height:100%!important}.well audio{width:88%!important}
.well>div{border:0!important;text-align:center;padding:24px!important}
.reason{font-size:14px;color:var(--soft);text-align:center;padding:24px}
.reason strong{display:block;color:var(--bad);margin-bottom:4px}
figcaption{padding:12px 16px 15px;font-size:13px}
figcaption b{display:block;font-size:14px;font-weight:620}
figcaption span{display:block;color:var(--soft);font-variant-numeric:tabular-nums}
figcaption p{margin:6px 0 0;display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:3;
overflow:hidden}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:12px;background:var(--card)}
.wide table{border-collapse:collapse;width:100%;font-size:13px}
.wide th,.wide td{text-align:left;vertical-align:top;padding:9px 14px;min-width:56px;
border-bottom:1px solid var(--line)}
.wide th{color:var(--soft);font-weight:500;white-space:nowrap}
.wide tr:last-child td{border-bottom:0}
.small{width:fit-content;max-width:100%}
.grid{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px 20px 8px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:20px}
.plots figure{padding:16px 16px 4px;justify-content:space-between}
.plots figcaption{padding:8px 0 10px;color:var(--soft)}
.plots img{display:block;width:100%;height:auto}
.wide .n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.wide .s{white-space:nowrap}.wide .l{min-width:220px;max-width:340px}
.wide td img{border-radius:5px!important;min-width:48px}
footer{color:var(--soft);font-size:13px;padding-top:28px;padding-bottom:48px}
@media(max-width:480px){.grid{padding:12px 12px 4px}.gallery{grid-template-columns:1fr 1fr;gap:10px}
figcaption{padding:9px 11px 11px}
.reason,.well>div{padding:12px!important;font-size:13px}}
@media print{@page{margin:14mm}:root{--ink:#000;--soft:#444;--page:#fff;--card:#fff;--line:#ccc;
--well:#f4f4f4;--bad:#b42328}body{font-size:11px}header{padding-top:0}main,header,footer{padding-left:0;
padding-right:0}.gallery{grid-template-columns:repeat(3,1fr);gap:10px}.wide{overflow:visible;border:0}
.wide table{font-size:8px}.wide th,.wide td{padding:3px 5px;min-width:0;white-space:normal}
.wide .l{min-width:0}.wide .s{white-space:normal}.wide .x{display:none}
tr,figure{break-inside:avoid}.grid{border:0;padding:0}.plots{grid-template-columns:1fr 1fr}
h2{break-after:avoid}tr:has(th[scope=rowgroup]){break-after:avoid}}
""")
