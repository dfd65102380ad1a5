import { printableLines } from '../../core/printable.ts'
import { createEngine } from '../../inference/create-engine.ts'
import type { Model, ModelVersion } from '../../inference/engine.ts'
import { shownTask, taskInWords } from '../../tasks/shown-task.ts'
import { describeShape, shownSpecs } from '../../tensor/shape.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import { table } from '../table.ts'
import { tellRuntimeText } from './local-engine.ts'
import { type ModelsRequest, serverAt, urlOf } from './server.ts'

type Listed = Pick<Model, 'name' | 'description' | 'versions' | 'labels'>

/** `vestal models list`: every model, what it takes, what it gives and whether it is ready; of the folder, or of a running server. */
export async function listModels(request: ModelsRequest): Promise<void> {
  const { args } = request
  const models = await modelsToList(request)
  const rows = models.flatMap((model) => model.versions.map((version) => ({ model, version })))
  console.log(
    args.switches.has('json')
      ? printableLines(JSON.stringify(rows.map(asJson), null, 2))
      : table([headerOf(rows), ...rows.map(asCells)]),
  )
}

/** The models of the folder, or of a running server. */
export function modelsToList(request: ModelsRequest): Promise<readonly Listed[]> {
  return request.args.values.has('url') ? modelsOfServer(request) : modelsOfFolder(request)
}

async function modelsOfFolder({ settings }: ModelsRequest): Promise<readonly Listed[]> {
  const engine = await createEngine({
    modelsDirectory: settings.models,
    files: settings.model,
    instances: 1,
    isolation: settings.isolation,
    loadMsMax: settings.loadSecondsMax * 1000,
    code: settings.code === 'on',
    warn: (message) => console.error(`warning: ${message}`),
    runtimeText: tellRuntimeText(settings),
  })
  const models = engine.models()
  await engine.stop()
  return models
}

async function modelsOfServer(request: ModelsRequest): Promise<readonly Listed[]> {
  const server = serverAt(urlOf(request), request, ['model:*:read'])
  return (JSON.parse(await server.ask('/models/')) as { readonly models: readonly Listed[] }).models
}

interface Row {
  readonly model: Listed
  readonly version: ModelVersion
}

/** Most folders have no model with a task. */
function headerOf(rows: readonly Row[]): readonly string[] {
  const hasTasks = rows.some(({ version }) => version.task !== undefined)
  return ['NAME', 'VERSION', 'INPUTS', 'OUTPUTS', 'STATE', 'RUNS', ...(hasTasks ? ['TASK'] : [])]
}

function asJson({ model: { name, description }, version }: Row) {
  const { task, ...rest } = version
  return { name, description, ...rest, ...(task && { task: shownTask(task) }), ...shownSpecs(version) }
}

function asCells({ model, version }: Row): readonly string[] {
  const where = version.isolation === 'shared' ? ', in the shared process' : ''
  const state = version.reason === undefined ? `${version.state}${where}` : `${version.state}: ${version.reason}`
  return [
    model.name,
    version.version,
    describeTensors(version.inputs),
    describeTensors(version.outputs),
    state,
    describeRuns(version),
    describeTask(version),
  ]
}

/** Whether requests share the version's runs, and why. */
export function describeRuns({ batching }: Pick<ModelVersion, 'batching'>): string {
  return batching === undefined ? '' : `${batching.runs}: ${batching.reason}`
}

/** What the version does beside tensors in and out. */
export function describeTask({ task }: Pick<ModelVersion, 'task'>): string {
  return task === undefined ? '' : taskInWords(task)
}

/** Tensors as lists of them show them. */
export function describeTensors(specs: readonly TensorSpec[]): string {
  return specs.length === 0
    ? '-'
    : specs.map(({ name, datatype, shape }) => `${name} ${datatype}${describeShape(shape)}`).join(', ')
}
