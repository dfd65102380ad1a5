import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine, type EngineOptions } from '../../src/inference/create-engine.ts'
import type { Engine } from '../../src/inference/engine.ts'
import { type InstanceProcess, type StartInstance, startInstanceProcess } from '../../src/inference/instance/instance-process.ts'

export interface MarkedEngine {
  readonly engine: Engine
  /** Every worker process that was started, in order. */
  readonly workers: readonly InstanceProcess[]
  readonly warnings: readonly string[]
  /** Lets runs that hang go on, and those to come. */
  readonly open: () => void
}

/** An engine whose worker processes end, fault or hang on marked inputs (`marked-instance.ts`). */
export async function startMarked({
  started = (worker) => worker,
  ...options
}: EngineOptions & {
  /** Stands in for each worker process that was started. */
  readonly started?: (worker: InstanceProcess) => InstanceProcess
}): Promise<MarkedEngine> {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-gate-'))
  const gate = join(folder, 'open')
  const command = [process.execPath, join(import.meta.dir, 'marked-instance.ts'), gate]
  const workers: InstanceProcess[] = []
  const warnings: string[] = []
  const startInstance: StartInstance = (events) => {
    const worker = started(startInstanceProcess(command, events))
    workers.push(worker)
    return worker
  }
  const warn = (text: string) => warnings.push(text)
  const engine = await createEngine({ instances: 1, threads: 1, warn, startInstance, ...options })
  const stop = async () => {
    await engine.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return { engine: { ...engine, stop }, workers, warnings, open: () => writeFileSync(gate, '') }
}
