/** Calls of a `model.ts` to other served models. */
import { VestalError } from '../../core/errors.ts'
import { withPatience } from '../../core/patience.ts'
import { answerTask, taskQuestion } from '../../tasks/bodies/answer-task.ts'
import type { TaskCall } from '../../tasks/call.ts'
import type { PictureDecoder } from '../../tasks/image/decoder.ts'
import type { Placement } from '../../tasks/image/placement.ts'
import { isObject } from '../../tensor/exact-json.ts'
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts'
import type { InferOptions, Model, ModelVersion } from '../engine.ts'
import { decodeInput, encodeOutput, pictureInputOf } from './code-values.ts'

/** What calls reach. */
export interface CodeCalls {
  model(name: string): Model | undefined
  /** Models that a loaded model asks, whether it can serve or not: those that its code calls, or the steps of a pipeline. */
  askedBy(name: string): readonly string[]
  infer(model: string, version: string, inputs: NamedTensors, options: InferOptions): Promise<NamedTensors>
}

/** Models in a row, each called by the one before it. */
const DEPTH_MAX = 8

function readyVersion(model: Model | undefined): ModelVersion | undefined {
  return model?.versions.find(({ state }) => state === 'ready')
}

/** Why a model that calls these cannot serve: they go round in a circle, are too deep, or one is not ready. */
export function troubleOf(name: string, calls: readonly string[], engine: CodeCalls): string | undefined {
  const path = wrongPath([name], calls, engine)
  if (path !== undefined) return path
  for (const called of calls) {
    const model = engine.model(called)
    if (model === undefined) return `it calls '${called}', and there is no such model`
    if (readyVersion(model) === undefined) return `it calls '${called}', which is not ready${because(model)}`
  }
  return undefined
}

function wrongPath(path: readonly string[], calls: readonly string[], engine: CodeCalls): string | undefined {
  for (const called of calls) {
    const way = [...path, called]
    if (path.includes(called)) return `its calls go round in a circle: ${way.join(' → ')}`
    if (way.length > DEPTH_MAX) return `its calls are more than ${DEPTH_MAX} deep: ${way.join(' → ')}`
    const wrong = wrongPath(way, engine.askedBy(called), engine)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

function because({ versions }: Model): string {
  const reason = versions.find((version) => version.reason !== undefined)?.reason
  return reason === undefined ? '' : ` (${reason.slice(0, 300)})`
}

/** What a model is called with: an input; or a picture, once as a question for how it becomes the input, then as that tensor `input`. */
export interface CalledWith {
  /** JSON of `{input, parameters}`, without an input where there is a picture. */
  readonly text: string
  readonly tensors: NamedTensors
  readonly picture?: { readonly placement?: Placement } | undefined
}

/**
 * Asks a model, and gives as JSON what a request to predict would have as its output; to a picture without its place, how it becomes
 * the model's input.
 * @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE, and what its input or its computation is rejected with
 */
export async function callModel(
  engine: CodeCalls,
  name: string,
  { text, tensors, picture }: CalledWith,
  options: InferOptions,
): Promise<string> {
  const model = engine.model(name)
  if (model === undefined) throw new VestalError('MODEL_UNKNOWN')
  const version = readyVersion(model)
  if (version === undefined) throw new VestalError('MODEL_UNAVAILABLE', { detail: `'${name}' is not ready` })
  const { task } = version
  const signal = (typeof options.signal === 'function' ? options.signal() : options.signal) ?? new AbortController().signal
  const infer: TaskCall['infer'] = (rows, { outputs } = {}) =>
    withPatience(() => engine.infer(name, version.version, rows, { ...options, outputs }), signal)
  // It would be resampled by the thread that serves all models.
  if (task?.audio !== undefined) throw new VestalError('UNSUPPORTED', { detail: `Code cannot call '${name}', which takes sound` })
  const call = { inputs: version.inputs, infer, signal }
  const { input: given, parameters } = questionIn(text)
  if (parameters !== undefined && task === undefined)
    throw new VestalError('INPUT_INVALID', { detail: `"parameters": '${name}' takes none, since it has no task` })
  if (picture !== undefined) {
    const input = pictureInputOf(version)
    if (input === undefined)
      throw new VestalError('INPUT_INVALID', { detail: `'${name}' is called with a picture, and takes none` })
    const { placement } = picture
    if (placement === undefined) return JSON.stringify(input)
    if (task !== undefined)
      return answerTask(taskQuestion(task, ONE_PICTURE, parameters ?? {}), {
        ...call,
        task,
        pictures: decoded(tensors.get('input'), placement),
      })
  } else if (task !== undefined) return answerTask(taskQuestion(task, given, parameters ?? {}), { ...call, task })
  const { tensors: inputs, form } = picture === undefined ? decodeInput(given, version) : { tensors, form: 'rows' as const }
  return encodeOutput(await engine.infer(name, version.version, inputs, options), form, { model, version })
}

/** What the code of another process asks, which is any JSON; a question for a picture's form is none. */
function questionIn(text: string): { readonly input?: unknown; readonly parameters?: unknown } {
  const question: unknown = text === '' ? {} : JSON.parse(text)
  return isObject(question) ? question : {}
}

/** A picture whose tensor is there already: tasks count it, and `decoded` gives its tensor. */
const ONE_PICTURE = new Uint8Array(1)

/** Gives the tensor that the code process made of a picture. */
function decoded(tensor: Tensor | undefined, placement: Placement): PictureDecoder {
  return {
    async prepare() {
      if (tensor === undefined) throw new VestalError('INPUT_INVALID', { detail: 'the picture has no tensor' })
      return { tensor, placement }
    },
    async masks() {
      throw new VestalError('UNSUPPORTED', { detail: 'Code cannot call a model of masks with a picture' })
    },
  }
}
