import { SettingsError } from '../../config/load.ts'
import { CommandError } from '../../core/command-error.ts'
import { createPictureDecoders, type PictureDecoders } from '../../http/predict/picture-decoders.ts'
import type { Engine, ModelConfiguration, ModelVersion } from '../../inference/engine.ts'
import { BATCH_ROWS_MAX } from '../../inference/resolve-settings.ts'
import { answerTask, taskQuestion } from '../../tasks/bodies/answer-task.ts'
import type { TaskDescription, TaskName } from '../../tasks/task.ts'
import { hasLongIntegers } from '../../tensor/datatypes.ts'
import { decodeJson, isObject } from '../../tensor/exact-json.ts'
import { decodeRows, encodeRows } from '../../tensor/rows.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import { rejectUnknown, unknownModel, versionOf } from './manage.ts'
import { type ModelServer, type ModelsRequest, serverAt, urlOf } from './server.ts'

/** Computes rows, here or on a server. */
export interface Predictor {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** Class names of an output, by output name. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  /** Rows of one request, where nothing else is asked. */
  readonly rows: number
  /** What the model does beside tensors, and the endings of the files that are its inputs, where they are pictures or sound. */
  readonly task?: { readonly name: TaskName; readonly endings: readonly string[] | undefined }
  /** Rows, or columns by input name, as JSON text; gives the JSON text of the answer, in the same form. */
  predict(input: string): Promise<string>
  /** Ends what it has started. */
  close?(): void
}

/** Rows of one request to a model that takes any number. */
const ROWS = 256

/**
 * How many rows may go together: any number where they do not change each other's answers, as many as the model takes where that is
 * fixed, and otherwise one.
 */
function rowsTogether(configuration: ModelConfiguration, inputs: readonly TensorSpec[]): number {
  const rowsMax = Number(configuration.max_batch_size)
  const leads = new Set(inputs.map(({ shape }) => shape[0]))
  const [lead = 1] = leads.size === 1 ? leads : []
  // A pipeline does not say whether its models take rows together; where it returns a different number than it got, that is reported.
  if (lead === -1 && rowsMax === 0 && configuration.platform === 'ensemble') return ROWS
  if (lead === -1 && rowsMax > 0) return rowsMax === BATCH_ROWS_MAX ? ROWS : Math.min(ROWS, rowsMax)
  return Math.max(1, lead)
}

/** A predictor of this process. */
export function localPredictor(engine: Engine, request: ModelsRequest): Predictor {
  const asked = versionOf(request)
  const model = engine.model(request.name)
  if (model === undefined) throw unknownModel(engine, request.name)
  if (asked !== undefined) rejectUnknown(model, asked)
  const found = model.versions.find(({ version, state }) => (asked === undefined ? state === 'ready' : version === asked))
  if (found?.state !== 'ready') {
    const reason = (found ?? model.versions[0])?.reason
    throw new CommandError(`${request.name}: it is not ready${reason === undefined ? '' : `: ${reason}`}`)
  }
  const { version, inputs, outputs, labels = model.labels, task } = found
  if (task !== undefined) return localTaskPredictor(engine, request, { ...found, task })
  rejectParameters(request)
  return {
    inputs,
    outputs,
    labels,
    rows: rowsTogether(engine.configuration(model.name, version), inputs),
    async predict(text) {
      const options = { exactIntegers: hasLongIntegers(inputs) }
      const { tensors, form } = decodeJson(Buffer.from(text), options, (input) => ({
        tensors: decodeRows(input, inputs),
        form: Array.isArray(input) ? ('rows' as const) : ('columns' as const),
      }))
      const results = await engine.infer(model.name, version, tensors)
      return encodeRows(results, outputs, { form, labels })
    },
  }
}

/** Of what a server says about a model. */
interface ShownModel {
  readonly labels: Readonly<Record<string, readonly string[]>>
  readonly versions: readonly { readonly state: string; readonly task?: { readonly task: TaskName } }[]
}

function rejectParameters({ args, name }: ModelsRequest): void {
  if (args.values.has('parameters'))
    throw new SettingsError([`--parameters: the model ${JSON.stringify(name)} has no task, so it takes none; leave it out`])
}

/** A predictor of a running server. */
export async function remotePredictor(request: ModelsRequest): Promise<Predictor> {
  const { name } = request
  if (versionOf(request) !== undefined)
    throw new CommandError('--version: a server computes rows with its newest version; leave it out')
  const server = serverAt(urlOf(request), request, [`model:${name}:read`, `model:${name}:predict`])
  const path = encodeURIComponent(name)
  // The cast: a server of this program answers.
  const { labels, versions } = JSON.parse(await server.ask(`/models/${path}/`)) as ShownModel
  const task = versions.find(({ state }) => state === 'ready')?.task?.task
  if (task !== undefined) return remoteTaskPredictor(server, request, task)
  rejectParameters(request)
  const { inputs, outputs } = JSON.parse(await server.ask(`/v2/models/${path}`)) as Pick<Predictor, 'inputs' | 'outputs'>
  const configuration = JSON.parse(await server.ask(`/v2/models/${path}/config`)) as ModelConfiguration
  return {
    inputs,
    outputs,
    labels: new Map(Object.entries(labels)),
    rows: rowsTogether(configuration, inputs),
    async predict(text) {
      const answer = await server.ask(`/models/${path}/predict/`, { method: 'POST', body: `{"input":${text}}` })
      return answer.slice('{"output":'.length, -1)
    },
  }
}

/** Texts of one request. */
const TEXTS = 32
const PICTURES = ['.avif', '.gif', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp']
/** Endings of the files that are inputs of a task. */
const ENDINGS: Readonly<Partial<Record<TaskName, readonly string[]>>> = {
  'image-classify': PICTURES,
  detect: PICTURES,
  segment: PICTURES,
  'audio-classify': ['.wav'],
}

/** What rows of a task are, wherever they are computed. */
function shapeOf(task: TaskName): Omit<Predictor, 'predict'> {
  const endings = ENDINGS[task]
  // A query with its texts is one request, and a picture may be as large as a request.
  const rows = task === 'rerank' || endings !== undefined ? 1 : TEXTS
  return {
    inputs: [],
    outputs: endings === undefined ? [outputOf(task)] : [],
    labels: new Map(),
    rows,
    task: { name: task, endings },
  }
}

/** Vectors are numbers, which .npy holds. */
function outputOf(task: TaskName): TensorSpec {
  if (task === 'embedding') return { name: 'output', datatype: 'FP32', shape: [-1, -1] }
  return { name: 'output', datatype: 'BYTES', shape: [-1] }
}

/** A predictor of this process for a model with a task. @throws SettingsError */
function localTaskPredictor(
  engine: Engine,
  request: ModelsRequest,
  { version, inputs, task }: ModelVersion & { readonly task: TaskDescription },
): Predictor {
  const parameters = parametersOf(request)
  let decoders: PictureDecoders | undefined
  return {
    ...shapeOf(task.task),
    async predict(text) {
      const rows = decodeJson(Buffer.from(text), {}, (value) => value)
      const question = taskQuestion(task, inputOf(task.task, rows), parameters)
      if (task.image !== undefined) decoders ??= createPictureDecoders()
      const answer = await answerTask(question, {
        task,
        inputs,
        infer: (tensors, { outputs } = {}) => engine.infer(request.name, version, tensors, { outputs }),
        ...(decoders !== undefined && { pictures: decoders.of('', () => undefined) }),
      })
      return answerOf(task.task, answer)
    },
    close: () => decoders?.close(),
  }
}

/** A predictor of a running server for a model with a task. @throws SettingsError */
function remoteTaskPredictor(server: ModelServer, request: ModelsRequest, task: TaskName): Predictor {
  const parameters = JSON.stringify(parametersOf(request))
  const path = `/models/${encodeURIComponent(request.name)}/predict/`
  return {
    ...shapeOf(task),
    async predict(text) {
      const input = task === 'rerank' ? text.slice(1, -1) : text
      const answer = await server.ask(path, { method: 'POST', body: `{"input":${input},"parameters":${parameters}}` })
      return answerOf(task, answer.slice('{"output":'.length, -1))
    },
  }
}

/** A rerank takes a query with its texts, one a request; every other task a list. */
function inputOf(task: TaskName, rows: unknown): unknown {
  return task === 'rerank' && Array.isArray(rows) ? rows[0] : rows
}

function answerOf(task: TaskName, answer: string): string {
  return task === 'rerank' ? `[${answer}]` : answer
}

function parametersOf({ args }: ModelsRequest): Readonly<Record<string, unknown>> {
  const text = args.values.get('parameters')?.at(-1)
  if (text === undefined) return {}
  try {
    const value: unknown = JSON.parse(text)
    // The cast: it is an object.
    if (isObject(value)) return value as Readonly<Record<string, unknown>>
  } catch {
    // What it must be follows.
  }
  throw new SettingsError(['--parameters: must be a JSON object, such as {"top_k": 1}'])
}
