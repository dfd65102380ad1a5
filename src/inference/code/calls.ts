/** Calls of a `model.ts` to other served models. */
import { VestalError } from '../../core/errors.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { InferOptions, Model, ModelVersion } from '../engine.ts'
import { decodeInput, encodeOutput } from './code-values.ts'

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

/** What a model is called with: JSON, or the tensor of a picture as `input`. */
export interface CalledWith {
  readonly text: string
  readonly tensors: NamedTensors
}

/**
 * Asks a model, and gives as JSON what a request to predict would have as its output.
 * @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE, and what its input or its computation is rejected with
 */
export async function callModel(
  engine: CodeCalls,
  name: string,
  { text, tensors: picture }: CalledWith,
  options: InferOptions,
): Promise<string> {
  const model = engine.model(name)
  if (model === undefined) throw new VestalError('MODEL_UNKNOWN')
  const version = readyVersion(model)
  if (version === undefined) throw new VestalError('MODEL_UNAVAILABLE', { detail: `'${name}' is not ready` })
  if (picture.size > 0 && version.code?.input.form !== 'image')
    throw new VestalError('INPUT_INVALID', { detail: `'${name}' is called with a picture, and takes none` })
  const { tensors, form } =
    picture.size > 0 ? { tensors: picture, form: 'rows' as const } : decodeInput(JSON.parse(text), version)
  return encodeOutput(await engine.infer(name, version.version, tensors, options), form, { model, version })
}
