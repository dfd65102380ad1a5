import { Elysia } from 'elysia'
import type { Authenticator } from '../auth/authenticator.ts'
import { VestalError } from '../core/errors.ts'
import type { Engine, Model } from '../inference/engine.ts'
import { hasLongIntegers } from '../tensor/datatypes.ts'
import { decodeJson } from '../tensor/exact-json.ts'
import { decodeRows, encodeRows } from '../tensor/rows.ts'
import { shownSpecs } from '../tensor/shape.ts'
import { guard } from './authentication.ts'
import { deadlineOf, leftOf } from './deadline.ts'
import { jsonResponse, jsonTextResponse } from './json.ts'
import { findModel, findReadyVersion, labelsOf, mayRead, permissionTo } from './model-access.ts'
import { MODEL_DETAIL } from './openapi/models.ts'
import type { Readiness } from './readiness.ts'
import type { RequestMemory } from './request-memory.ts'
import { type LiveUpgrade, live } from './streaming/live.ts'
import { stream } from './streaming/stream.ts'

export interface ModelRoutesOptions {
  readonly engine: Engine
  readonly authenticator: Authenticator
  readonly memory: RequestMemory
  /** Whether the server takes requests; default follows the engine. */
  readonly readiness?: Readiness
  /** Makes a socket of a connection; default by the server that the app listens with. */
  readonly upgrade?: LiveUpgrade
  /** Hears of what is our own bug where no response can tell: in a stream that has begun. */
  readonly report: (error: unknown, request: Request) => void
}

/** Models in rows, the Flama form: `{"input": rows}` is answered with `{"output": …}`. */
export function models(options: ModelRoutesOptions) {
  const { engine, authenticator, memory } = options
  const read = permissionTo('read', engine)
  const predict = permissionTo('predict', engine)
  return new Elysia({ name: 'models' })
    .use(guard(authenticator))
    .get('/models/', ({ token }) => jsonResponse({ models: engine.models().filter(mayRead(token)).map(describe) }), {
      permissions: [],
      detail: MODEL_DETAIL.list,
    })
    .get('/models/:name/', ({ params }) => jsonResponse(describe(findModel(engine, params.name))), {
      permissions: read,
      detail: MODEL_DETAIL.describe,
    })
    .post(
      '/models/:name/predict/',
      async ({ params, request, token }) =>
        answer(engine, findModel(engine, params.name), { request, memory, subject: token.principal.key }),
      {
        permissions: predict,
        parse: 'none',
        detail: MODEL_DETAIL.predict,
      },
    )
    .use(stream(options))
    .use(live(options))
}

function describe({ name, description, permissions, labels, examples, versions }: Model) {
  const newest = versions.find(({ state }) => state === 'ready')
  return {
    name,
    description,
    permissions,
    labels: Object.fromEntries(newest?.labels ?? labels),
    examples,
    versions: versions.map(({ labels: _, hasRows: __, ...version }) => ({ ...version, ...shownSpecs(version) })),
  }
}

interface Asked {
  readonly request: Request
  readonly memory: RequestMemory
  /** The key of the principal. */
  readonly subject: string
}

async function answer(engine: Engine, model: Model, { request, memory, subject }: Asked): Promise<Response> {
  const answering = findReadyVersion(model)
  const { version, inputs, outputs } = answering
  const deadline = deadlineOf(request)
  const held = memory.open(request, subject)
  try {
    const { tensors, form } = decodeJson(await held.read(), { exactIntegers: hasLongIntegers(inputs) }, (body) => {
      const input = readInput(body)
      return { tensors: decodeRows(input, inputs), form: Array.isArray(input) ? ('rows' as const) : ('columns' as const) }
    })
    held.handOver()
    const requestId = memory.idOf(request)
    const options = { signal: () => request.signal, subject, requestId, timeoutMs: leftOf(deadline) }
    const result = await engine.infer(model.name, version, tensors, options)
    held.computed(result)
    const json = `{"output":${encodeRows(result, outputs, { form, labels: labelsOf(model, answering) })}}`
    return held.answer(jsonTextResponse(json), json.length)
  } finally {
    held.close()
  }
}

function readInput(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new VestalError('BODY_INVALID', { detail: { body: 'must be an object with "input"' } })
  }
  const { input, ...others } = body as Readonly<Record<string, unknown>>
  const other = Object.keys(others)[0]
  if (other !== undefined)
    throw new VestalError('BODY_INVALID', { detail: { [other.slice(0, 64)]: 'is not a field of this body' } })
  if (input === undefined) throw new VestalError('BODY_INVALID', { detail: { input: 'is missing' } })
  return input
}
