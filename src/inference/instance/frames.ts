/**
 * What the server and an instance process say to each other: frames on a local socket. The first byte is the kind: control messages
 * are JSON; runs, results and checks have tensors in binary form. Pure.
 */

import { broken, FrameBuffer, FrameCursor, type ReadBytes, type StoreBytes } from '../../processes/frames.ts'
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts'
import type { BatchTrial } from '../messages.ts'
import type { PaddingRule } from '../padding.ts'
import type { RunTiming } from '../statistics.ts'

/** Runs of one instance that may use exchange files at once: the one that it computes, and the one that it was given ahead. */
export const LANES = 2

const KINDS = ['control', 'run', 'result', 'check'] as const
export type FrameKind = (typeof KINDS)[number]

/** A run, as it goes to an instance. */
export interface RunFrame {
  /** In the order of the model's inputs. */
  readonly inputs: readonly Tensor[]
  /** Names of the outputs to compute; all when absent. */
  readonly outputs?: readonly string[] | undefined
  /** The pair of exchange files that this run may use. */
  readonly lane: number
  /** Which of the models of the process computes it. */
  readonly session: number
}

/** What an instance computed. */
export interface ResultFrame {
  /** In the order of the names asked for, or of the model's outputs. */
  readonly outputs: readonly Tensor[]
  readonly timing: RunTiming
}

/** What of a check is no tensor. */
interface CheckText {
  readonly session: number
  /** Of each sample, in the order of the tensors. */
  readonly names: readonly (readonly string[])[]
  readonly shapes?: readonly (readonly [input: string, shape: readonly number[]])[]
  readonly mayMixRows: boolean
  readonly mayMakeUp: boolean
  readonly padding?: PaddingRule | undefined
}

/** Writes frames into one buffer that it keeps: what it gives is valid until the next frame. */
export class FrameWriter {
  readonly #buffer = new FrameBuffer()

  control(message: unknown): Uint8Array {
    return this.#frame('control', (buffer) => buffer.text(JSON.stringify(message)))
  }

  run({ inputs, outputs, lane, session }: RunFrame, store: StoreBytes): Uint8Array {
    return this.#frame('run', (buffer) => {
      buffer.byte(lane)
      buffer.count(session)
      buffer.texts(outputs)
      buffer.tensors(inputs, store)
    })
  }

  result({ outputs, timing }: ResultFrame, store: StoreBytes): Uint8Array {
    return this.#frame('result', (buffer) => {
      buffer.number(timing.inputNs)
      buffer.number(timing.inferNs)
      buffer.number(timing.outputNs)
      buffer.tensors(outputs, store)
    })
  }

  /** A check asks whether rows of several requests may be computed together; its tensors are all in the frame. */
  check({ samples, shapes, ...options }: BatchTrial, session: number): Uint8Array {
    const names = samples.map((sample) => [...sample.keys()])
    const about: CheckText = { session, names, ...options, ...(shapes !== undefined && { shapes: [...shapes] }) }
    return this.#frame('check', (buffer) => {
      buffer.text(JSON.stringify(about))
      buffer.tensors(
        samples.flatMap((sample) => [...sample.values()]),
        () => undefined,
      )
    })
  }

  #frame(kind: FrameKind, write: (buffer: FrameBuffer) => void): Uint8Array {
    this.#buffer.add(KINDS.indexOf(kind), write)
    return this.#buffer.take()
  }
}

/** Reads one frame, without its length; what does not add up is thrown as an error, never read beyond the frame. */
export class FrameReader {
  readonly #cursor: FrameCursor
  readonly kind: FrameKind

  constructor(frame: Uint8Array) {
    this.#cursor = new FrameCursor(frame)
    this.kind = KINDS[this.#cursor.byte()] ?? broken('a frame of an unknown kind')
  }

  control(): unknown {
    const message: unknown = JSON.parse(this.#cursor.text())
    this.#cursor.finish()
    return message
  }

  run(readBytes: (lane: number) => ReadBytes): RunFrame {
    const lane = this.#cursor.byte()
    const session = this.#cursor.count()
    const outputs = this.#cursor.texts()
    const inputs = this.#cursor.tensors(readBytes(lane))
    this.#cursor.finish()
    return { inputs, outputs, lane, session }
  }

  check(): { readonly trial: BatchTrial; readonly session: number } {
    // The cast: the server is trusted, and of the same version.
    const { session, names, shapes, ...options } = JSON.parse(this.#cursor.text()) as CheckText
    const tensors = this.#cursor.tensors(() => broken('a check with tensors elsewhere'))
    this.#cursor.finish()
    let next = 0
    const samples = names.map(
      (own): NamedTensors => new Map(own.map((name) => [name, tensors[next++] ?? broken('a check ends early')])),
    )
    return { trial: { samples, ...options, ...(shapes !== undefined && { shapes: new Map(shapes) }) }, session }
  }

  result(readBytes: ReadBytes): ResultFrame {
    const cursor = this.#cursor
    const timing = { inputNs: cursor.number(), inferNs: cursor.number(), outputNs: cursor.number() }
    const outputs = cursor.tensors(readBytes)
    cursor.finish()
    return { outputs, timing }
  }
}
