import type { Asked } from './harness/asked.ts'
import { CORES } from './harness/cores.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import type { Rounds } from './harness/measure.ts'
import { report, reportAsked, reportTargets } from './harness/report.ts'
import { GENERATOR } from './load/load.ts'
import { algorithmSections } from './verify/algorithms.ts'
import { cacheHitSection } from './verify/cache-hit.ts'
import { reportCacheMemory } from './verify/cache-memory.ts'
import { reportCachePolicies } from './verify/cache-policies.ts'
import { type FloodSize, flood } from './verify/flood.ts'
import { type ServedRounds, servedSections } from './verify/served.ts'
import { reportSignatureBackends } from './verify/signature-backends.ts'
import { wasmSection } from './verify/wasm.ts'

export interface VerifySizes {
  readonly rounds: Rounds
  readonly flood: FloodSize
}

/** `bun run bench tokens`: servers of all kinds with a route that asks for a token. */
export async function benchTokens(sizes: ServedRounds, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const occasion = { machine: `${describeMachine()}; load by ${GENERATOR}, ${CORES}`, isKept }
  const { sections, found } = await servedSections(sizes)
  report(sections, occasion)
  reportTargets(found, occasion)
}

/** `bun run bench verify`: what checks a token, without servers around it; and a server that gets many bad ones. */
export async function benchVerify(sizes: VerifySizes, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const alone = { machine: describeMachine(), isKept }
  const underLoad = { machine: `${alone.machine}; load by ${GENERATOR}, ${CORES}`, isKept }
  const asked: Asked[] = []
  const algorithms = await algorithmSections(sizes.rounds)
  report(algorithms.sections, alone)
  await reportSignatureBackends(sizes.rounds, alone)
  const wasm = await wasmSection(sizes.rounds)
  const hit = await cacheHitSection(sizes.rounds)
  report([wasm.section, hit.section], alone)
  reportCachePolicies(sizes.rounds, alone)
  reportCacheMemory(alone)
  asked.push(...algorithms.asked, wasm.asked, hit.asked, ...(await flood(sizes.flood, underLoad)))
  reportAsked({ id: 'verify-asked', title: 'Targets of the token bench' }, asked, underLoad)
}
