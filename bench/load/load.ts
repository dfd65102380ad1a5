import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onCore } from '../harness/cores.ts'

export interface Target {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
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
  readonly failures: number
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
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end`

async function withWrk(target: Target, { seconds, connections, isPinned = true }: Load): Promise<LoadResult> {
  const { url, method, headers, body, tokens } = target
  const folder = mkdtempSync(join(tmpdir(), 'vestal-wrk-'))
  const script = join(folder, 'request.lua')
  const lines = Object.entries(headers).map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`)
  const parts = [
    `wrk.method = "${method}"`,
    body === undefined ? '' : `wrk.body = [==[${body}]==]`,
    ...lines,
    tokens === undefined ? '' : requestScript(tokens),
    REPORT,
  ]
  writeFileSync(script, parts.join('\n'))
  const command = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, url]
  const child = Bun.spawn(isPinned ? onCore(1, command) : command, { stdout: 'pipe', stderr: 'inherit' })
  const output = await new Response(child.stdout).text()
  rmSync(folder, { recursive: true })
  const [, requests = 0, microseconds = 1, p50 = 0, p99 = 0, failures = 1] =
    /RESULT (\d+) (\d+) (\d+) (\d+) (\d+)/.exec(output)?.map(Number) ?? []
  return { requests, requestsPerSecond: (requests * 1e6) / microseconds, p50Ms: p50 / 1000, p99Ms: p99 / 1000, failures }
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
  const command = [process.execPath, join(import.meta.dir, 'generator.ts'), JSON.stringify({ target, load })]
  const child = Bun.spawn(load.isPinned === false ? command : onCore(1, command), { stdout: 'pipe', stderr: 'inherit' })
  return JSON.parse(await new Response(child.stdout).text()) as LoadResult
}
