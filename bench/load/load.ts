import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onCore } from '../harness/cores.ts'

export interface Target {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Another `Authorization` for each request, in place of one in `headers`. */
  readonly tokens?: Tokens
}

/** Tokens of a file, a line each, in turn from one of them on; or one token with a number written where `#` stands. */
export type Tokens =
  | { readonly kind: 'list'; readonly file: string; readonly first: number }
  | { readonly kind: 'counted'; readonly pattern: string; readonly first: number }

export interface Load {
  readonly seconds: number
  readonly connections: number
  /** Whether the load has a core of its own; default true. */
  readonly isPinned?: boolean
}

export interface LoadResult {
  readonly requests: number
  readonly requestsPerSecond: number
  /** Milliseconds that half, and all but one in a hundred, of the requests took at most. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  /** Milliseconds at each share of `SHARES`. */
  readonly distribution: readonly number[]
  readonly failures: number
}

/** Shares of the requests, in per cent, at which a distribution is given. */
export const SHARES = [10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99] as const

/** What a load found, from the milliseconds of its requests at each share. */
export function resultOf(
  counts: Pick<LoadResult, 'requests' | 'requestsPerSecond' | 'failures'>,
  distribution: readonly number[],
): LoadResult {
  const at = (share: (typeof SHARES)[number]) => distribution[SHARES.indexOf(share)] ?? Number.NaN
  return { ...counts, p50Ms: at(50), p99Ms: at(99), p999Ms: at(99.9), distribution }
}

/** The same from the durations themselves. */
export function distributionOf(durations: readonly number[]): readonly number[] {
  const sorted = [...durations].sort((a, b) => a - b)
  return SHARES.map((share) => sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * share) / 100))] ?? Number.NaN)
}

/** What makes the load: wrk where it is installed, else a process of ours. */
export const GENERATOR: 'wrk' | 'bun' = Bun.which('wrk') === null ? 'bun' : 'wrk'

/** Keeps that many connections busy for that long, from the core of loads. */
export function putLoad(target: Target, load: Load): Promise<LoadResult> {
  return GENERATOR === 'wrk' ? withWrk(target, load) : withBun(target, load)
}

/** The number of a request as it stands in a counted token: eight characters, all of them base64url's. */
export function numeral(count: number): string {
  return count.toString(16).padStart(8, '0')
}

const REPORT = `done = function(summary, latency)
  local at = {}
  for index, share in ipairs({${SHARES.join(',')}}) do at[index] = string.format("%d", latency:percentile(share)) end
  io.write(string.format("RESULT %d %d %d %s\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout, table.concat(at, " ")))
end`

async function withWrk(target: Target, { seconds, connections, isPinned = true }: Load): Promise<LoadResult> {
  const { url, method, headers, body, tokens } = target
  const folder = mkdtempSync(join(tmpdir(), 'vestal-wrk-'))
  const [script, bodyFile] = [join(folder, 'request.lua'), join(folder, 'body')]
  if (body !== undefined) writeFileSync(bodyFile, body)
  const lines = Object.entries(headers).map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`)
  const parts = [
    `wrk.method = "${method}"`,
    body === undefined ? '' : `wrk.body = io.open(${JSON.stringify(bodyFile)}, "rb"):read("*a")`,
    ...lines,
    tokens === undefined ? '' : requestScript(tokens),
    REPORT,
  ]
  writeFileSync(script, parts.join('\n'))
  // It counts whole seconds.
  const command = [
    'wrk',
    '-t1',
    `-c${connections}`,
    `-d${Math.max(1, Math.round(seconds))}s`,
    '--timeout',
    '30s',
    '-s',
    script,
    url,
  ]
  const child = Bun.spawn(isPinned ? onCore(1, command) : command, { stdout: 'pipe', stderr: 'inherit' })
  const output = await new Response(child.stdout).text()
  rmSync(folder, { recursive: true })
  const [requests = 0, microseconds = 1, failures = 1, ...times] =
    /RESULT ([\d ]+)/.exec(output)?.[1]?.split(' ').map(Number) ?? []
  const counts = { requests, requestsPerSecond: (requests * 1e6) / microseconds, failures }
  return resultOf(
    counts,
    times.map((time) => time / 1000),
  )
}

/** Requests are written out before the load begins where that can be, so that the generator has little to do for each. */
function requestScript(tokens: Tokens): string {
  if (tokens.kind === 'list') {
    return `local requests, index = {}, ${tokens.first}
function init()
  for token in io.lines(${JSON.stringify(tokens.file)}) do
    wrk.headers["authorization"] = "Bearer " .. token
    requests[#requests + 1] = wrk.format()
  end
end
function request()
  index = index % #requests + 1
  return requests[index]
end`
  }
  return `local before, after, count = "", "", ${tokens.first}
function init()
  wrk.headers["authorization"] = "Bearer ${tokens.pattern}"
  before, after = wrk.format():match("^(.*)#(.*)$")
end
function request()
  count = count + 1
  return before .. string.format("%08x", count) .. after
end`
}

async function withBun(target: Target, load: Load): Promise<LoadResult> {
  return inProcess('generator.ts', target, load)
}

/** Requests at a constant rate, whether or not the answers keep up: the time of each counts from when it was due. */
export function putConstantRate(
  target: Omit<Target, 'tokens'>,
  load: Load & { readonly requestsPerSecond: number },
): Promise<LoadResult> {
  return inProcess('constant-rate.ts', target, load)
}

/** Runs a generator of ours, whose body comes in a file: it may be longer than a command line. */
async function inProcess(file: string, { body, ...target }: Target, load: Load): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-load-'))
  const bodyFile = join(folder, 'body')
  if (body !== undefined) writeFileSync(bodyFile, body)
  const plan = JSON.stringify({ target, load, ...(body !== undefined && { bodyFile }) })
  const command = [process.execPath, join(import.meta.dir, file), plan]
  const child = Bun.spawn(load.isPinned === false ? command : onCore(1, command), { stdout: 'pipe', stderr: 'inherit' })
  const printed = await new Response(child.stdout).text()
  rmSync(folder, { recursive: true })
  // The cast: the generators are ours.
  return JSON.parse(printed) as LoadResult
}
