import type { Engine } from '../../engine/engine.ts'
import { hasLongIntegers } from '../../tensor/datatypes.ts'
import { parseJson } from '../../tensor/exact-json.ts'
import { decodeRows, encodeRows } from '../../tensor/rows.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import { CommandError } from '../command-error.ts'
import { refuseUnknown, versionOf } from './manage.ts'
import { type ModelsRequest, serverAt, urlOf } from './server.ts'

/** Computes rows, here or on a server. */
export interface Predictor {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** Rows, or columns by input name, as JSON text; gives the JSON text of the answer, in the same form. */
  predict(input: string): Promise<string>
}

/** A predictor of this process. */
export function localPredictor(engine: Engine, request: ModelsRequest): Predictor {
  const asked = versionOf(request)
  const model = engine.model(request.name)
  if (model === undefined) throw new CommandError(`${request.name}: there is no such model`)
  if (asked !== undefined) refuseUnknown(model, asked)
  const found = model.versions.find(({ version, state }) => (asked === undefined ? state === 'ready' : version === asked))
  if (found?.state !== 'ready') {
    const reason = (found ?? model.versions[0])?.reason
    throw new CommandError(`${request.name}: it is not ready${reason === undefined ? '' : `: ${reason}`}`)
  }
  const { version, inputs, outputs } = found
  return {
    inputs,
    outputs,
    async predict(text) {
      const input = parseJson(Buffer.from(text), { exactIntegers: hasLongIntegers(inputs) })
      const results = await engine.infer(model.name, version, decodeRows(input, inputs))
      return encodeRows(results, outputs, {
        form: Array.isArray(input) ? 'rows' : 'columns',
        labels: found.labels ?? model.labels,
      })
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
  return {
    inputs,
    outputs,
    async predict(text) {
      const answer = await server.ask(`/models/${path}/predict/`, { method: 'POST', body: `{"input":${text}}` })
      return answer.slice('{"output":'.length, -1)
    },
  }
}
