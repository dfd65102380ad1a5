import { createEngine, type EngineOptions } from '../../src/inference/create-engine.ts'

/** An engine whose models are loaded by request only, small and silent. */
export function startExplicit(modelsDirectory: string, options: Omit<EngineOptions, 'modelsDirectory'> = {}) {
  return createEngine({ modelsDirectory, threads: 1, instances: 1, warn: () => undefined, modelControl: 'explicit', ...options })
}
