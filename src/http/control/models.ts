import { Elysia } from 'elysia'
import type { Authenticator } from '../../auth/authenticator.ts'
import type { Engine, Model } from '../../inference/engine.ts'
import type { Answer } from '../../schema/build.ts'
import { shownTask } from '../../tasks/shown-task.ts'
import { shownSpecs } from '../../tensor/shape.ts'
import { guard } from '../authentication.ts'
import { jsonResponse } from '../json.ts'
import { findModel, mayRead, permissionTo } from '../model-access.ts'
import { MODEL_DETAIL } from '../openapi/models.ts'
import type { Model as ModelAnswer } from './schemas.ts'

/** What the models are, as their callers in rows need it. */
export function models(engine: Engine, authenticator: Authenticator) {
  return new Elysia()
    .use(guard(authenticator))
    .get('/models/', ({ token }) => jsonResponse({ models: engine.models().filter(mayRead(token)).map(describe) }), {
      permissions: [],
      detail: MODEL_DETAIL.list,
    })
    .get('/models/:name/', ({ params }) => jsonResponse(describe(findModel(engine, params.name))), {
      permissions: permissionTo('read', engine),
      detail: MODEL_DETAIL.describe,
    })
}

function describe({ name, description, permissions, labels, examples, versions }: Model): Answer<typeof ModelAnswer> {
  const newest = versions.find(({ state }) => state === 'ready')
  return {
    name,
    // That of model.toml counts.
    description: description || (newest?.code?.description ?? ''),
    permissions,
    labels: Object.fromEntries(newest?.labels ?? labels),
    examples: newest?.code === undefined || examples.length > 0 ? examples : newest.code.examples,
    versions: versions.map(({ labels: _, hasRows: __, offBy: ___, steps: ____, task, code, ...version }) => ({
      ...version,
      ...(task && { task: shownTask(task) }),
      ...shownSpecs(version),
      ...(code && { code: { input: code.input, output: code.output } }),
    })),
  }
}
