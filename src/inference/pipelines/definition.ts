import { type Static, Type } from '@sinclair/typebox'
import { readToml, table, tableByName, whole } from '../../schema/toml-file.ts'

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
  /** File that holds it, for messages. */
  readonly file: string
}

/** File of a model's folder that chains models; a load request cannot carry it. */
export const PIPELINE_FILE = 'pipeline.toml'
/** Steps of a pipeline, and names in one step. */
export const STEPS_MAX = 64
const NAMES_MAX = 256

const OUTPUTS = 'must be a list of different texts'
const Text = Type.String({ minLength: 1 })
const names = (of: 'input' | 'output') =>
  tableByName(Text, {
    minProperties: 1,
    maxProperties: NAMES_MAX,
    rule: `must be a table of 1 to ${NAMES_MAX} names`,
    missing: `is missing: a table of ${of} = "name"`,
  })
const Step = table({
  model: Text,
  version: Type.Optional(whole([1, 999_999_999])),
  inputs: names('input'),
  outputs: names('output'),
})
const STEPS = `must be a list of 1 to ${STEPS_MAX} tables`
const PipelineToml = table({
  steps: Type.Array(Step, { minItems: 1, maxItems: STEPS_MAX, rule: STEPS, missing: STEPS }),
  outputs: Type.Optional(Type.Array(Text, { minItems: 1, uniqueItems: true, rule: OUTPUTS })),
})

/**
 * Reads the text of a pipeline.toml.
 * @throws Error naming the key and the rule
 */
export function readPipelineFile(text: string): PipelineDefinition {
  const file = PIPELINE_FILE
  const { steps, outputs } = readToml(PipelineToml, text, file)
  return { steps: steps.map(readStep), file, ...(outputs !== undefined && { outputs }) }
}

function readStep({ model, version, inputs, outputs }: Static<typeof Step>): PipelineStep {
  const tensors = { inputs: new Map(Object.entries(inputs)), outputs: new Map(Object.entries(outputs)) }
  return { model, ...tensors, ...(version !== undefined && { version: String(version) }) }
}
