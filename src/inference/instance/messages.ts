import type { GraphFacts } from '../../tasks/folder/facts.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { BatchCheck, SessionOptions } from '../messages.ts'
import type { Failure } from '../runtime/runtime-failure.ts'
import type { RunTiming } from '../statistics.ts'

/** Messages to an instance process beside runs. `prepare` only loads ONNX Runtime, and is not answered. */
export type ToInstance = LoadInstance | UnloadInstance | { readonly kind: 'prepare' }

/** Has an instance process load a model. */
export interface LoadInstance extends Addressed {
  readonly kind: 'load'
  readonly path: string
  readonly options: SessionOptions
  /** A tokenizer that is loaded and tried with the model: the load fails where that does, and nothing else. */
  readonly tokenizer?: string | undefined
  /** Memory that the process may hold, where the system limits it too; the first load of a process sets it. Default: no limit of the system's. */
  readonly memoryBytesMax?: number | undefined
}

/** Has an instance process forget a model, and give its memory back. */
export interface UnloadInstance extends Addressed {
  readonly kind: 'unload'
}

/** What is about one of the models of a process. */
interface Addressed {
  /** Number of the model in its process; default 0, the only one of a process that serves one. */
  readonly session?: number | undefined
}

/** One run of an instance's model. */
export interface RunMessage extends Addressed {
  /** In the order of the model's inputs. */
  readonly inputs: readonly Tensor[]
  /** Names of the outputs to compute; all when absent. */
  readonly outputs?: readonly string[] | undefined
}

/** A model that was loaded. */
export interface LoadedInstance extends GraphFacts {
  readonly kind: 'loaded'
  /** Names of the columns of an output, where the model's own file has them. */
  readonly labels: ReadonlyMap<string, readonly string[]>
}

/** `LoadedInstance` as JSON has it. */
export interface LoadedMessage extends Omit<LoadedInstance, 'labels' | 'metadata'> {
  readonly labels: readonly (readonly [output: string, labels: readonly string[]])[]
  readonly metadata: readonly (readonly [name: string, text: string])[]
}

/** What an instance process answers, once for each load, unload, check and run, in their order. */
export type FromInstance =
  | LoadedInstance
  | { readonly kind: 'unloaded' }
  | ({ readonly kind: 'refused' } & Failure)
  | ({ readonly kind: 'checked'; readonly check: BatchCheck } & Pick<Failure, 'runtimeText'>)
  | ({ readonly kind: 'result' } & RunAnswer)
  | ({ readonly kind: 'failed' } & Failure)

/** What a run gave. */
export interface RunAnswer {
  /** In the order of the names asked for, or of the model's outputs. */
  readonly outputs: readonly Tensor[]
  readonly timing: RunTiming
}
