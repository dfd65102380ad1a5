import type { NamedTensors, Tensor, TensorSpec } from '../tensor/tensor.ts'
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

/** Whether requests may share a run. */
export interface BatchDecision {
  readonly isSafe: boolean
  /** What it was decided by; of a graph, the nodes. */
  readonly reason: string
}

/** What a trial found out. */
export interface BatchCheck extends BatchDecision {
  /** Outputs that had one row for each of the inputs', whatever the file declares. */
  readonly rowOutputs: readonly string[]
}

/** What is known of a model before its trial. */
export interface BatchTrial {
  /** Inputs that its files record, each as one request has them. */
  readonly samples: readonly NamedTensors[]
  /** Sizes of dimensions beside the rows, by input, where nothing is recorded. */
  readonly shapes?: ReadonlyMap<string, readonly number[]> | undefined
  /** Its settings ask for shared runs although rows may change each other's answers. */
  readonly mayMixRows: boolean
}

/** What a worker is told. It has one model and one run at a time. */
export type ToWorker =
  | { readonly kind: 'load'; readonly path: string; readonly options: SessionOptions }
  /** Asks whether requests may share its runs. */
  | { readonly kind: 'check'; readonly trial: BatchTrial }
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
}

/** What a worker answers, once for each message. */
export type FromWorker =
  | Loaded
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'checked'; readonly check: BatchCheck }
  | {
      readonly kind: 'result'
      /** In the order of the names asked for, or of the model's outputs. */
      readonly outputs: readonly Tensor[]
      readonly timing: RunTiming
    }
  | { readonly kind: 'failed'; readonly reason: string }
