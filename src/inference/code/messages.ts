/** The messages between the engine and a code process: a frame with a header of JSON, a text, and tensors by name. Pure. */
import type { DescribedModel, FileFacts } from '../../model/execute.ts'
import { broken, type FrameCursor } from '../../processes/frames.ts'
import type { MessageSocket } from '../../processes/message-socket.ts'
import type { Placement } from '../../tasks/image/placement.ts'
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts'

/** Longest text of one frame, and the whole frame: an input, an answer or a bundle. */
export const TEXT_BYTES_MAX = 64 * 1024 * 1024
export const FRAME_BYTES_MAX = 256 * 1024 * 1024

/** To a code process. */
export type ToCode =
  /** Makes one file of `model.ts` and what it imports; nothing of it runs. */
  | { readonly kind: 'bundle'; readonly entry: string }
  /** Runs the bundle, which is the text, so that its definition is known. */
  | { readonly kind: 'load'; readonly bundle: BundleFacts }
  /** Runs `setup`. */
  | {
      readonly kind: 'start'
      readonly files: Readonly<Record<string, FileFacts>>
      readonly labels: Readonly<Record<string, readonly string[]>>
      readonly noTokenizer?: string
    }
  /** A request: its input is the text, or the tensor `input`. */
  | {
      readonly kind: 'request'
      readonly id: number
      readonly msLeft: number
      readonly subject?: string | undefined
      readonly isStream: boolean
    }
  /** Asks for the next output of a stream. */
  | { readonly kind: 'next'; readonly id: number }
  | { readonly kind: 'cancel'; readonly id: number }
  /** The answer to `run` (tensors) or `call` (text), or why there is none. */
  | { readonly kind: 'reply'; readonly ask: number; readonly error?: AskError }
  | { readonly kind: 'ping'; readonly number: number }

/** Why something that the code asked for came to nothing. */
export interface AskError {
  readonly code: string
  readonly status: number
  readonly message: string
}

/** From a code process, which is not trusted. */
export type FromCode =
  | { readonly kind: 'bundled'; readonly bundle: BundleFacts; readonly sources: readonly string[] }
  | { readonly kind: 'described'; readonly model: DescribedModel }
  | { readonly kind: 'ready' }
  | { readonly kind: 'rejected'; readonly reason: string }
  /** An output of a request; `isLast` where no other follows. A stream that has ended has no text then. */
  | { readonly kind: 'answer'; readonly id: number; readonly isLast: boolean; readonly isEmpty: boolean }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: CodeFailure }
  | {
      readonly kind: 'run'
      readonly id: number
      readonly ask: number
      readonly file: string
      readonly outputs?: readonly string[]
    }
  /**
   * Calls with the JSON of `{input, parameters}`; or asks how a picture becomes the model's input, and calls with the tensor `input` that it
   * became, and the JSON of `{parameters}`.
   */
  | {
      readonly kind: 'call'
      readonly id: number
      readonly ask: number
      readonly model: string
      readonly picture?: { readonly placement?: Placement }
    }
  /** Encodes or decodes with the tokenizer of the folder: the text is JSON. */
  | { readonly kind: 'tokenizer'; readonly id: number; readonly ask: number; readonly action: 'encode' | 'decode' }
  | { readonly kind: 'pong'; readonly number: number }
  | { readonly kind: 'log'; readonly text: string; readonly isError: boolean }

/** Beside the text of a bundle, what leads from its lines to those of the sources. */
export interface BundleFacts {
  /** A source map, as JSON. */
  readonly map: string
  /** Folder of `model.ts`: paths in messages are relative to it. */
  readonly folder: string
}

/** Why a request came to nothing. */
export type CodeFailure =
  | { readonly kind: 'input'; readonly faults: readonly { readonly path: string; readonly rule: string }[] }
  | { readonly kind: 'refusal'; readonly status: number; readonly text: string }
  /** The error of a `run` or `call` that the code did not catch. */
  | { readonly kind: 'passed'; readonly ask: number }
  /** A bug of the code: for the log only. */
  | { readonly kind: 'bug'; readonly text: string }

/** What a frame carries. */
export interface CodeFrame<Header> {
  readonly header: Header
  readonly text: string
  readonly tensors: NamedTensors
}

/** The first byte of each frame. */
const KIND = 1
const NO_TENSORS: NamedTensors = new Map()

/** Sends a frame. */
export function sendFrame(socket: MessageSocket, header: ToCode | FromCode, text = '', tensors = NO_TENSORS): void {
  socket.send(KIND, (frame) => {
    frame.text(JSON.stringify(header))
    frame.text(text)
    frame.count(tensors.size)
    for (const [name, tensor] of tensors) {
      frame.text(name)
      frame.tensor(tensor, () => undefined)
    }
  })
}

/** Reads a frame. @throws Error where it does not add up */
export function readFrame(cursor: FrameCursor): CodeFrame<unknown> {
  if (cursor.byte() !== KIND) broken('a frame of an unknown kind')
  const header: unknown = JSON.parse(cursor.text())
  const text = cursor.text()
  const tensors = new Map<string, Tensor>()
  cursor.list(() => void tensors.set(cursor.text(), cursor.tensor(noFile)))
  cursor.finish()
  return { header, text, tensors }
}

function noFile(): never {
  return broken('a tensor in a file')
}
