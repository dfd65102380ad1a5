/** The real worker, which a test can make end, fail or hang in the middle of a run, by a number in its first input. */
import '../../src/engine/worker.ts'
import type { ToWorker } from '../../src/engine/messages.ts'
import { CRASH, HANG, UNCAUGHT } from './marks.ts'

declare const self: Worker

let gate: Int32Array<SharedArrayBuffer> | undefined
const real = self.onmessage

self.onmessage = (event: MessageEvent<ToWorker | { readonly kind: 'gate'; readonly gate: SharedArrayBuffer }>) => {
  const { data } = event
  if (data.kind === 'gate') {
    gate = new Int32Array(data.gate)
    return
  }
  const values: readonly unknown[] = data.kind === 'run' ? [...(data.inputs[0]?.data ?? [])] : []
  if (values.includes(CRASH)) process.exit(1)
  if (values.includes(UNCAUGHT)) throw new Error('a marked input')
  if (values.includes(HANG) && gate !== undefined) Atomics.wait(gate, 0, 0)
  real?.call(self, event as MessageEvent<ToWorker>)
}
