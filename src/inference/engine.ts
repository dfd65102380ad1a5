import type { MemoryLedger } from '../core/memory-ledger.ts'
import type { DescribedValue } from '../model/schema.ts'
import type { TaskDescription } from '../tasks/task.ts'
import type { NamedTensors, TensorSpec } from '../tensor/tensor.ts'
import type { CarriedState } from './carried-state.ts'
import type { AdmissionLimits } from './queue/admission.ts'
import type { JobTimes } from './queue/job.ts'
import type { ModelAction, ModelPermissions } from './repository/permissions.ts'
import type { ModelStatistics, Rejections } from './statistics.ts'

/** Where a model version stands; only `ready` ones answer. */
export type ModelState = 'ready' | 'unavailable' | 'loading' | 'unloading'

/** What is known of one version of a model. */
export interface ModelVersion {
  readonly version: string
  readonly state: ModelState
  /** Why it is unavailable, in words that are safe to show; absent when ready. */
  readonly reason?: string
  /** Set where it is off on purpose: a request unloaded it, or the model's version policy does not name it. */
  readonly offBy?: 'request' | 'policy'
  /** Class names of an output, by output name, where the model's own file has some: these, and those of its description before them. */
  readonly labels?: ReadonlyMap<string, readonly string[]>
  /** Whether requests may share a run, and why; absent when it is not ready. */
  readonly batching?: { readonly runs: 'shared' | 'separate'; readonly reason: string }
  /** Where it is computed in one process with other models; absent where its processes are its own. */
  readonly isolation?: 'shared'
  /** False where the model's own configuration says that no dimension counts rows (`max_batch_size: 0`); otherwise absent. */
  readonly hasRows?: false
  /** What it does beside tensors in and out; absent where it does nothing else, and while it is not ready. */
  readonly task?: TaskDescription
  /** What it carries from one message of a socket to the next; absent where that is nothing. */
  readonly carried?: CarriedState
  /** What its `model.ts` says of it, where it has one. */
  readonly code?: CodeDescription
  /** The models of its steps, where it is a pipeline. */
  readonly steps?: readonly string[]
  /** Empty while unavailable. */
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
}

/** What is known of a `model.ts`: plain data, which goes between processes. */
export interface CodeDescription {
  readonly description: string
  /** How an input comes, and an output goes back. */
  readonly input: DescribedValue
  readonly output: DescribedValue
  /** Served models that it calls. Who asks it needs the permission to predict with each, but for those of `ownAuthority`. */
  readonly calls: readonly string[]
  readonly ownAuthority: readonly string[]
  /** It yields outputs one after the other, which a stream answers as they come. */
  readonly isStream: boolean
  readonly examples: readonly unknown[]
}

/** A model as its folder and `model.toml` describe it. */
export interface Model {
  readonly name: string
  readonly description: string
  /** What each action on it requires; `*` where its own permissions cannot be read. */
  readonly permissions: ModelPermissions
  /** Levels that a request may name, and that of one that names none; absent where requests have none. */
  readonly priorities?: { readonly levels: number; readonly default: number }
  /** Class names of an output, by output name: element i names class i. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  /** Example inputs in the Flama form, from `model.toml`. */
  readonly examples: readonly unknown[]
  /** Newest (highest number) first. */
  readonly versions: readonly ModelVersion[]
}

/** How one request is computed. */
export interface InferOptions {
  /** Names of the outputs to compute; all of them when absent. */
  readonly outputs?: readonly string[] | undefined
  /**
   * Gives the request up: it leaves the queue, or its answer is dropped. A function is asked for the signal once the request has waited
   * for a while, where making one costs something.
   */
  readonly signal?: AbortSignal | (() => AbortSignal) | undefined
  /** Who asks: one subject cannot take what is there for the others. Requests without one share one place. */
  readonly subject?: string | undefined
  /** Names the request in the log where a worker process ends in its run. */
  readonly requestId?: string | undefined
  /** 1 is served first; 0 or absent is the model's default. Counts only where the model has priorities. */
  readonly priority?: number | undefined
  /** Milliseconds that waiting and computing may take in all; then the request is rejected with QUEUE_TIMEOUT or REQUEST_TIMEOUT. */
  readonly timeoutMs?: number | undefined
  /** `skip` computes, also where the model has a cache. */
  readonly cache?: 'skip'
  /** Called with the times of each request that the engine runs for this one; of a pipeline, those of its steps. */
  readonly watch?: (times: RunTimes) => void
}

/** What a request met in one version of a model. */
export interface RunTimes extends JobTimes {
  /** `<name>/<version>`. */
  readonly key: string
}

/** One version of a model as the repository lists it; a model that was never loaded has only its name. */
export interface IndexEntry {
  readonly name: string
  readonly version?: string
  readonly state?: Uppercase<ModelState>
  /** Why it is not ready; `unloaded` where a request unloaded it. */
  readonly reason?: string
}

/** What became of a model that a request would load or unload beside the one that it names. */
export interface ModelChange {
  readonly model: string
  readonly action: 'load' | 'unload'
  readonly outcome: 'done' | 'failed' | 'denied'
  /** What brought it about, or why it came to nothing. */
  readonly reason?: string
}

/** Who loads and unloads, and a callback for each change. */
export interface ControlOptions {
  /** Says whether the caller has a permission. It is asked for every model that the request would change or use; absent: may do all. */
  readonly may?: (permission: string) => boolean | Promise<boolean>
  /** Called for each model that the request changes, or does not touch for lack of permission, beside the one that it names. */
  readonly changed?: (change: ModelChange) => void
}

/** A model that an unload left as it was, and the permission that unloading it requires. */
export interface KeptModel {
  readonly name: string
  readonly permission: string
}

export interface LoadOptions extends ControlOptions {
  /** Loads only this version and leaves the others as they are; all that the version policy names when absent. */
  readonly version?: string
  /** JSON text of a model configuration that replaces the one in the model's folder. */
  readonly config?: string
  /** Contents by `<version>/<file name>`, which replace the model's folder; needs `config`. */
  readonly files?: ReadonlyMap<string, Uint8Array>
}

export interface UnloadOptions extends ControlOptions {
  /** Unloads only this version. */
  readonly version?: string
  /** Unloads the members of a pipeline too, but for those that the caller may not unload. */
  readonly dependents?: boolean
}

/** Triton's model configuration as JSON. */
export type ModelConfiguration = Readonly<Record<string, unknown>>

/** The data plane: knows the models and computes with them, off the thread that answers HTTP. */
export interface Engine {
  /** Counts the bytes that are held for requests, by the engine and by the app that serves it. Without it an app counts by itself. */
  readonly memory?: MemoryLedger
  /** Every model found, by name, whether it is ready or not. */
  models(): readonly Model[]
  /** The model of that name, or undefined. */
  model(name: string): Model | undefined
  /** Calls back with the name of each model of which `models` gives something else from now on. Gives what ends that. */
  subscribe?(listener: (name: string) => void): () => void
  /**
   * The permission that an action on a model of that name requires: of a model that is not known too, so that no caller can tell the two
   * apart. Loading and unloading require what its folder says at that moment, the others what it said when it was last loaded.
   */
  permission(name: string, action: ModelAction): string
  /** What is wrong with the models' folder while loaded models keep serving, in words that are safe to show. */
  troubles(): readonly string[]
  /** True when the models were loaded and the worker takes work; a model that is broken does not hold the others up. */
  isReady(): boolean
  /**
   * Runs one version of a model on tensors that match its inputs.
   * @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE, QUEUE_FULL, WORKER_LOST, SERVER_STOPPING, INFERENCE_FAILED,
   * REQUEST_ABORTED, QUEUE_TIMEOUT, REQUEST_TIMEOUT, SUBJECT_LIMIT, SUBJECT_MEMORY_LIMIT
   */
  infer(model: string, version: string, inputs: NamedTensors, options?: InferOptions): Promise<NamedTensors>
  /** Counts requests that were rejected before they came here, by a process that asks this engine. */
  noteRejections?(rejections: readonly Rejections[]): void
  /** What the loaded versions have done; of one model, or of one version of it, when named. */
  statistics(model?: string, version?: string): readonly ModelStatistics[]
  /**
   * Loads or reloads a model: beside what serves, which keeps serving until the new one is ready, and after a failure.
   * @throws VestalError MODEL_UNKNOWN, MODEL_CONTROL_OFF, MODEL_LOAD_FAILED, UNSUPPORTED, SERVER_STOPPING, PERMISSION_MISSING
   */
  load(model: string, options?: LoadOptions): Promise<void>
  /**
   * Unloads a model: in-flight requests finish, and then its memory is free. Resolves once no new request reaches it, with the members
   * that the caller may not unload.
   * @throws VestalError MODEL_UNKNOWN, MODEL_CONTROL_OFF, PERMISSION_MISSING
   */
  unload(model: string, options?: UnloadOptions): Promise<readonly KeptModel[]>
  /** Every model of the repository, one entry a version. */
  index(): readonly IndexEntry[]
  /**
   * How a model is served, as Triton's configuration has it: of the version, or of the one that answers.
   * @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE
   */
  configuration(model: string, version?: string): ModelConfiguration
  /** Replaces the limits of all models together; queued and running requests are not touched. */
  limit(limits: AdmissionLimits): void
  /** Rejects new requests, finishes those in flight, and ends the worker processes. A process that does not call it goes on running. */
  stop(): Promise<void>
}

/** The engine of `createEngine`: `await using` stops it at the end of its block, as `stop` does. */
export interface OwnEngine extends Engine, AsyncDisposable {}
