/** The thread that computes: ONNX Runtime holds its thread until a run is done, so it never runs where HTTP is answered. */
import { never } from '../core/invariant.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { checkBatches } from './batch-check.ts'
import { isInRows } from './batches.ts'
import { type RowDependence, rowDependence } from './batching/row-dependence.ts'
import type { BatchTrial, FromWorker, ToWorker } from './messages.ts'
import { readModelGraph } from './onnx/model-graph.ts'
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
    case 'check':
      turn = turn.then(() => check(message.trial))
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

async function load({ path, options }: Extract<ToWorker, { kind: 'load' }>): Promise<void> {
  try {
    session = await loadSession(path, options)
    const { inputs, outputs, labels } = session
    post({ kind: 'loaded', inputs, outputs, labels })
  } catch (error) {
    post({ kind: 'refused', reason: error instanceof Error ? error.message : String(error) })
  }
}

async function check(trial: BatchTrial): Promise<void> {
  try {
    if (session === undefined) throw new Error('the model was not loaded')
    const dependence = isInRows(session.inputs) ? await dependenceIn(session) : ({ kind: 'independent' } as const)
    const { inputs, outputs, run } = session
    const safeRun = (tensors: readonly Tensor[]) =>
      run(tensors).catch((error: unknown) => {
        throw new Error(safeReason(error))
      })
    post({ kind: 'checked', check: await checkBatches({ inputs, outputs, run: safeRun }, { ...trial, dependence }) })
  } catch (error) {
    post({ kind: 'failed', reason: safeReason(error) })
  }
}

async function dependenceIn({ outputs, readModel }: Session): Promise<RowDependence> {
  try {
    const names = outputs.map(({ name }) => name)
    return rowDependence(readModelGraph(await readModel()), names)
  } catch (error) {
    return { kind: 'undecided', causes: [`its graph cannot be read: ${safeReason(error)}`] }
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
