import { statSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { SettingsError } from '../../config/load.ts'
import { CommandError } from '../../core/command-error.ts'
import { joinRows } from '../../inference/batches.ts'
import { shapesOfTask } from '../../inference/batching/task-samples.ts'
import { createEngine } from '../../inference/create-engine.ts'
import type { Engine, ModelVersion } from '../../inference/engine.ts'
import { chooseFile } from '../../inference/repository/choose-file.ts'
import { readDefinition } from '../../inference/repository/definition.ts'
import { inPlaceOf, modelFilesIn } from '../../inference/repository/layout.ts'
import { EMPTY_MODEL_FILE } from '../../inference/repository/model-file.ts'
import { recordedSamples, recordedShapes } from '../../inference/repository/recorded-samples.ts'
import type { RepositoryOptions } from '../../inference/repository/scan.ts'
import { zeros } from '../../inference/repository/synthetic.ts'
import { usableCores } from '../../platform/cores.ts'
import type { TaskDescription, TextInput } from '../../tasks/task.ts'
import { describeShape, elementCount, matchesShape } from '../../tensor/shape.ts'
import type { NamedTensors, Tensor, TensorData, TensorSpec } from '../../tensor/tensor.ts'
import { table } from '../table.ts'
import { describeRuns, describeTask, describeTensors } from './list.ts'
import { tellRuntimeText } from './local-engine.ts'
import type { ModelsRequest } from './server.ts'

/** Rows of one run that are tried. */
const ROWS = [1, 4, 16, 64] as const
/** How long each setting is measured, and how often: the best of the rounds counts, so that a busy moment does not. */
const MEASURE_MS = 150
const ROUNDS = 3
const NAME = 'model'
/** Tokens of a text that is measured. */
const TEXT_TOKENS = 32

interface Setting {
  readonly instances: number
  readonly threads: number
}

interface Measured extends Setting {
  readonly rows: number
  readonly rowsPerSecond: number
}

/** `vestal models check`: says whether a file can be served, with what, and how it is fastest on this machine, measured. */
export async function checkModel({ name: named, args, settings }: ModelsRequest): Promise<void> {
  const path = fileToCheck(named)
  const beside = descriptionOf(path, shapesOf(args.values.get('shape') ?? []))
  const loadMsMax = settings.loadSecondsMax * 1000
  const cores = usableCores()
  const candidates = settingsOf(cores)
  const measured: Measured[] = []
  let mayShare = false
  let tried: Tried | undefined
  for (const [index, setting] of candidates.entries()) {
    const engine = await createEngine({
      files: new Map([[NAME, path]]),
      beside,
      loadMsMax,
      ...setting,
      warn: () => undefined,
      runtimeText: tellRuntimeText(settings),
    })
    try {
      const version = readyVersion(engine, path)
      mayShare = Number(engine.configuration(NAME).max_batch_size) > 0
      tried ??= inputsToTry(version, beside)
      if (index === 0) describe(version)
      measured.push(...(await measure(engine, version, { setting, tried })))
    } finally {
      await engine.stop()
    }
  }
  if (measured.length === 0) {
    console.log(
      `Speed:    not measured: the model rejects ${tried?.name ?? 'its inputs'}; --shape INPUT=1,128, or [[warmup]] in model.toml, gives others`,
    )
    return
  }
  console.log(`Measured: ${tried?.name ?? ''}`)
  recommend(measured, { cores, mayShare })
}

/** Model files of a folder that are listed. */
const LISTED_MAX = 5

/** The file itself, or the one of a folder that would be served. @throws CommandError where there is none */
function fileToCheck(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) throw new CommandError(`${path}: there is no such file`)
  if (!stat.isDirectory()) return path
  const chosen = fileServed(path)
  if (chosen === undefined) throw new CommandError(`${path}: is a folder; ${whatToCheck(path)}`)
  return join(path, chosen)
}

/** The file of a version's folder that would be served; undefined where none would. */
function fileServed(folder: string): string | undefined {
  const { file, config } = readDefinition(modelFolderOf(folder), basename(folder))
  const named = config?.fileName ?? file.tasks?.huggingface?.file
  if (named !== undefined) return named
  const chosen = chooseFile(folder)
  return chosen.kind === 'file' ? chosen.file : undefined
}

/** The folder of the model that a version's folder belongs to. */
function modelFolderOf(folder: string): string {
  return /^[1-9]\d{0,8}$/.test(basename(folder)) ? dirname(folder) : folder
}

/** Which file of a folder can be checked, or what is in it in place of one. */
function whatToCheck(folder: string): string {
  const found = modelFilesIn(folder)
  if (found.length === 0) return `there is no .onnx file in it${inPlaceOf('model.onnx', folder)}`
  const more = found.length > LISTED_MAX ? ` (and ${found.length - LISTED_MAX} more)` : ''
  return `name a model file in it: ${found
    .slice(0, LISTED_MAX)
    .map((file) => join(folder, file))
    .join(', ')}${more}`
}

/** One worker with one thread, one with all cores, and one a core. */
function settingsOf(cores: number): readonly Setting[] {
  const one = { instances: 1, threads: 1 }
  return cores === 1 ? [one] : [one, { instances: 1, threads: cores }, { instances: cores, threads: 1 }]
}

function readyVersion(engine: Engine, path: string): ModelVersion {
  const version = engine.model(NAME)?.versions[0]
  if (version?.state === 'ready') return version
  throw new CommandError(`${basename(path)} cannot be served: ${version?.reason ?? 'it is not there'}`)
}

function describe(version: ModelVersion): void {
  const { inputs, outputs } = version
  console.log(`Served:   yes
Inputs:   ${describeTensors(inputs)}
Outputs:  ${describeTensors(outputs)}
Runs:     ${describeRuns(version)}`)
  if (version.task !== undefined) console.log(`Task:     ${describeTask(version)}\n${guessesOf(version.task)}`)
}

/** Each fact of a task with where it comes from. */
function guessesOf({ sources }: TaskDescription): string {
  return table(Object.entries(sources).map(([fact, source]) => ['         ', fact, source]))
}

/** Sizes by input, of `--shape input=1,128`. @throws SettingsError */
function shapesOf(flags: readonly string[]): ReadonlyMap<string, readonly number[]> {
  return new Map(
    flags.map((flag) => {
      const [, name = '', sizes = ''] = /^(.+)=([1-9]\d{0,8}(?:,[1-9]\d{0,8})*)$/.exec(flag) ?? []
      if (name !== '') return [name, sizes.split(',').map(Number)] as const
      const shown = JSON.stringify(flag.slice(0, 60))
      throw new SettingsError([`--shape: must be INPUT=SIZE,SIZE with whole numbers, such as input_ids=1,128; got ${shown}`])
    }),
  )
}

type Described = NonNullable<RepositoryOptions['beside']>

/** What the folder of a file says of it, where that file would be served from there; its settings of speed are what is measured here. */
function descriptionOf(path: string, shapes: ReadonlyMap<string, readonly number[]>): Described {
  const own = shapes.size > 0 ? { shapes } : {}
  const absolute = resolve(path)
  const versionFolder = [dirname(dirname(absolute)), dirname(absolute)].find(
    (each) => fileServed(each) === relative(each, absolute),
  )
  const isInVersion = /^[1-9]\d{0,8}$/.test(basename(dirname(absolute)))
  if (versionFolder === undefined && !isInVersion) return { file: EMPTY_MODEL_FILE, ...own }
  const folder = modelFolderOf(versionFolder ?? dirname(absolute))
  const { file, config, reason } = readDefinition(folder, basename(folder))
  if (reason !== undefined) throw new CommandError(reason)
  const { allowDependentRows } = file.settings
  const settings = allowDependentRows === undefined ? {} : { allowDependentRows }
  return {
    folder,
    file: { ...file, settings, checksums: new Map() },
    ...(versionFolder !== undefined && { versionFolder }),
    ...(config && { config }),
    ...own,
  }
}

/** What is measured: one row of each input, and where it is from. */
interface Tried {
  readonly name: string
  readonly row: NamedTensors
}

/** The sizes that are asked for, or a recorded input, or zeros where nothing is known. @throws SettingsError */
function inputsToTry({ inputs, task }: ModelVersion, beside: Described): Tried {
  mustFit(inputs, beside.shapes ?? new Map())
  const found = { name: NAME, versions: [], ...beside }
  const [sample] = beside.shapes === undefined ? recordedSamples(found, inputs) : []
  if (task?.text !== undefined && sample === undefined && beside.shapes === undefined) return textToTry(task.text, inputs)
  const shapes = beside.shapes ?? recordedShapes(found) ?? shapesOfTask(task)
  const oneRow = ({ name, shape }: TensorSpec) =>
    (shapes?.get(name) ?? shape).map((size, index) => (index === 0 && shape[0] === -1 ? 1 : size))
  const row = sample ?? zeros(inputs.map((spec) => ({ ...spec, shape: oneRow(spec) })))
  const shown = [...row].map(([name, { shape }]) => `${name}[${['rows', ...shape.slice(1)].join()}]`).join(', ')
  if (sample !== undefined) return { row, name: `the recorded input ${shown}` }
  const isGuess = inputs.some(({ name, shape }) => shape.includes(-1, 1) && shapes?.get(name) === undefined)
  const guess = isGuess ? '; open sizes are taken as 1' : ''
  return { row, name: `zeros in ${shown}${guess}` }
}

/** A text of some tokens. */
function textToTry({ tokensMax, inputs: { ids, mask } }: TextInput, specs: readonly TensorSpec[]): Tried {
  const length = Math.min(TEXT_TOKENS, tokensMax)
  const row = zeros(specs.map((spec) => ({ ...spec, shape: [1, length] })))
  for (const [name, { data }] of row) {
    if (name !== ids && name !== mask) continue
    if (data instanceof BigInt64Array) data.fill(1n)
    else if (data instanceof Int32Array) data.fill(1)
  }
  return { row, name: `texts of ${length} tokens` }
}

/** @throws SettingsError where a shape is not one of the model's */
function mustFit(inputs: readonly TensorSpec[], shapes: ReadonlyMap<string, readonly number[]>): void {
  const names = inputs.map(({ name }) => `"${name}"`).join(', ')
  for (const [name, sizes] of shapes) {
    const spec = inputs.find((input) => input.name === name)
    if (spec === undefined) throw new SettingsError([`--shape: the model has no input "${name.slice(0, 60)}"; it has ${names}`])
    if (!matchesShape(spec.shape, sizes)) {
      throw new SettingsError([
        `--shape: "${name}" is ${describeShape(spec.shape)} in the model, and [${sizes.join()}] does not fit`,
      ])
    }
  }
}

interface MeasureOptions {
  readonly setting: Setting
  readonly tried: Tried
}

async function measure(
  engine: Engine,
  { version, inputs }: ModelVersion,
  { setting, tried }: MeasureOptions,
): Promise<readonly Measured[]> {
  const isInRows = inputs.length > 0 && inputs.every(({ shape }) => shape[0] === -1)
  const measured: Measured[] = []
  for (const rows of isInRows ? ROWS : [1]) {
    const run = () => engine.infer(NAME, version, copied(isInRows ? withRows(tried.row, rows) : tried.row))
    try {
      await run()
    } catch {
      // A model that rejects zeros with one number of rows may accept them with a different one.
      continue
    }
    let best = 0
    for (let round = 0; round < ROUNDS; round += 1) best = Math.max(best, await ratePerSecond(run, setting.instances))
    measured.push({ ...setting, rows, rowsPerSecond: best * rows })
  }
  return measured
}

/** The first row of each input, so many times. */
function withRows(inputs: NamedTensors, rows: number): NamedTensors {
  return new Map(
    [...inputs].map(([name, { datatype, shape, data }]) => {
      const size = elementCount(shape.slice(1))
      const first = [1, ...shape.slice(1)]
      // The cast: a part of an array is of its kind.
      const row: Tensor = { datatype, shape: first, data: data.slice(0, size) as TensorData }
      return [name, joinRows([row, ...Array.from({ length: rows - 1 }, () => row)])]
    }),
  )
}

/** What is sent is gone: each run has its own. */
function copied(inputs: NamedTensors): NamedTensors {
  return new Map([...inputs].map(([name, tensor]) => [name, { ...tensor, data: tensor.data.slice() } as Tensor]))
}

/** Runs a second, with every worker busy and one request waiting for each. */
async function ratePerSecond(run: () => Promise<unknown>, instances: number): Promise<number> {
  const begunMs = performance.now()
  let count = 0
  const client = async () => {
    while (performance.now() - begunMs < MEASURE_MS) {
      await run()
      count += 1
    }
  }
  await Promise.all(Array.from({ length: instances * 2 }, client))
  return (count * 1000) / (performance.now() - begunMs)
}

function recommend(
  measured: readonly Measured[],
  { cores, mayShare }: { readonly cores: number; readonly mayShare: boolean },
): void {
  const rows = [...new Set(measured.map((each) => each.rows))]
  const settings = [...new Set(measured.map(({ instances, threads }) => `${instances}/${threads}`))]
  const find = (setting: string, count: number) =>
    measured.find(({ instances, threads, rows: each }) => `${instances}/${threads}` === setting && each === count)
  console.log(`\nRows a second on ${cores} ${cores === 1 ? 'core' : 'cores'}, with so many rows in a run:\n`)
  console.log(
    table([
      ['WORKERS', 'THREADS', ...rows.map(String)],
      ...settings.map((setting) => [
        ...setting.split('/'),
        ...rows.map((count) => Math.round(find(setting, count)?.rowsPerSecond ?? 0).toString()),
      ]),
    ]),
  )
  const best = measured.reduce((a, b) => (b.rowsPerSecond > a.rowsPerSecond ? b : a))
  // Fewer rows in a run answer sooner: more are worth it only where they give clearly more.
  const sooner = measured.filter(({ instances, threads }) => instances === best.instances && threads === best.threads)
  const chosen = sooner.find(({ rowsPerSecond }) => rowsPerSecond >= best.rowsPerSecond * 0.9) ?? best
  console.log(`
Recommended, for model.toml:

[serving]
instances = ${chosen.instances}
threads = ${chosen.threads}${mayShare ? `\n\n[batching]\nrows_max = ${chosen.rows}` : ''}`)
}
