import type { NamedTensors } from '../tensor/tensor.ts'
import type { PaddingRule } from './padding.ts'

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
  /** Outputs that have the padded length, where inputs may be padded. */
  readonly lengthOutputs?: readonly string[]
  /** What a run costs beside its elements, in elements of one that is padded: as many may be padding in place of a run. */
  readonly runElements?: number
}

/** What is known of a model before its trial. */
export interface BatchTrial {
  /** Inputs that its files record, each as one request has them. */
  readonly samples: readonly NamedTensors[]
  /** Sizes of dimensions beside the rows, by input, where nothing is recorded. */
  readonly shapes?: ReadonlyMap<string, readonly number[]> | undefined
  /** Its settings ask for shared runs although rows may change each other's answers. */
  readonly mayMixRows: boolean
  /** Whether inputs may be made up. */
  readonly mayMakeUp: boolean
  /** How inputs of different lengths would share a run. */
  readonly padding?: PaddingRule | undefined
}
