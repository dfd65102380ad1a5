import { rmSync } from 'node:fs'
import { type BatchingSizes, benchBatching } from './engine/batching.ts'
import { writeDenseModels } from './engine/dense-model.ts'
import { benchIdle, benchMessages } from './engine/hop.ts'
import { benchLive } from './engine/live.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import type { Rounds } from './harness/measure.ts'
import { report, reportAsked, reportTargets } from './harness/report.ts'

export interface EngineSizes {
  readonly rounds: Rounds
  readonly batching: BatchingSizes
  readonly liveSeconds: number
}

/** `bun run bench engine`: batches, the way to a worker and back, health while models compute, memory. */
export async function benchEngine({ rounds, batching, liveSeconds }: EngineSizes, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const machine = describeMachine()
  const folder = await writeDenseModels()
  try {
    const batches = await benchBatching(folder, batching)
    const idle = await benchIdle(rounds)
    const messages = await benchMessages(rounds)
    const live = await benchLive(folder, liveSeconds)
    const occasion = { machine, isKept }
    report([batches.section, idle.section, messages, live.section], occasion)
    reportAsked(
      { id: 'engine-asked', title: 'Targets of the engine bench' },
      [...batches.asked, ...idle.asked, ...live.asked],
      occasion,
    )
    reportTargets(new Map([['batches-dense', batches.dense]] as const), occasion)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
