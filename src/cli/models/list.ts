import type { Settings } from '../../config/settings.ts'
import { createEngine } from '../../engine/create-engine.ts'
import type { Model, ModelVersion } from '../../engine/engine.ts'
import { describeShape } from '../../tensor/shape.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import type { Arguments } from '../arguments.ts'
import { table } from '../table.ts'

/** `vestal models list`: loads every model and prints what it takes, what it gives and whether it is ready. */
export async function listModels(settings: Settings, { switches }: Arguments): Promise<void> {
  const engine = await createEngine({
    modelsDirectory: settings.models,
    files: settings.model,
    instances: 1,
    warn: (message) => console.error(`warning: ${message}`),
  })
  const rows = engine.models().flatMap((model) => model.versions.map((version) => ({ model, version })))
  await engine.stop()
  console.log(switches.has('json') ? JSON.stringify(rows.map(asJson), null, 2) : table([HEADER, ...rows.map(asCells)]))
}

const HEADER = ['NAME', 'VERSION', 'INPUTS', 'OUTPUTS', 'STATE']

interface Row {
  readonly model: Model
  readonly version: ModelVersion
}

function asJson({ model: { name, description }, version }: Row) {
  return { name, description, ...version }
}

function asCells({ model, version }: Row): readonly string[] {
  const state = version.reason === undefined ? version.state : `${version.state}: ${version.reason}`
  return [model.name, version.version, describeTensors(version.inputs), describeTensors(version.outputs), state]
}

/** Tensors as lists of them show them. */
export function describeTensors(specs: readonly TensorSpec[]): string {
  return specs.length === 0
    ? '-'
    : specs.map(({ name, datatype, shape }) => `${name} ${datatype}${describeShape(shape)}`).join(', ')
}
