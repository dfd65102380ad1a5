/** The thread that computes: ONNX Runtime holds its thread until a run is done, so it never runs where HTTP is answered. */
import { never } from '../core/invariant.ts'
import type { FromWorker, LoadResult, ModelSource, ToWorker } from './messages.ts'
import { loadSession, type Session, safeReason } from './ort.ts'

declare const self: Worker

const sessions = new Map<string, Session>()

self.onmessage = ({ data: message }: MessageEvent<ToWorker>) => {
  switch (message.kind) {
    case 'load':
      return void load(message.sources, message.threads)
    case 'run':
      return void run(message)
    default:
      return never(message)
  }
}

async function load(sources: readonly ModelSource[], threads: number): Promise<void> {
  const results: LoadResult[] = []
  for (const { key, path } of sources) results.push(await loadOne(key, { path, threads }))
  post({ kind: 'loaded', results })
}

async function loadOne(key: string, { path, threads }: { readonly path: string; readonly threads: number }): Promise<LoadResult> {
  try {
    const session = await loadSession(path, threads)
    sessions.set(key, session)
    return { key, inputs: session.inputs, outputs: session.outputs }
  } catch (error) {
    return { key, reason: error instanceof Error ? error.message : String(error) }
  }
}

async function run({ id, key, inputs, outputs }: Extract<ToWorker, { kind: 'run' }>): Promise<void> {
  try {
    const session = sessions.get(key)
    if (session === undefined) throw new Error('the model could not be loaded again')
    const result = await session.run(new Map(inputs), outputs)
    post({ kind: 'result', id, outputs: [...result.outputs], timing: result.timing })
  } catch (error) {
    post({ kind: 'failed', id, reason: safeReason(error) })
  }
}

function post(message: FromWorker): void {
  self.postMessage(message)
}
