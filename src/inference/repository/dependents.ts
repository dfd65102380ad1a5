import type { PipelineDefinition } from '../pipelines/definition.ts'
import type { StartPipelineOptions } from '../pipelines/start-pipeline.ts'
import { startPipeline } from '../pipelines/start-pipeline.ts'
import type { ModelRunner } from '../runner.ts'
import { ModelCounters } from '../statistics.ts'
import { declaredSpecs } from './declared.ts'
import { isOff, withoutRunner } from './describe.ts'
import type { ModelTable } from './model-table.ts'
import { reshapedRunner } from './reshape.ts'
import type { FoundModel } from './scan.ts'
import type { ServedVersion } from './served-version.ts'

export interface DependentsOptions {
  readonly table: ModelTable
  readonly engine: StartPipelineOptions['engine']
  /** Lets a runner finish what it has, and ends it. */
  readonly drain: (runner: ModelRunner) => void
}

/**
 * Checks again, at once, the pipelines that a model which has changed is part of: those that fit it no more are unavailable with
 * the reason, and those that were waiting for it serve. So no request meets a pipeline whose steps do not fit together.
 */
export function refreshDependents(name: string, options: DependentsOptions, seen: ReadonlySet<string> = new Set()): void {
  const { table, engine, drain } = options
  for (const { found, versions } of table.entries()) {
    // A cycle is rejected by the check; here it must only not loop for ever.
    if (seen.has(found.name)) continue
    if ([...versions.values()].some(({ runner }) => runner?.calls?.includes(name) === true)) {
      table.refresh(found.name)
      refreshDependents(found.name, options, new Set([...seen, name]))
      continue
    }
    if (found.pipeline?.steps.some(({ model }) => model === name) !== true) continue
    const next = new Map<string, ServedVersion>()
    for (const [number, served] of versions) {
      const { state } = served.version
      const isWanted = state === 'ready' || (state === 'unavailable' && !isOff(served.version))
      next.set(number, isWanted ? servePipeline(found, number, { engine, counters: served.counters }) : served)
    }
    table.put(found, next)
    for (const [number, { runner }] of versions) if (runner !== undefined && runner !== next.get(number)?.runner) drain(runner)
    refreshDependents(found.name, options, new Set([...seen, found.name]))
  }
}

/** A pipeline's version as its models are now. */
function servePipeline(
  { name, pipeline, config, granted }: FoundModel,
  version: string,
  {
    engine,
    counters = new ModelCounters(),
  }: { readonly engine: StartPipelineOptions['engine']; readonly counters: ModelCounters | undefined },
): ServedVersion {
  try {
    if (pipeline === undefined) throw new Error('it is no pipeline')
    rejectUngranted(pipeline, granted, engine)
    const runner = startPipeline({ name, definition: pipeline, engine, counters })
    const inputs = declaredSpecs(config, 'input', runner.inputs)
    const outputs = declaredSpecs(config, 'output', runner.outputs)
    const shown = reshapedRunner(runner, config, { inputs, outputs })
    const steps = pipeline.steps.map(({ model }) => model)
    return { version: { version, state: 'ready', inputs, outputs, steps }, runner: shown, counters }
  } catch (error) {
    return { version: withoutRunner(version, 'unavailable', error instanceof Error ? error.message : String(error)), counters }
  }
}

/**
 * A pipeline that a request brought may use only what that request was granted: a step that asks for another permission since then ends it.
 * @throws Error naming the step
 */
function rejectUngranted(
  { file, steps }: PipelineDefinition,
  granted: ReadonlySet<string> | undefined,
  engine: StartPipelineOptions['engine'],
): void {
  if (granted === undefined) return
  for (const [index, { model }] of steps.entries()) {
    const permission = engine.model(model)?.permissions.predict
    if (permission !== undefined && !granted.has(permission))
      throw new Error(
        `${file}: step ${index + 1} (${model}): it requires a permission that the request which loaded this did not have`,
      )
  }
}

/** Pipelines after their members; one with a cycle comes in any place and is rejected by the check. */
export function pipelineOrder(models: readonly FoundModel[]): readonly FoundModel[] {
  const byName = new Map(models.map((model) => [model.name, model]))
  const ordered = new Set<FoundModel>()
  const seen = new Set<string>()
  const visit = (model: FoundModel) => {
    if (seen.has(model.name)) return
    seen.add(model.name)
    for (const step of model.pipeline?.steps ?? []) {
      const member = byName.get(step.model)
      if (member !== undefined) visit(member)
    }
    ordered.add(model)
  }
  for (const model of models) visit(model)
  return [...ordered].filter(({ pipeline }) => pipeline !== undefined)
}
