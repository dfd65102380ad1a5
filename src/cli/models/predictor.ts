import { CommandError } from '../../core/command-error.ts'
import type { Engine, ModelConfiguration } from '../../inference/engine.ts'
import { BATCH_ROWS_MAX } from '../../inference/resolve-settings.ts'
import { hasLongIntegers } from '../../tensor/datatypes.ts'
import { decodeJson } from '../../tensor/exact-json.ts'
import { decodeRows, encodeRows } from '../../tensor/rows.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import { rejectUnknown, unknownModel, versionOf } from './manage.ts'
import { type ModelsRequest, serverAt, urlOf } from './server.ts'

/** Computes rows, here or on a server. */
export interface Predictor {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** Class names of an output, by output name. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  /** Rows of one request, where nothing else is asked. */
  readonly rows: number
  /** Rows, or columns by input name, as JSON text; gives the JSON text of the answer, in the same form. */
  predict(input: string): Promise<string>
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
  const { version, inputs, outputs, labels = model.labels } = found
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

/** A predictor of a running server. */
export async function remotePredictor(request: ModelsRequest): Promise<Predictor> {
  const { name } = request
  if (versionOf(request) !== undefined)
    throw new CommandError('--version: a server computes rows with its newest version; leave it out')
  const server = serverAt(urlOf(request), request, [`model:${name}:read`, `model:${name}:predict`])
  const path = encodeURIComponent(name)
  const { inputs, outputs } = JSON.parse(await server.ask(`/v2/models/${path}`)) as Pick<Predictor, 'inputs' | 'outputs'>
  const configuration = JSON.parse(await server.ask(`/v2/models/${path}/config`)) as ModelConfiguration
  const { labels } = JSON.parse(await server.ask(`/models/${path}/`)) as {
    readonly labels: Readonly<Record<string, readonly string[]>>
  }
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
