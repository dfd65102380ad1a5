import { createEngine, type EngineOptions } from '../../src/engine/create-engine.ts'
import type { Engine } from '../../src/engine/engine.ts'

export interface MarkedEngine {
  readonly engine: Engine
  /** Every worker that was started, in order. */
  readonly workers: readonly Worker[]
  readonly warnings: readonly string[]
  /** Lets runs that hang go on, and those to come. */
  readonly open: () => void
}

/** An engine whose workers end, fail or hang on marked inputs (`marked-worker.ts`). */
export async function startMarked({
  started,
  ...options
}: EngineOptions & {
  /** Hears of each worker before it is told anything but its gate. */
  readonly started?: (worker: Worker) => void
}): Promise<MarkedEngine> {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const workers: Worker[] = []
  const warnings: string[] = []
  const startWorker = () => {
    const worker = new Worker(new URL('./marked-worker.ts', import.meta.url))
    worker.postMessage({ kind: 'gate', gate: gate.buffer })
    workers.push(worker)
    started?.(worker)
    return worker
  }
  const warn = (text: string) => warnings.push(text)
  const engine = await createEngine({ instances: 1, threads: 1, warn, startWorker, ...options })
  const open = () => {
    Atomics.store(gate, 0, 1)
    Atomics.notify(gate, 0)
  }
  return { engine, workers, warnings, open }
}
