import type { Tensor, TensorSpec } from '../tensor/tensor.ts'
import type { RunTiming } from './statistics.ts'

/** How a model file becomes a session. */
export interface SessionOptions {
  /** Threads that one run may use. */
  readonly threads: number
  /** Keeps freed memory for the next run: faster, and never given back while the model is loaded. */
  readonly arena: boolean
  /** How much the graph is rewritten when it is loaded. */
  readonly optimization: 'disabled' | 'basic' | 'extended' | 'all'
}

/** Whether requests may share a run, and why not. */
export type BatchCheck = { readonly isSafe: true } | { readonly isSafe: false; readonly reason: string }

/** What a worker is told. It has one model and one run at a time. */
export type ToWorker =
  | { readonly kind: 'load'; readonly path: string; readonly options: SessionOptions; readonly isChecked: boolean }
  | {
      readonly kind: 'run'
      /** In the order of the model's inputs. */
      readonly inputs: readonly Tensor[]
      /** Names of the outputs to compute; all when absent. */
      readonly outputs?: readonly string[] | undefined
    }
  /** It ends its thread once what it was given is done. */
  | { readonly kind: 'end' }

/** A model that was loaded. */
export interface Loaded {
  readonly kind: 'loaded'
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** Names of the columns of an output, where the model's own file has them. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  /** Whether rows of several requests may be computed together; absent where it was not asked. */
  readonly check?: BatchCheck
}

/** What a worker answers, once for each message. */
export type FromWorker =
  | Loaded
  | { readonly kind: 'refused'; readonly reason: string }
  | {
      readonly kind: 'result'
      /** In the order of the names asked for, or of the model's outputs. */
      readonly outputs: readonly Tensor[]
      readonly timing: RunTiming
    }
  | { readonly kind: 'failed'; readonly reason: string }
