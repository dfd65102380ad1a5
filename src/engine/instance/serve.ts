/** What an instance process does: it loads one model and computes runs, one after the other, until its server closes the socket. */
import { readSync, writeSync } from 'node:fs'
import { never } from '../../core/invariant.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { FrameAssembler } from '../frames/frame-assembler.ts'
import type { ReadBytes } from '../frames/layout.ts'
import { endReason } from '../load-reason.ts'
import type { Session } from '../ort.ts'
import { EXCHANGE_BYTES, ExchangeFile, LANES } from './exchange.ts'
import { FrameReader, FrameWriter, type ResultFrame } from './frames.ts'
import type { FromInstance, LoadedMessage, LoadInstance, ToInstance } from './messages.ts'

/** Its descriptors: the socket, and for each lane the file of inputs and that of outputs. */
const SOCKET = 3
const FIRST_EXCHANGE = 4
const READ_BYTES = 256 * 1024

export interface InstanceHooks {
  /** Called before each run; a test makes the process end, fail or wait here. */
  readonly beforeRun?: (inputs: readonly Tensor[]) => void
}

/**
 * Serves until the socket is closed, then ends the process. It waits for frames by a blocking read, without an event loop: that is
 * the shortest way from the server to ONNX Runtime and back.
 */
export async function serveInstance({ beforeRun }: InstanceHooks = {}): Promise<never> {
  const writer = new FrameWriter()
  const lanes = Array.from({ length: LANES }, (_, lane) => createLane(FIRST_EXCHANGE + lane * 2))
  let session: Session | undefined
  const control = (message: LoadedMessage | Exclude<FromInstance, { kind: 'loaded' | 'result' }>) => send(writer.control(message))
  const load = async ({ path, options }: LoadInstance) => {
    try {
      session = await (await importRuntime()).loadSession(path, options)
      const { inputs, outputs, labels } = session
      control({ kind: 'loaded', inputs, outputs, labels: [...labels] })
    } catch (error) {
      control({ kind: 'refused', reason: error instanceof Error ? error.message : String(error) })
    }
  }
  const run = async (reader: FrameReader) => {
    const { inputs, outputs: names, lane } = reader.run((lane) => lanes[lane]?.readBytes ?? noLane)
    let result: ResultFrame
    try {
      beforeRun?.(inputs)
      if (session === undefined) throw new Error('the model was not loaded')
      result = await session.run(inputs, names)
    } catch (error) {
      const { safeReason } = await importRuntime()
      return control({ kind: 'failed', reason: safeReason(error) })
    }
    const answers = lanes[lane]?.outputs
    answers?.begin()
    send(writer.result(result, answers?.store ?? (() => undefined)))
  }
  for (const frame of framesOf(SOCKET)) {
    const reader = new FrameReader(frame)
    if (reader.kind === 'run') {
      await run(reader)
      continue
    }
    // The cast: the server is trusted, and of the same version.
    const message = reader.control() as ToInstance
    if (message.kind === 'load') await load(message)
    // What keeps the runtime from loading is the answer to the load.
    else if (message.kind === 'prepare') await importRuntime().catch(() => undefined)
    else never(message)
  }
  // Without exit handlers: those of native libraries may fail, and nobody waits for them.
  process.kill(process.pid, 'SIGKILL')
  throw new Error('the process goes on after SIGKILL')
}

/** Imported late, so that what keeps it from loading is a reason that reaches the server. */
async function importRuntime() {
  try {
    return await import('../ort.ts')
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
    mapped ??= Bun.mmap(`${process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd'}/${inputs}`, { shared: true })
    if (offset + length > EXCHANGE_BYTES) throw new Error('a tensor is outside of its exchange file')
    return mapped.subarray(offset, offset + length)
  }
  return { readBytes, outputs: new ExchangeFile(inputs + 1) }
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
