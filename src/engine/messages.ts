import type { Tensor, TensorSpec } from '../tensor/tensor.ts'
import type { RunTiming } from './statistics.ts'

/** A model file for the worker to load; `key` names it in every later message. */
export interface ModelSource {
  readonly key: string
  readonly path: string
}

export type ToWorker =
  | { readonly kind: 'load'; readonly sources: readonly ModelSource[]; readonly threads: number }
  | {
      readonly kind: 'run'
      readonly id: number
      readonly key: string
      readonly inputs: readonly (readonly [name: string, tensor: Tensor])[]
      /** Names of the outputs to compute; all when absent. */
      readonly outputs?: readonly string[]
    }

/** What became of one model file. */
export type LoadResult =
  | { readonly key: string; readonly inputs: readonly TensorSpec[]; readonly outputs: readonly TensorSpec[] }
  | { readonly key: string; readonly reason: string }

export type FromWorker =
  | { readonly kind: 'loaded'; readonly results: readonly LoadResult[] }
  | {
      readonly kind: 'result'
      readonly id: number
      readonly outputs: readonly (readonly [name: string, tensor: Tensor])[]
      readonly timing: RunTiming
    }
  | { readonly kind: 'failed'; readonly id: number; readonly reason: string }
