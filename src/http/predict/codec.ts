import type { Model, ModelVersion } from '../../inference/engine.ts'
import type { TaskCall } from '../../tasks/call.ts'
import type { TaskDescription } from '../../tasks/task.ts'
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

/** What of it a codec looks at to read what is asked: plain data, so that other threads can read it too. */
export interface DecodeTarget {
  readonly model: Pick<Model, 'name'>
  readonly version: Pick<ModelVersion, 'inputs' | 'outputs' | 'hasRows' | 'code'> & {
    readonly task?: Pick<TaskDescription, 'image'>
  }
}

/** What of it a codec looks at to write the answer: plain data too. */
export interface EncodeTarget {
  readonly model: Pick<Model, 'name' | 'labels'>
  readonly version: Pick<ModelVersion, 'version' | 'outputs' | 'hasRows' | 'code' | 'labels'>
}

/** What a body, a row or a message asks a model to compute. */
export interface Question<Form> {
  readonly tensors: NamedTensors
  /** Names of the outputs to compute; all of them when absent. */
  readonly outputs?: readonly string[] | undefined
  readonly priority?: number | undefined
  /** Milliseconds that queueing and computing may take in all. */
  readonly timeoutMs?: number | undefined
  /** Pictures that are the image input, which `tensors` lacks then. */
  readonly pictures?: readonly Uint8Array[] | undefined
  /** What the codec needs to write the answer. */
  readonly form: Form
}

/** What a row or a message asks of a model of texts. */
export interface AskedTask {
  readonly input: unknown
  readonly parameters: unknown
  /** Writes the JSON of the output as the answer. */
  readonly write: (json: string) => string
}

/** A dialect: how it writes what is asked, and the answer. */
export interface Codec<Form> {
  /**
   * What is asked of a model of texts; undefined where the tensors of the model are meant.
   * @throws VestalError BODY_INVALID
   */
  readonly taskIn?: (bytes: Uint8Array) => AskedTask | undefined
  /**
   * Reads what is asked, and checks it against the version that computes it.
   * @param jsonLength bytes of JSON before binary tensor data; absent where all of it is JSON
   * @throws VestalError BODY_INVALID, INPUT_INVALID, UNSUPPORTED
   */
  readonly decode: (bytes: Uint8Array, target: DecodeTarget, jsonLength?: number) => Question<Form>
  readonly encode: (results: NamedTensors, form: Form, target: EncodeTarget) => EncodedAnswer
}

/** Dialects whose bodies other threads can read, by the name that both sides know. */
export type CodecName = 'rows' | 'open-inference'

/** A dialect of request bodies. */
export interface BodyCodec<Form> extends Omit<Codec<Form>, 'decode'> {
  /** The name by which other threads have it; absent where bodies are read on this one. */
  readonly name?: CodecName | undefined
  /** As that of a codec; forms are read in steps. */
  readonly decode: (bytes: Uint8Array, target: DecodeTarget, jsonLength?: number) => Question<Form> | Promise<Question<Form>>
  /** Reads from the headers how much of the body is JSON. @throws VestalError BODY_INVALID */
  readonly jsonLengthOf: (request: Request) => number | undefined
  /** The text for a body over the limit. */
  readonly tooLarge: (jsonLength: number | undefined) => TooLargeText | undefined
  /** How many elements the answer has, where all of them are in its JSON; 0 where some are not. */
  readonly elementsInJson?: (results: NamedTensors, form: Form) => number
  /** Whether answers are compressed where the client accepts that. */
  readonly hasCompression: boolean
}

/** A version that has a task, and its model. */
export interface TaskTarget extends Target {
  readonly task: TaskDescription
}

/** A body as it came. */
export interface TaskBody {
  readonly bytes: Uint8Array
  /** Its `Content-Type`, which may say nothing of it or be wrong. */
  readonly contentType: string | null
  readonly request: Request
}

/** A dialect of request bodies for a task: texts, pictures or sound in, and what the task makes of them out. */
export interface TaskCodec<Asked> {
  /** Longest body, where that is less than the server's limit. */
  readonly bytesMax?: number
  readonly tooLarge?: TooLargeText
  /**
   * Reads what is asked, and checks it.
   * @throws VestalError BODY_INVALID, INPUT_INVALID, TASK_MISMATCH
   */
  readonly decode: (body: TaskBody, target: TaskTarget) => Asked | Promise<Asked>
  /**
   * Computes by the task's operations, and writes the answer.
   * @throws VestalError as the operations
   */
  readonly answer: (asked: Asked, call: TaskCall, target: TaskTarget) => Promise<EncodedAnswer>
}
