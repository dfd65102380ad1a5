/** The thread that computes: ONNX Runtime holds its thread until a run is done, so it never runs where HTTP is answered. */
import { never } from '../core/invariant.ts'
import { checkBatches } from './batch-check.ts'
import type { FromWorker, ToWorker } from './messages.ts'
import { loadSession, type Session, safeReason } from './ort.ts'
import { pack } from './transfer.ts'

declare const self: Worker

let session: Session | undefined
/** Runs go one after the other: the answer of one is sent before the next begins. */
let turn: Promise<void> = Promise.resolve()

self.onmessage = ({ data: message }: MessageEvent<ToWorker>) => {
  switch (message.kind) {
    case 'load':
      turn = load(message)
      return
    case 'run':
      turn = turn.then(() => run(message))
      return
    case 'end':
      turn = turn.then(() => process.exit())
      return
    default:
      return never(message)
  }
}

async function load({ path, options, isChecked }: Extract<ToWorker, { kind: 'load' }>): Promise<void> {
  try {
    session = await loadSession(path, options)
    const { inputs, outputs, labels } = session
    post({ kind: 'loaded', inputs, outputs, labels, ...(isChecked && { check: await checkBatches(session) }) })
  } catch (error) {
    post({ kind: 'refused', reason: error instanceof Error ? error.message : String(error) })
  }
}

async function run({ inputs, outputs: names }: Extract<ToWorker, { kind: 'run' }>): Promise<void> {
  try {
    if (session === undefined) throw new Error('the model was not loaded')
    const { outputs, timing } = await session.run(inputs, names)
    const { tensors, buffers } = pack(outputs)
    self.postMessage({ kind: 'result', outputs: tensors, timing } satisfies FromWorker, buffers)
  } catch (error) {
    post({ kind: 'failed', reason: safeReason(error) })
  }
}

function post(message: FromWorker): void {
  self.postMessage(message)
}
