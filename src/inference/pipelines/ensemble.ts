import { type ConfigValue, isTable, type TypedConfig, tablesOf } from '../repository/pbtxt/typed-config.ts'
import { type PipelineDefinition, STEPS_MAX } from './definition.ts'

/**
 * The pipeline that a configuration's `ensemble_scheduling` is; undefined where it is none.
 * @throws Error naming the line, the field and the rule
 */
export function ensembleOf({ table, fault }: TypedConfig): PipelineDefinition | undefined {
  const scheduling = table.ensemble_scheduling
  if (!isTable(scheduling)) {
    if (table.platform === 'ensemble') throw fault('platform', 'ensemble needs ensemble_scheduling')
    return undefined
  }
  const steps = tablesOf(scheduling.step)
  if (steps.length === 0 || steps.length > STEPS_MAX) throw fault('ensemble_scheduling', `must have 1 to ${STEPS_MAX} steps`)
  const outputs = tablesOf(table.output).map(({ name }) => String(name))
  return {
    file: 'config.pbtxt',
    ...(outputs.length > 0 && { outputs }),
    steps: steps.map((step, index) => {
      const path = `ensemble_scheduling.step[${index}]`
      const { model_name: model, model_version: version = -1 } = step
      if (typeof model !== 'string' || model === '') throw fault(`${path}`, 'must have a model_name')
      if (Number(version) < 1 && Number(version) !== -1)
        throw fault(`${path}.model_version`, 'must be -1, for the newest, or from 1 up')
      return {
        model,
        inputs: namesOf(step.input_map, () => fault(path, 'must have an input_map of strings')),
        outputs: namesOf(step.output_map, () => fault(path, 'must have an output_map of strings')),
        ...(Number(version) > 0 && { version: String(version) }),
      }
    }),
  }
}

function namesOf(map: ConfigValue | undefined, fault: () => Error): ReadonlyMap<string, string> {
  const entries = isTable(map) ? Object.entries(map) : []
  if (entries.length === 0 || entries.some(([, name]) => typeof name !== 'string' || name === '')) throw fault()
  return new Map(entries.map(([tensor, name]) => [tensor, String(name)]))
}
