import { resolveSettings } from '../resolve-settings.ts'
import type { ModelRunner } from '../runner.ts'
import type { ModelCounters } from '../statistics.ts'
import type { PipelineDefinition } from './definition.ts'
import { type PipelineEngine, PipelineRunner } from './pipeline-runner.ts'
import { type PipelineMembers, planPipeline } from './plan.ts'

export interface StartPipelineOptions {
  readonly name: string
  readonly definition: PipelineDefinition
  readonly engine: PipelineEngine & PipelineMembers
  readonly counters: ModelCounters
}

/** It has no workers of its own: these are shown, and the models' own count. */
const SETTINGS = resolveSettings({ batchRowsMax: 1 }, { cores: 1, instances: 1, threads: 1, queueMax: 1, timeoutMs: 1 })

/**
 * Gives a pipeline as what computes a model.
 * @throws Error naming the step, when its models are not there or do not fit together
 */
export function startPipeline({ name, definition, engine, counters }: StartPipelineOptions): ModelRunner {
  const plan = planPipeline(name, definition, engine)
  const runner = new PipelineRunner({ plan, engine, counters })
  return {
    inputs: plan.inputs,
    outputs: plan.outputs,
    settings: SETTINGS,
    batching: { isSafe: false, reason: 'its models join requests' },
    isReady: () => true,
    run: (inputs, options) => runner.run(inputs, options),
    gauges: () => runner.gauges(),
    stop: () => runner.stop(),
  }
}
