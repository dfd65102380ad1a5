import { Elysia } from 'elysia'
import type { Authenticator } from '../../auth/authenticator.ts'
import { VERSION } from '../../core/version.ts'
import type { Engine } from '../../inference/engine.ts'
import { sentShape } from '../../tensor/shape.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import { guard } from '../authentication.ts'
import { jsonResponse } from '../json.ts'
import { findModel, findReadyVersion, findVersion, mayRead, permissionTo } from '../model-access.ts'
import { DESCRIPTION_DETAIL } from '../openapi/open-inference-descriptions.ts'
import { readinessResponse } from './health.ts'

/** Extensions of the protocol that are here, by the names that Triton gives them. */
export const EXTENSIONS: readonly string[] = [
  'classification',
  'model_repository',
  'model_repository(unload_dependents)',
  'schedule_policy',
  'model_configuration',
  'binary_tensor_data',
  'parameters',
  'statistics',
]

/** Metadata of the server and its models. */
export function metadata(engine: Engine, authenticator: Authenticator) {
  const permissions = permissionTo('read', engine)
  const reading = <Detail>(detail: Detail) => ({ permissions, detail })
  const { server, list, metadata: detail, modelReady, configuration } = DESCRIPTION_DETAIL
  return new Elysia()
    .use(guard(authenticator))
    .get('/v2', () => jsonResponse({ name: 'vestal', version: VERSION, extensions: EXTENSIONS }), {
      permissions: [],
      detail: server,
    })
    .get(
      '/v2/models',
      ({ token }) =>
        jsonResponse({
          models: engine
            .models()
            .filter(mayRead(token))
            .map(({ name }) => name),
        }),
      { permissions: [], detail: list },
    )
    .get('/v2/models/:name', ({ params }) => jsonResponse(metadataOf(engine, params.name)), reading(detail))
    .get(
      '/v2/models/:name/versions/:version',
      ({ params }) => jsonResponse(metadataOf(engine, params.name, params.version)),
      reading(detail),
    )
    .get('/v2/models/:name/ready', ({ params }) => readinessResponse(modelReadiness(engine, params.name)), reading(modelReady))
    .get(
      '/v2/models/:name/versions/:version/ready',
      ({ params }) => readinessResponse(modelReadiness(engine, params.name, params.version)),
      reading(modelReady),
    )
    .get('/v2/models/:name/config', ({ params }) => jsonResponse(configurationOf(engine, params.name)), reading(configuration))
    .get(
      '/v2/models/:name/versions/:version/config',
      ({ params }) => jsonResponse(configurationOf(engine, params.name, params.version)),
      reading(configuration),
    )
}

/** Model metadata as the protocol gives it: of the version asked for, or of the newest with the list of all that are ready. */
function metadataOf(engine: Engine, name: string, asked?: string) {
  const model = findModel(engine, name)
  const found = findReadyVersion(model, asked)
  const { version } = found
  const ready = model.versions.filter(({ state }) => state === 'ready').map(({ version: number }) => number)
  const { platform, max_batch_size: rowsMax } = engine.configuration(name, version)
  const versions = asked === undefined ? ready : [version]
  const shown = (specs: readonly TensorSpec[], isInBatches: boolean) =>
    specs.map(({ name, datatype, shape }) => ({ name, datatype, shape: sentShape(shape, { isInBatches }) }))
  return {
    ...{ name, versions, platform },
    inputs: shown(found.inputs, Number(rowsMax) > 0),
    outputs: shown(found.outputs, false),
    ...(found.task && { parameters: { task: found.task.task } }),
  }
}

function configurationOf(engine: Engine, name: string, asked?: string) {
  const { version } = findReadyVersion(findModel(engine, name), asked)
  return engine.configuration(name, version)
}

function modelReadiness(engine: Engine, name: string, asked?: string) {
  const model = findModel(engine, name)
  const isReady =
    asked === undefined ? model.versions.some(({ state }) => state === 'ready') : findVersion(model, asked).state === 'ready'
  // What the engine is away for computes nothing, whatever is known of it.
  return { name: model.name, ready: isReady && engine.isReady() }
}
