import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Target {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Load {
  readonly seconds: number
  readonly connections: number
}

export interface LoadResult {
  readonly requestsPerSecond: number
  /** Milliseconds that half, and all but one in a hundred, of the requests took at most. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly failures: number
}

/** What makes the load: wrk where it is installed, else a process of ours. */
export const GENERATOR: 'wrk' | 'bun' = Bun.which('wrk') === null ? 'bun' : 'wrk'

/** Keeps that many connections busy for that long. */
export function putLoad(target: Target, load: Load): Promise<LoadResult> {
  return GENERATOR === 'wrk' ? withWrk(target, load) : withBun(target, load)
}

async function withWrk({ url, method, headers, body }: Target, { seconds, connections }: Load): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-wrk-'))
  const script = join(folder, 'request.lua')
  const lines = Object.entries(headers).map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`)
  const report = `done = function(summary, latency)
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end`
  writeFileSync(
    script,
    [`wrk.method = "${method}"`, body === undefined ? '' : `wrk.body = [==[${body}]==]`, ...lines, report].join('\n'),
  )
  const child = Bun.spawn(['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, url], {
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const output = await new Response(child.stdout).text()
  rmSync(folder, { recursive: true })
  const [, requests = 0, microseconds = 1, p50 = 0, p99 = 0, failures = 1] =
    /RESULT (\d+) (\d+) (\d+) (\d+) (\d+)/.exec(output)?.map(Number) ?? []
  return { requestsPerSecond: (requests * 1e6) / microseconds, p50Ms: p50 / 1000, p99Ms: p99 / 1000, failures }
}

async function withBun(target: Target, load: Load): Promise<LoadResult> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'generator.ts'), JSON.stringify({ target, load })], {
    stdout: 'pipe',
    stderr: 'inherit',
  })
  return JSON.parse(await new Response(child.stdout).text()) as LoadResult
}
