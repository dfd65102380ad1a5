import { describeShape, isAnyShape } from '../../tensor/shape.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import type { Model, ModelVersion } from '../engine.ts'
import type { PipelineDefinition, PipelineStep } from './definition.ts'

/** A step whose model is there, after all steps whose outputs it takes. */
export interface PlannedStep extends PipelineStep {
  /** The version that was checked, and that computes unless a newer one is ready. */
  readonly checked: ModelVersion
}

/** A pipeline whose steps fit together. */
export interface PipelinePlan {
  readonly steps: readonly PlannedStep[]
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** By name of the pipeline: how many steps and answers take it. */
  readonly uses: ReadonlyMap<string, number>
}

/** Finds what a pipeline's steps are made of. */
export interface PipelineMembers {
  model(name: string): Model | undefined
  /** The pipeline of that name; undefined for a model of its own. */
  pipeline(name: string): PipelineDefinition | undefined
}

/**
 * Checks that a pipeline's models are there and fit together, and puts its steps in order.
 * @throws Error naming the step, the names and the rule
 */
export function planPipeline(name: string, definition: PipelineDefinition, members: PipelineMembers): PipelinePlan {
  rejectCycles(name, definition, { members, path: [name] })
  const steps = definition.steps.map((step, index) =>
    checkStep(step, { members, where: `${definition.file}: step ${index + 1} (${step.model})` }),
  )
  const made = new Map<string, TensorSpec>()
  for (const step of steps) {
    for (const [output, target] of step.outputs) {
      if (made.has(target)) throw new Error(`${definition.file}: "${target}" is made by two steps`)
      made.set(target, specOf(step.checked.outputs, output, target))
    }
  }
  const inputs = new Map<string, TensorSpec>()
  const uses = new Map<string, number>()
  for (const step of steps) {
    for (const [input, source] of step.inputs) {
      uses.set(source, (uses.get(source) ?? 0) + 1)
      const taken = specOf(step.checked.inputs, input, source)
      const known = made.get(source) ?? inputs.get(source)
      const joined = known === undefined ? taken : join(known, taken)
      if (joined === undefined) {
        throw new Error(
          `${definition.file}: "${source}" is ${show(known)}, but the input '${input}' of ${step.model} takes ${show(taken)}`,
        )
      }
      // What a model gives stays what it is; what comes from outside must suit all who take it.
      if (!made.has(source)) inputs.set(source, joined)
    }
  }
  const ordered = inOrder(steps, made, definition.file)
  const outputs = outputsOf(definition, made, uses)
  for (const { name: output } of outputs) uses.set(output, (uses.get(output) ?? 0) + 1)
  return { steps: ordered, inputs: [...inputs.values()], outputs, uses }
}

function rejectCycles(
  name: string,
  definition: PipelineDefinition,
  { members, path }: { readonly members: PipelineMembers; readonly path: readonly string[] },
): void {
  for (const { model } of definition.steps) {
    if (path.includes(model)) throw new Error(`${definition.file}: it goes round in a circle: ${[...path, model].join(' → ')}`)
    const inner = members.pipeline(model)
    if (inner !== undefined) rejectCycles(name, inner, { members, path: [...path, model] })
  }
}

function checkStep(
  step: PipelineStep,
  { members, where }: { readonly members: PipelineMembers; readonly where: string },
): PlannedStep {
  const model = members.model(step.model)
  if (model === undefined) throw new Error(`${where}: there is no such model`)
  const checked = readyVersion(model, step.version)
  if (checked === undefined)
    throw new Error(`${where}: ${step.version === undefined ? 'it' : `version ${step.version}`} is not ready`)
  for (const [kind, specs, names] of [
    ['input', checked.inputs, step.inputs],
    ['output', checked.outputs, step.outputs],
  ] as const) {
    const known = specs.map((spec) => spec.name)
    const other = [...names.keys()].find((tensor) => !known.includes(tensor))
    if (other !== undefined)
      throw new Error(`${where}: it has no ${kind} '${other}'; it has ${known.map((each) => `'${each}'`).join(', ')}`)
  }
  const missing = checked.inputs.find((spec) => !step.inputs.has(spec.name))
  if (missing !== undefined) throw new Error(`${where}: its input '${missing.name}' gets nothing`)
  return { ...step, checked }
}

/** The version asked for, or the newest, where it is ready. */
export function readyVersion(model: Model, asked: string | undefined): ModelVersion | undefined {
  return model.versions.find(({ version, state }) => state === 'ready' && (asked === undefined || version === asked))
}

function specOf(specs: readonly TensorSpec[], tensor: string, name: string): TensorSpec {
  const found = specs.find((spec) => spec.name === tensor)
  if (found === undefined) throw new Error(`there is no tensor '${tensor}'`)
  return { ...found, name }
}

/** The tensor that both are, a dimension of any size giving way; undefined where they cannot be one. */
function join(a: TensorSpec, b: TensorSpec): TensorSpec | undefined {
  if (a.datatype !== b.datatype) return undefined
  if (isAnyShape(a.shape)) return { ...a, shape: b.shape }
  if (isAnyShape(b.shape)) return a
  if (a.shape.length !== b.shape.length) return undefined
  const shape = a.shape.map((size, index) => {
    const other = b.shape[index] ?? -1
    return size === -1 ? other : other === -1 || other === size ? size : undefined
  })
  return shape.includes(undefined) ? undefined : { ...a, shape: shape as readonly number[] }
}

function show(spec: TensorSpec | undefined): string {
  return spec === undefined ? '' : `${spec.datatype}${describeShape(spec.shape)}`
}

function outputsOf(
  { outputs, file }: PipelineDefinition,
  made: ReadonlyMap<string, TensorSpec>,
  uses: ReadonlyMap<string, number>,
): readonly TensorSpec[] {
  const names = outputs ?? [...made.keys()].filter((name) => !uses.has(name))
  if (names.length === 0) throw new Error(`${file}: it answers nothing: every name that a step makes is taken by another`)
  return names.map((name) => {
    const spec = made.get(name)
    if (spec === undefined) throw new Error(`${file}: no step makes the output "${name}"`)
    return spec
  })
}

/** Steps after those whose outputs they take. */
function inOrder(steps: readonly PlannedStep[], made: ReadonlyMap<string, TensorSpec>, file: string): readonly PlannedStep[] {
  const ordered: PlannedStep[] = []
  const done = new Set<string>()
  let left = steps
  while (left.length > 0) {
    const next = left.filter(({ inputs }) => [...inputs.values()].every((name) => !made.has(name) || done.has(name)))
    if (next.length === 0) {
      throw new Error(`${file}: its steps go round in a circle: ${left.map(({ model }) => model).join(', ')}`)
    }
    for (const step of next) {
      ordered.push(step)
      for (const name of step.outputs.values()) done.add(name)
    }
    left = left.filter((step) => !next.includes(step))
  }
  return ordered
}
