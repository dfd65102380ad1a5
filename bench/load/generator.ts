/** A closed loop of requests, for machines without wrk: run by `load.ts` as a process of its own. */
import { readFileSync } from 'node:fs'
import { distributionOf, type Load, numeral, resultOf, type Target, type Tokens } from './load.ts'

const { target, load, bodyFile } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly target: Target
  readonly load: Load
  readonly bodyFile?: string
}
const { url, method, headers, tokens } = target
const body = bodyFile === undefined ? undefined : new Uint8Array(readFileSync(bodyFile))
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
const seconds = (performance.now() - begun) / 1000
const counts = { requests: durations.length, requestsPerSecond: durations.length / seconds, failures }
console.log(JSON.stringify(resultOf(counts, distributionOf(durations))))
