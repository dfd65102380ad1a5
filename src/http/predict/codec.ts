import type { Model, ModelVersion } from '../../inference/engine.ts'
import type { EncodedAnswer } from '../../tensor/response.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { TooLargeText } from '../encodings.ts'

/** Header that says how many bytes of JSON come before binary tensor data. */
export const HEADER_LENGTH = 'inference-header-content-length'

/** What computes a prediction: a model, and its version that is ready. */
export interface Target {
  readonly model: Model
  readonly version: ModelVersion
}

/** What a body, a row or a message asks a model to compute. */
export interface Question<Form> {
  readonly tensors: NamedTensors
  /** Names of the outputs to compute; all of them when absent. */
  readonly outputs?: readonly string[] | undefined
  readonly priority?: number | undefined
  /** Milliseconds that queueing and computing may take in all. */
  readonly timeoutMs?: number | undefined
  /** What the codec needs to write the answer. */
  readonly form: Form
}

/** A dialect: how it writes what is asked, and the answer. */
export interface Codec<Form> {
  /**
   * Reads what is asked, and checks it against the version that computes it.
   * @param jsonLength bytes of JSON before binary tensor data; absent where all of it is JSON
   * @throws VestalError BODY_INVALID, INPUT_INVALID, UNSUPPORTED
   */
  readonly decode: (bytes: Uint8Array, target: Target, jsonLength?: number) => Question<Form>
  readonly encode: (results: NamedTensors, form: Form, target: Target) => EncodedAnswer
}

/** A dialect of request bodies. */
export interface BodyCodec<Form> extends Codec<Form> {
  /** Reads from the headers how much of the body is JSON. @throws VestalError BODY_INVALID */
  readonly jsonLengthOf: (request: Request) => number | undefined
  /** The text for a body over the limit. */
  readonly tooLarge: (jsonLength: number | undefined) => TooLargeText | undefined
  /** Whether answers are compressed where the client accepts that. */
  readonly hasCompression: boolean
}
