/** A closed loop of requests, for machines without wrk: run by `load.ts` as a process of its own. */
import type { Load, LoadResult, Target } from './load.ts'

const { target, load } = JSON.parse(process.argv[2] ?? '{}') as { readonly target: Target; readonly load: Load }
const { url, method, headers, body } = target
const begun = performance.now()
const end = begun + load.seconds * 1000
const durations: number[] = []
let failures = 0

async function connection(): Promise<void> {
  while (performance.now() < end) {
    const sent = performance.now()
    const response = await fetch(url, { method, headers, ...(body !== undefined && { body }) })
    await response.arrayBuffer()
    if (!response.ok) failures += 1
    durations.push(performance.now() - sent)
  }
}

await Promise.all(Array.from({ length: load.connections }, connection))
durations.sort((a, b) => a - b)
const at = (share: number) => durations[Math.floor(durations.length * share)] ?? 0
const result: LoadResult = {
  requestsPerSecond: (durations.length * 1000) / (performance.now() - begun),
  p50Ms: at(0.5),
  p99Ms: at(0.99),
  failures,
}
console.log(JSON.stringify(result))
