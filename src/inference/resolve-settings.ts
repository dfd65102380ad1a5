import type { Isolation, ModelSettings } from './model-settings.ts'

/** What the engine decides where a model says nothing. */
export interface EngineDefaults {
  /** Cores that the workers of a model share. */
  readonly cores: number
  readonly instances?: number | undefined
  readonly threads?: number | undefined
  readonly queueMax: number
  readonly timeoutMs: number
  readonly syntheticInputs?: boolean | undefined
  readonly isolation?: Isolation | undefined
}

type Open = 'rowsMax' | 'batchPaddingMax'

export type ResolvedSettings = Required<Omit<ModelSettings, Open | 'isCached'>> & Pick<ModelSettings, Open>

/** Rows of a shared run: more than this gives little on a processor, and makes the others wait. */
export const BATCH_ROWS_MAX = 32
/** Padded tokens of a shared run: more gains nothing on a processor (decision 081). */
const BATCH_TOKENS_MAX = 1024

/** Workers of a model of texts whose weights are few, where nothing is said. */
const TEXT_INSTANCES = 2
/** The least and the most bytes of such a model: smaller runs take one thread anyway, and larger weights are not worth having twice. */
const [TEXT_BYTES_MIN, TEXT_BYTES_MAX] = [4 * 1024 * 1024, 128 * 1024 * 1024]

/** What is known of a model before it is loaded. */
export interface ModelFacts {
  /** Bytes of its file and of the weights beside it, where it is a model of texts. */
  readonly textBytes?: number | undefined
}

/**
 * Fills in what a model does not say. Workers times threads of a run are the cores: one worker that uses all of them, where nothing
 * is said, since every worker has a copy of the weights. A model of texts that is not large has two: its runs are many small operators, of which
 * two threads compute 1.25 to 1.6 times as much as one, and two workers twice as much (decision 081). A model that shares its process has one
 * worker, of one thread.
 * @throws Error where the model's own settings contradict each other
 */
export function resolveSettings(own: ModelSettings, defaults: EngineDefaults, facts: ModelFacts = {}): ResolvedSettings {
  const isolation = own.isolation ?? ((own.instances ?? 1) > 1 ? 'process' : (defaults.isolation ?? 'process'))
  const isShared = isolation === 'shared'
  if (isShared && (own.instances ?? 1) > 1)
    throw new Error(
      `isolation is "shared" and instances ${own.instances}: a model that shares its process must have one instance`,
    )
  const threads = own.threads ?? defaults.threads ?? (isShared ? 1 : undefined)
  const threadsOfOne = threads ?? defaults.cores / usualInstances(defaults.cores, facts)
  const instances = isShared ? 1 : (own.instances ?? defaults.instances ?? Math.max(1, Math.floor(defaults.cores / threadsOfOne)))
  const priorityLevels = own.priorityLevels ?? 0
  return {
    isolation,
    instances,
    threads: threads ?? Math.max(1, Math.floor(defaults.cores / instances)),
    arena: own.arena ?? true,
    optimization: own.optimization ?? 'all',
    ...(own.rowsMax !== undefined && { rowsMax: own.rowsMax }),
    ...(own.batchPaddingMax !== undefined && { batchPaddingMax: own.batchPaddingMax }),
    batchRowsMax: own.batchRowsMax ?? BATCH_ROWS_MAX,
    batchTokensMax: own.batchTokensMax ?? BATCH_TOKENS_MAX,
    batchDelayMs: own.batchDelayMs ?? 0,
    allowDependentRows: own.allowDependentRows ?? false,
    queueMax: own.queueMax ?? defaults.queueMax,
    timeoutMs: own.timeoutMs ?? defaults.timeoutMs,
    syntheticInputs: own.syntheticInputs ?? defaults.syntheticInputs ?? true,
    priorityLevels,
    priorityDefault: own.priorityDefault ?? Math.max(1, priorityLevels),
  }
}

function usualInstances(cores: number, { textBytes = 0 }: ModelFacts): number {
  return textBytes >= TEXT_BYTES_MIN && textBytes <= TEXT_BYTES_MAX ? Math.min(TEXT_INSTANCES, cores) : 1
}
