/** What an instance process does: it loads a model, or several that share it, and computes runs, one after the other, until its server closes the socket. */
import { readSync, writeSync } from 'node:fs'
import { basename } from 'node:path'
import { never } from '../../core/invariant.ts'
import { EXCHANGE_BYTES, ExchangeFile, mapFile } from '../../processes/exchange.ts'
import { FrameAssembler, type ReadBytes } from '../../processes/frames.ts'
import { limitMemory } from '../../processes/restrict.ts'
import type { TokenizerFacts } from '../../tasks/folder/facts.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { isInRows } from '../batches.ts'
import type { RowDependence } from '../batching/row-dependence.ts'
import type { BatchCheck, BatchTrial } from '../messages.ts'
import { metadataOf } from '../onnx/metadata.ts'
import { endReason } from '../runtime/load-reason.ts'
import type { Session } from '../runtime/ort.ts'
import { type Failure, failureOf } from '../runtime/runtime-failure.ts'
import { prepareTurns, takeTurn, withoutTurn } from './event-loop.ts'
import { FrameReader, FrameWriter, LANES, type ResultFrame } from './frames.ts'
import type { FromInstance, LoadedMessage, LoadInstance, ToInstance, UnloadInstance } from './messages.ts'

/** Its descriptors: the socket, and for each lane the file of inputs and that of outputs. */
const SOCKET = 3
const FIRST_EXCHANGE = 4
const READ_BYTES = 256 * 1024
/** Runs, and bytes of outputs, after which the event loop has a turn. */
const TURN_RUNS = 64
const TURN_BYTES = 1024 * 1024

export interface InstanceHooks {
  /** Called before each run; a test makes the process end, fail or wait here. */
  readonly beforeRun?: (inputs: readonly Tensor[]) => void
}

/**
 * Serves until the socket is closed, then ends the process. It waits for frames by a blocking read, without an event loop: that is
 * the shortest way from the server to ONNX Runtime and back.
 */
export async function serveInstance(hooks: InstanceHooks = {}): Promise<never> {
  prepareTurns()
  const instance = new ServedInstance(hooks)
  for (const frame of framesOf(SOCKET)) {
    const reader = new FrameReader(frame)
    if (reader.kind === 'run') await instance.run(reader)
    else if (reader.kind === 'check') await instance.check(reader)
    // The cast: the server is trusted, and of the same version.
    else await instance.control(reader.control() as ToInstance)
  }
  // Without exit handlers: those of native libraries may fail, and nothing depends on them.
  process.kill(process.pid, 'SIGKILL')
  throw new Error('the process still runs after SIGKILL')
}

/** The models of the process, and what is asked of them. */
class ServedInstance {
  readonly #hooks: InstanceHooks
  readonly #writer = new FrameWriter()
  readonly #lanes = Array.from({ length: LANES }, (_, lane) => createLane(FIRST_EXCHANGE + lane * 2))
  readonly #sessions = new Map<number, Session>()
  #isLimited = false
  /** Since the last turn of the event loop. */
  #runs = 0
  #outputBytes = 0

  constructor(hooks: InstanceHooks) {
    this.#hooks = hooks
  }

  async control(message: ToInstance): Promise<void> {
    if (message.kind === 'load') await this.#load(message)
    else if (message.kind === 'unload') await this.#unload(message)
    // What keeps the runtime from loading is the answer to the load.
    else if (message.kind === 'prepare') await importRuntime().catch(() => undefined)
    else never(message)
  }

  async #load({ path, options, tokenizer: file, session: number = 0, memoryBytesMax }: LoadInstance): Promise<void> {
    if (!this.#isLimited && memoryBytesMax !== undefined) limitMemory(memoryBytesMax)
    this.#isLimited = true
    try {
      const tokenizer = file === undefined ? undefined : await loadTokenizer(file)
      const session = await (await importRuntime()).loadSession(path, options)
      this.#sessions.set(number, session)
      const { inputs, outputs, labels } = session
      const metadata = [...metadataAt(path)]
      this.#answer({ kind: 'loaded', inputs, outputs, labels: [...labels], metadata, ...(tokenizer && { tokenizer }) })
    } catch (error) {
      this.#answer({ kind: 'refused', ...failureOf(error) })
    }
  }

  async #unload({ session: number = 0 }: UnloadInstance): Promise<void> {
    const session = this.#sessions.get(number)
    this.#sessions.delete(number)
    await session?.release()
    collect()
    this.#answer({ kind: 'unloaded' })
  }

  async run(reader: FrameReader): Promise<void> {
    const { inputs, outputs: names, lane, session } = reader.run((each) => this.#lanes[each]?.readBytes ?? noLane)
    let result: ResultFrame
    try {
      this.#hooks.beforeRun?.(inputs)
      const loaded = this.#loaded(session)
      result = await withoutTurn(() => loaded.run(inputs, names))
    } catch (error) {
      this.#answer({ kind: 'failed', ...failureOf(error) })
      return this.#tidy([])
    }
    const answers = this.#lanes[lane]?.outputs
    answers?.begin()
    send(this.#writer.result(result, answers?.store ?? noStore))
    await this.#tidy(result.outputs)
  }

  /** Frees the memory of outputs and of errors now and then, once the caller has its answer. */
  async #tidy(outputs: ResultFrame['outputs']): Promise<void> {
    this.#runs += 1
    for (const { data } of outputs) this.#outputBytes += ArrayBuffer.isView(data) ? data.byteLength : 0
    if (this.#runs < TURN_RUNS && this.#outputBytes < TURN_BYTES) return
    this.#runs = 0
    this.#outputBytes = 0
    await takeTurn()
  }

  async check(reader: FrameReader): Promise<void> {
    const { trial, session } = reader.check()
    let runtimeText: string | undefined
    const onFailure = (failure: Failure) => {
      runtimeText ??= failure.runtimeText
    }
    try {
      const check = await checkSession(this.#loaded(session), trial, { ...this.#hooks, onFailure })
      this.#answer({ kind: 'checked', check, ...(runtimeText !== undefined && { runtimeText }) })
    } catch (error) {
      this.#answer({ kind: 'failed', ...failureOf(error) })
    }
    collect()
  }

  #loaded(number: number): Session {
    const session = this.#sessions.get(number)
    if (session === undefined) throw new Error('the model was not loaded')
    return session
  }

  #answer(message: LoadedMessage | Exclude<FromInstance, { kind: 'loaded' | 'result' }>): void {
    send(this.#writer.control(message))
  }
}

/** Gives memory back that is not used any more, such as the bytes of a file: this process waits for frames without doing anything else. */
function collect(): void {
  Bun.gc(true)
}

/** Whether rows of several requests may be computed together. */
async function checkSession(
  session: Session,
  trial: BatchTrial,
  { beforeRun, onFailure }: InstanceHooks & { readonly onFailure: (failure: Failure) => void },
): Promise<BatchCheck> {
  const [{ checkBatches }, { withPadding }] = await Promise.all([
    import('../batching/batch-check.ts'),
    import('../batching/padding-check.ts'),
  ])
  const dependence = isInRows(session.inputs) ? await dependenceIn(session) : ({ kind: 'independent' } as const)
  const { inputs, outputs } = session
  const run = async (tensors: readonly Tensor[]) => {
    try {
      beforeRun?.(tensors)
      return await session.run(tensors)
    } catch (error) {
      onFailure(failureOf(error))
      throw error
    }
  }
  const model = { inputs, outputs, run }
  return withPadding(model, await checkBatches(model, { ...trial, dependence }), trial)
}

async function dependenceIn({ outputs, readModel }: Session): Promise<RowDependence> {
  const [{ rowDependence }, { readModelGraph }] = await Promise.all([
    import('../batching/row-dependence.ts'),
    import('../onnx/model-graph.ts'),
  ])
  try {
    const names = outputs.map(({ name }) => name)
    return rowDependence(readModelGraph(await readModel()), names)
  } catch (error) {
    return { kind: 'undecided', causes: [`its graph cannot be read: ${failureOf(error).reason}`] }
  }
}

/** Imported late: most models have no tokenizer, and its library is large. */
async function loadTokenizer(path: string): Promise<TokenizerFacts> {
  const { readTokenizer } = await import('../../tasks/folder/tokenizer-facts.ts')
  try {
    return await readTokenizer(path)
  } catch (error) {
    throw new Error(`its ${basename(path)} cannot be used: ${failureOf(error).reason.slice(0, 200)}`)
  }
}

/** The texts beside the graph, of which the rest of a large file is not read. */
function metadataAt(path: string): ReadonlyMap<string, string> {
  try {
    return metadataOf(Bun.mmap(path))
  } catch {
    // A model in another format, which has none.
    return new Map()
  }
}

/** Imported late, so that what keeps it from loading is a reason that reaches the server. */
async function importRuntime() {
  try {
    return await import('../runtime/ort.ts')
  } catch (error) {
    throw new Error(`ONNX Runtime does not load: ${endReason(error instanceof Error ? error.message : String(error))}`)
  }
}

interface Lane {
  readonly readBytes: ReadBytes
  readonly outputs: ExchangeFile
}

/** Inputs are mapped, so that ONNX Runtime reads them where they are; only their server writes them. */
function createLane(inputs: number): Lane {
  let mapped: Uint8Array | undefined
  const readBytes: ReadBytes = (offset, length) => {
    mapped ??= mapFile(inputs)
    if (offset + length > EXCHANGE_BYTES) throw new Error('a tensor is outside of its exchange file')
    return mapped.subarray(offset, offset + length)
  }
  return { readBytes, outputs: new ExchangeFile(inputs + 1) }
}

function noStore(): undefined {
  return undefined
}

function noLane(): never {
  throw new Error('a run names a lane that is not there')
}

/** Each frame that comes, until the socket is closed. */
function* framesOf(socket: number): Generator<Uint8Array> {
  const assembler = new FrameAssembler()
  const frames: Uint8Array[] = []
  const buffer = new Uint8Array(READ_BYTES)
  for (let count = read(socket, buffer); count > 0; count = read(socket, buffer)) {
    // A copy: what is not a whole frame yet is kept, and the buffer is read into again.
    assembler.push(buffer.slice(0, count), (frame) => frames.push(frame))
    for (let frame = frames.shift(); frame !== undefined; frame = frames.shift()) yield frame
  }
}

function read(socket: number, buffer: Uint8Array): number {
  for (;;) {
    try {
      return readSync(socket, buffer, 0, buffer.length, null)
    } catch (error) {
      // A signal that was caught: the read begins again.
      if ((error as NodeJS.ErrnoException).code === 'EINTR') continue
      // The server is gone.
      return 0
    }
  }
}

function send(frame: Uint8Array): void {
  for (let at = 0; at < frame.length; ) at += writeSync(SOCKET, frame, at, frame.length - at)
}
