import type { NamedTensors, TensorSpec } from '../tensor/tensor.ts'
import type { PictureDecoder } from './image/decoder.ts'
import type { TaskDescription } from './task.ts'

/** Computes one request of one version: bound to its model, subject, priority, deadline and signal by the caller. */
export type Infer = (inputs: NamedTensors, options?: { readonly outputs?: readonly string[] }) => Promise<NamedTensors>

/** What an operation works with: what the model is for, its inputs, and the engine behind one function. */
export interface TaskCall {
  readonly task: TaskDescription
  /** The model's inputs, for their datatypes. */
  readonly inputs: readonly TensorSpec[]
  readonly infer: Infer
  /** Gives the work up between two steps. */
  readonly signal?: AbortSignal
  /** Who asks: texts are encoded in turns. */
  readonly subject?: string | undefined
  /**
   * Milliseconds that the request has left; undefined where it named none.
   * @throws VestalError QUEUE_TIMEOUT where there are none
   */
  readonly leftMs?: () => number | undefined
  /**
   * Holds so many bytes more for the caller, until the request is answered.
   * @throws VestalError MEMORY_LIMIT, SUBJECT_MEMORY_LIMIT
   */
  readonly hold?: (bytes: number) => void
  readonly limits?: TaskLimits
  /** Decodes pictures for the caller; there where pictures may come. */
  readonly pictures?: PictureDecoder
}

/** How much one request may bring; each has a default. */
export interface TaskLimits {
  /** Texts, pairs of texts or pictures of one request. */
  readonly itemsMax?: number | undefined
  /** Tokens of all texts of one request in sum, as the model gets them. */
  readonly tokensMax?: number | undefined
}
