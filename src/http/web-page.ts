import { SECURITY_HEADERS } from './json.ts'

export interface WebPage {
  readonly title: string
  /** HTML between the flame and the end of the page; whatever is not ours in it is escaped. */
  readonly main: string
  /** Default 200. */
  readonly status?: number
  /** Response headers beside those of every page. */
  readonly headers?: Readonly<Record<string, string>>
}

/** A flame, drawn with attributes only: the page's policy allows no inline style. */
const FLAME = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="#e8590c" d="M12 1c1 4 6 7 6 13a6 6 0 0 1-12 0c0-3 2-5 3-7 1 2 1 3 2 4 1-3 1-6 1-10z"/><path fill="#ffd43b" d="M12 12c1 2 3 3 3 5a3 3 0 0 1-6 0c0-2 2-3 3-5z"/></svg>`
const ICON = `data:image/svg+xml,${encodeURIComponent(FLAME)}`

/** The colours and the type of the documentation page, light and dark. */
const STYLE = `
:root{color-scheme:light dark;--text:#3b4151;--quiet:#5f6673;--page:#fafafa;--card:#fff;--line:#d8dde7;--link:#1a5fb4;--good:#1b7f4d;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--text:#e4e6e6;--quiet:#a9b2b8;--page:#1c2022;--card:#262b2f;--line:#40484e;--link:#8ab4f8;--good:#6fd8a0;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:46rem;margin:0 auto;padding:2.5rem 1rem}
svg{width:2.5rem;height:2.5rem;display:block}
h1{font-size:2rem;line-height:1.2;margin:.5rem 0}
h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.5rem 0}
a{color:var(--link)}
a:focus-visible{outline:2px solid var(--link);outline-offset:2px}
code,pre{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.875rem}
pre{margin:.5rem 0;padding:.75rem 1rem;background:var(--card);border:1px solid var(--line);border-radius:6px;white-space:pre-wrap}
ul{list-style:none;margin:.5rem 0;padding:0;background:var(--card);border:1px solid var(--line);border-radius:6px}
li{padding:.75rem 1rem}
li+li{border-top:1px solid var(--line)}
li span{display:block}
.quiet{color:var(--quiet)}
.foot{margin-top:2rem}
.state{font-weight:600}
.good{color:var(--good)}
.bad{color:var(--bad)}
`
const STYLE_HASH = new Bun.CryptoHasher('sha256').update(STYLE).digest('base64')

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
  vary: 'accept',
  ...SECURITY_HEADERS,
}

/** A whole page of this server, without a script and without a file beside it. */
export function webPage({ title, main, status = 200, headers }: WebPage): Response {
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${Bun.escapeHTML(title)}</title>
<link rel="icon" href="${ICON}">
<style>${STYLE}</style>
</head>
<body>
<main>
${FLAME}
${main}
</main>
</body>
</html>
`
  return new Response(html, { status, headers: { ...headers, ...HEADERS } })
}

/** True where the client would rather have HTML than JSON, as a browser does that opens an address (RFC 9110 §12.5.1). */
export function prefersHtml({ headers }: Request): boolean {
  const accept = headers.get('accept')
  if (accept === null || !/text\/html/i.test(accept)) return false
  const ranges = accept
    .toLowerCase()
    .split(',')
    .map((range) => range.split(';').map((part) => part.trim()))
  return qualityOf('text/html', ranges) > qualityOf('application/json', ranges)
}

type MediaRange = readonly string[]

/** What the most specific range that fits a media type gives it; 0 where none does. */
function qualityOf(mediaType: string, ranges: readonly MediaRange[]): number {
  for (const wanted of [mediaType, mediaType.replace(/\/.*/, '/*'), '*/*']) {
    const range = ranges.find(([name]) => name === wanted)
    if (range === undefined) continue
    const quality = Number(range.find((part) => part.startsWith('q='))?.slice(2) ?? 1)
    return Number.isNaN(quality) ? 0 : quality
  }
  return 0
}
