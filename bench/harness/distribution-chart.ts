import { SHARES } from '../load/load.ts'

/** Latencies of one contestant at each share of `SHARES`, in milliseconds; not a number where it is not known. */
export interface Line {
  readonly name: string
  readonly distribution: readonly number[]
}

const [WIDTH, HEIGHT] = [760, 420] as const
const [LEFT, RIGHT, TOP, BOTTOM] = [56, 210, 44, 64] as const
/** Where the lines begin: what is faster than half of the requests says little. */
const FIRST_SHARE = 50
/** Colours that stay apart for those who see few of them, on light and on dark pages. */
const COLOURS = [
  '#b4471b',
  '#2f7fb8',
  '#3f9a5f',
  '#9b6bc4',
  '#b8862f',
  '#7a8794',
  '#c2547d',
  '#4fa3a3',
  '#8a6f4e',
  '#5d6fc9',
] as const

/** The share on an axis where each nine is as wide: 50 %, 90 %, 99 %, 99.9 %. */
const nines = (share: number) => -Math.log10(1 - share / 100)

/** A chart of latencies by the share of requests that took at most so long; both axes are logarithmic. */
export function distributionChart(
  { title, lines }: { readonly title: string; readonly lines: readonly Line[] },
  machine: string,
): string {
  const shares = SHARES.filter((share) => share >= FIRST_SHARE)
  const pointsOf = ({ distribution }: Line) =>
    shares.map((share) => [share, distribution[SHARES.indexOf(share)] ?? Number.NaN] as const).filter(([, ms]) => ms > 0)
  const all = lines.flatMap((line) => pointsOf(line).map(([, ms]) => ms))
  const [low, high] = [Math.floor(Math.log10(Math.min(...all))), Math.ceil(Math.log10(Math.max(...all)))]
  const span = Math.max(1, high - low)
  const x = (share: number) =>
    LEFT + ((nines(share) - nines(FIRST_SHARE)) / (nines(shares.at(-1) ?? 99) - nines(FIRST_SHARE))) * (WIDTH - LEFT - RIGHT)
  const y = (ms: number) => HEIGHT - BOTTOM - ((Math.log10(ms) - low) / span) * (HEIGHT - TOP - BOTTOM)
  const decades = Array.from({ length: span + 1 }, (_, index) => 10 ** (low + index))
  const grid = [
    ...decades.map(
      (ms) =>
        `<path class="grid" d="M${LEFT} ${y(ms).toFixed(1)}H${WIDTH - RIGHT}"/><text x="${LEFT - 6}" y="${(y(ms) + 4).toFixed(1)}" text-anchor="end">${ms}</text>`,
    ),
    ...[50, 90, 99, 99.9, 99.99].map(
      (share) =>
        `<path class="grid" d="M${x(share).toFixed(1)} ${TOP}V${HEIGHT - BOTTOM}"/><text x="${x(share).toFixed(1)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${share} %</text>`,
    ),
  ]
  const lastOf = (line: Line) => pointsOf(line).at(-1)?.[1] ?? 0
  const drawn = [...lines].sort((a, b) => lastOf(b) - lastOf(a))
  const marks = drawn.map((line, index) => {
    const place = lines.indexOf(line)
    const colour = COLOURS[place % COLOURS.length]
    const dash = place < COLOURS.length ? '' : ' stroke-dasharray="6 3"'
    const path = pointsOf(line).map(([share, ms]) => `${x(share).toFixed(1)} ${y(ms).toFixed(1)}`)
    const at = TOP + 8 + index * 18
    return `<path d="M${path.join('L')}" fill="none" stroke="${colour}" stroke-width="2"${dash}/>
<rect x="${WIDTH - RIGHT + 12}" y="${at - 9}" width="12" height="10" fill="${colour}"/><text x="${WIDTH - RIGHT + 30}" y="${at}">${Bun.escapeHTML(line.name)}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="12">
<title>${Bun.escapeHTML(title)}, milliseconds by share of the requests</title>
<style>.page{fill:#fff}.grid{stroke:#d5dae0}text{fill:#1f2933}.note{fill:#52606d;font-size:11px}
@media (prefers-color-scheme:dark){.page{fill:#14181d}.grid{stroke:#323a43}text{fill:#e6e9ec}.note{fill:#a9b4bf}}</style>
<rect class="page" width="${WIDTH}" height="${HEIGHT}" rx="8"/>
<text x="12" y="24" font-size="15" font-weight="600">${Bun.escapeHTML(title)}</text>
${grid.join('\n')}
${marks.join('\n')}
<text class="note" x="12" y="${HEIGHT - 30}">Milliseconds (up) that this share of the requests took at most (to the right)</text>
<text class="note" x="12" y="${HEIGHT - 12}">${Bun.escapeHTML(machine)}</text>
</svg>
`
}
