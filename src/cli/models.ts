import type { Settings } from '../config/settings.ts'
import { createEngine } from '../engine/create-engine.ts'
import type { Model, ModelVersion } from '../engine/engine.ts'
import { describeShape } from '../tensor/shape.ts'
import type { TensorSpec } from '../tensor/tensor.ts'
import type { Arguments, FlagRow } from './arguments.ts'

export const MODELS_FLAGS: readonly FlagRow[] = [{ name: 'json', help: 'Print JSON in place of a table.' }]

/** `vestal models`: loads every model and prints what it takes, what it gives and whether it is ready. */
export async function models(settings: Settings, { switches }: Arguments): Promise<void> {
  const engine = await createEngine({
    modelsDirectory: settings.models,
    files: settings.model,
    instances: 1,
    warn: (message) => console.error(`warning: ${message}`),
  })
  const rows = engine.models().flatMap((model) => model.versions.map((version) => ({ model, version })))
  await engine.stop()
  console.log(switches.has('json') ? JSON.stringify(rows.map(asJson), null, 2) : table(rows.map(asCells)))
}

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

function describeTensors(specs: readonly TensorSpec[]): string {
  return specs.length === 0
    ? '-'
    : specs.map(({ name, datatype, shape }) => `${name} ${datatype}${describeShape(shape)}`).join(', ')
}

function table(rows: readonly (readonly string[])[]): string {
  const all = [['NAME', 'VERSION', 'INPUTS', 'OUTPUTS', 'STATE'], ...rows]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
