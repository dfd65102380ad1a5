import { readToml, type TomlTable } from '../repository/toml-table.ts'

/** One model of a pipeline. The names on the right are the pipeline's own, on the left the model's. */
export interface PipelineStep {
  readonly model: string
  /** The version that computes; the newest that is ready when absent. */
  readonly version?: string
  /** Name of the pipeline by the model's input. */
  readonly inputs: ReadonlyMap<string, string>
  /** Name of the pipeline by the model's output. */
  readonly outputs: ReadonlyMap<string, string>
}

/** Models in a chain: what one gives, another takes by its name. */
export interface PipelineDefinition {
  /** In the order of the file; which one runs first follows from the names. */
  readonly steps: readonly PipelineStep[]
  /** Names that are answered; all that no step takes when absent. */
  readonly outputs?: readonly string[]
  /** File that it stands in, for messages. */
  readonly file: string
}

/** File of a model's folder that chains models; a load request cannot carry it. */
export const PIPELINE_FILE = 'pipeline.toml'
/** Steps of a pipeline, and names in one step. */
export const STEPS_MAX = 64
const NAMES_MAX = 256

/**
 * Reads the text of a pipeline.toml.
 * @throws Error naming the key and the rule
 */
export function readPipelineFile(text: string): PipelineDefinition {
  const file = PIPELINE_FILE
  const table = readToml(text, file)
  const steps = table.tables('steps')
  if (steps.length === 0 || steps.length > STEPS_MAX) throw table.fault('steps', `must be a list of 1 to ${STEPS_MAX} tables`)
  const outputs = readOutputs(table)
  table.end()
  return { steps: steps.map(readStep), file, ...(outputs !== undefined && { outputs }) }
}

function readOutputs(table: TomlTable): readonly string[] | undefined {
  const outputs = table.any('outputs')
  if (outputs === undefined) return undefined
  const isList = Array.isArray(outputs) && outputs.length > 0 && outputs.every((name) => typeof name === 'string' && name !== '')
  if (!isList || new Set(outputs).size !== outputs.length) throw table.fault('outputs', 'must be a list of different texts')
  return outputs
}

function readStep(table: TomlTable): PipelineStep {
  const model = table.text('model')
  if (model === undefined) throw table.fault('model', 'is missing')
  const version = table.integer('version', [1, 999_999_999])
  const [inputs, outputs] = [readNames(table, 'inputs'), readNames(table, 'outputs')]
  table.end()
  return { model, inputs, outputs, ...(version !== undefined && { version: String(version) }) }
}

function readNames(step: TomlTable, key: 'inputs' | 'outputs'): ReadonlyMap<string, string> {
  const table = step.table(key)
  if (table === undefined) throw step.fault(key, `is missing: a table of ${key === 'inputs' ? 'input' : 'output'} = "name"`)
  if (table.keys.length === 0 || table.keys.length > NAMES_MAX) throw step.fault(key, `must have 1 to ${NAMES_MAX} names`)
  return new Map(
    table.keys.map((tensor) => {
      const name = table.text(tensor)
      if (name === undefined) throw table.fault(tensor, 'must be a text')
      return [tensor, name]
    }),
  )
}
