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

export type ResolvedSettings = Required<Omit<ModelSettings, 'rowsMax' | 'isCached'>> & Pick<ModelSettings, 'rowsMax'>

/** Rows of a shared run: more than this gives little on a processor, and makes the others wait. */
export const BATCH_ROWS_MAX = 32
/** Padded tokens of a shared run: more gains nothing on a processor (decision 081). */
const BATCH_TOKENS_MAX = 1024

/**
 * Fills in what a model does not say. Workers times threads of a run are the cores: one worker that uses all of them, where nothing
 * is said, since every worker has a copy of the weights. A model that shares its process has one worker, of one thread.
 * @throws Error where the model's own settings contradict each other
 */
export function resolveSettings(own: ModelSettings, defaults: EngineDefaults): ResolvedSettings {
  const isolation = own.isolation ?? ((own.instances ?? 1) > 1 ? 'process' : (defaults.isolation ?? 'process'))
  const isShared = isolation === 'shared'
  if (isShared && (own.instances ?? 1) > 1)
    throw new Error(
      `isolation is "shared" and instances ${own.instances}: a model that shares its process must have one instance`,
    )
  const threads = own.threads ?? defaults.threads ?? (isShared ? 1 : undefined)
  const instances = isShared
    ? 1
    : (own.instances ?? defaults.instances ?? Math.max(1, Math.floor(defaults.cores / (threads ?? defaults.cores))))
  const priorityLevels = own.priorityLevels ?? 0
  return {
    isolation,
    instances,
    threads: threads ?? Math.max(1, Math.floor(defaults.cores / instances)),
    arena: own.arena ?? true,
    optimization: own.optimization ?? 'all',
    ...(own.rowsMax !== undefined && { rowsMax: own.rowsMax }),
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
