/** A closed loop of requests, for machines without wrk: run by `load.ts` as a process of its own. */
import { readFileSync } from 'node:fs'
import { type Load, type LoadResult, numeral, type Target, type Tokens } from './load.ts'

const { target, load } = JSON.parse(process.argv[2] ?? '{}') as { readonly target: Target; readonly load: Load }
const { url, method, headers, body, tokens } = target
const nextToken = tokens === undefined ? undefined : tokenSource(tokens)
const begun = performance.now()
const end = begun + load.seconds * 1000
const durations: number[] = []
let failures = 0

function tokenSource(given: Tokens): () => string {
  let index = given.first
  if (given.kind === 'counted') return () => given.pattern.replace('#', numeral(index++))
  const list = readFileSync(given.file, 'utf8').trimEnd().split('\n')
  return () => list[index++ % list.length] ?? ''
}

async function connection(): Promise<void> {
  while (performance.now() < end) {
    const all = nextToken === undefined ? headers : { ...headers, authorization: `Bearer ${nextToken()}` }
    const sent = performance.now()
    const response = await fetch(url, { method, headers: all, ...(body !== undefined && { body }) })
    await response.arrayBuffer()
    if (!response.ok) failures += 1
    durations.push(performance.now() - sent)
  }
}

await Promise.all(Array.from({ length: load.connections }, connection))
durations.sort((a, b) => a - b)
const at = (share: number) => durations[Math.floor(durations.length * share)] ?? 0
const result: LoadResult = {
  requests: durations.length,
  requestsPerSecond: (durations.length * 1000) / (performance.now() - begun),
  p50Ms: at(0.5),
  p99Ms: at(0.99),
  failures,
}
console.log(JSON.stringify(result))
