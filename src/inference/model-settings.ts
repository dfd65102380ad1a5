/** What a model has its worker process with: nothing else, or the other models that share one. */
export type Isolation = (typeof ISOLATIONS)[number]
export const ISOLATIONS = ['process', 'shared'] as const

/** How one model is computed; what is absent has the server's value. */
export interface ModelSettings {
  /** Workers that hold the model, each with its own copy of the weights. */
  readonly instances?: number
  /** Whether each of its workers is a process of its own, or it is computed in one process with other models. */
  readonly isolation?: Isolation
  /** Threads that one run may use. */
  readonly threads?: number
  /** Keeps freed memory for the next run: faster, and never given back while the model is loaded. */
  readonly arena?: boolean
  /** How much the graph is rewritten when it is loaded. */
  readonly optimization?: 'disabled' | 'basic' | 'extended' | 'all'
  /** Rows that one request may have; more is rejected. */
  readonly rowsMax?: number
  /** Rows of one run that several requests share; 1 lets none share. */
  readonly batchRowsMax?: number
  /** Padded elements (rows × longest length) of one run that several requests share, of models whose inputs are padded. */
  readonly batchTokensMax?: number
  /** Elements of padding that a request may add to a run of others; default what a run of its own costs, which is measured at load. */
  readonly batchPaddingMax?: number
  /** How long the first of a batch waits for others while a worker is idle, in milliseconds. */
  readonly batchDelayMs?: number
  /** Lets requests share runs although rows may change each other's answers. */
  readonly allowDependentRows?: boolean
  /** Requests of one version that wait or run. */
  readonly queueMax?: number
  /** Levels that a request may name; 0 lets no request name one. */
  readonly priorityLevels?: number
  /** The level of a request that names none. */
  readonly priorityDefault?: number
  /** For requests that name no time of their own, and the longest that one may name, in milliseconds. */
  readonly timeoutMs?: number
  /** Tries and warms up the model with made-up inputs where its files record none. */
  readonly syntheticInputs?: boolean
  /** Keeps answers and gives them again to the same inputs. */
  readonly isCached?: boolean
}

/** Bounds of the numbers, as files of settings may have them. */
export const MODEL_SETTING_BOUNDS = {
  instances: [1, 64],
  threads: [1, 256],
  rowsMax: [1, 1_000_000],
  batchRowsMax: [1, 65_536],
  batchTokensMax: [1, 1_048_576],
  batchPaddingMax: [0, 1_048_576],
  batchDelayMs: [0, 10_000],
  queueMax: [1, 100_000],
  priorityLevels: [0, 1024],
  priorityDefault: [1, 1024],
  timeoutMs: [1, 86_400_000],
} as const
