import { describe, expect, test } from 'bun:test'
import type { AuthenticatedToken } from '../../../src/auth/authenticator.ts'
import { compileGrants } from '../../../src/auth/permissions.ts'
import { VestalError } from '../../../src/core/errors.ts'
import {
  checkPriority,
  findModel,
  findReadyVersion,
  findVersion,
  labelsOf,
  mayRead,
  mayReadAndPredict,
  mayReadName,
  nameOfModel,
  permissionTo,
} from '../../../src/http/model-access.ts'
import type { Engine, Model, ModelVersion } from '../../../src/inference/engine.ts'

/** The code and the detail of a rejection; whatever else comes of the work as it is. */
function outcome(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    if (error instanceof VestalError) return [error.code, error.detail]
    throw error
  }
}

/** The casts of this file: no more of an engine, a model and a token than the functions look at. */
const engine = {
  model: (name: string) => (name === 'iris' ? { name, versions: [] } : undefined),
  permission: (name: string, action: string) => `model:${name}:${action}`,
} as unknown as Engine
const tokenOf = (...grants: readonly string[]) => ({ allows: compileGrants(grants) }) as unknown as AuthenticatedToken

describe('the permission of a request', () => {
  test('is that of the model in its path', () => {
    expect(permissionTo('predict', engine)({ name: 'iris' })).toEqual(['model:iris:predict'])
    expect(permissionTo('read', engine)({ name: 'nobody' })).toEqual(['model:nobody:read'])
    expect(permissionTo('admin', engine)({})).toEqual(['model::admin'])
  })

  test('to read says which models a list may hold', () => {
    const model = { permissions: { read: 'see:iris' } } as unknown as Model
    expect([mayRead(tokenOf('see:iris'))(model), mayRead(tokenOf('model:iris:read'))(model)]).toEqual([true, false])
    const mayReadNamed = mayReadName(tokenOf('model:iris:read'), engine)
    expect([mayReadNamed('iris'), mayReadNamed('digits')]).toEqual([true, false])
  })
})

describe('a model that the document shows', () => {
  const permissions = (name: string) => ({ read: `model:${name}:read`, predict: `model:${name}:predict` })
  const chain = (ownAuthority: readonly string[] = []) =>
    ({
      name: 'chain',
      permissions: permissions('chain'),
      versions: [{ version: '1', state: 'ready', code: { calls: ['iris'], ownAuthority } }],
    }) as unknown as Model
  const shows = (model: Model, ...grants: readonly string[]) => mayReadAndPredict(tokenOf(...grants), engine)(model)

  test('may be read and predicted with', () => {
    const model = { name: 'plain', permissions: permissions('plain'), versions: [] } as unknown as Model
    expect(shows(model, 'model:plain:read', 'model:plain:predict')).toBe(true)
    expect([shows(model, 'model:plain:read'), shows(model, 'model:plain:predict')]).toEqual([false, false])
  })

  test('may also call what its code calls, but for what that asks by its own authority', () => {
    const grants = ['model:chain:read', 'model:chain:predict']
    expect([shows(chain(), ...grants), shows(chain(), ...grants, 'model:iris:predict')]).toEqual([false, true])
    expect(shows(chain(['iris']), ...grants)).toBe(true)
  })
})

describe('a priority', () => {
  const model = { name: 'iris', priorities: { default: 5 } } as unknown as Model
  const ask = (priority: number | undefined, ...grants: readonly string[]) =>
    outcome(() => checkPriority(priority, model, compileGrants(grants)))

  test('before the default one requires a permission', () => {
    const rejection = [
      'PERMISSION_MISSING',
      'A priority before 5, which this model has for all, asks for the permission model:iris:priority',
    ]
    for (const priority of [0, 1, 4]) {
      expect(ask(priority)).toEqual(rejection)
      expect(ask(priority, 'model:iris:predict')).toEqual(rejection)
      expect(ask(priority, 'model:*:priority')).toBeUndefined()
    }
  })

  test('that is the default, or after it, or not named, requires none', () => {
    for (const priority of [undefined, 5, 6]) expect(ask(priority)).toBeUndefined()
    const plain = { name: 'iris' } as unknown as Model
    expect(outcome(() => checkPriority(1, plain, compileGrants([])))).toBeUndefined()
  })
})

describe('the model of a name', () => {
  test('is found, or rejected with the name', () => {
    expect(findModel(engine, 'iris')).toMatchObject({ name: 'iris' })
    expect(outcome(() => findModel(engine, 'x'.repeat(100)))).toEqual([
      'MODEL_UNKNOWN',
      `Request for unknown model: '${'x'.repeat(100)}' is not found`,
    ])
  })

  test('in a path is asked to metrics and traces only where there is such a model', () => {
    const route = { path: '/models/:name/', methods: ['GET'], nameAt: 1 }
    expect(nameOfModel(route, '/models/iris/', engine)).toBe('iris')
    expect(nameOfModel(route, '/models/anything/', engine)).toBeUndefined()
    expect(nameOfModel({ ...route, nameAt: -1 }, '/models/iris/', engine)).toBeUndefined()
  })

  test('that is long is shown no longer than a model’s may be', () => {
    expect(outcome(() => findModel(engine, 'x'.repeat(101)))).toEqual([
      'MODEL_UNKNOWN',
      `Request for unknown model: '${'x'.repeat(100)}…' is not found`,
    ])
  })

  test('that the router could not decode is that of no model', () => {
    // The cast: Elysia gives null where its type says text.
    for (const name of [null as unknown as string, ''])
      expect(outcome(() => findModel(engine, name))).toEqual(['MODEL_UNKNOWN', "Request for unknown model: '' is not found"])
  })
})

describe('the version that answers', () => {
  const version = (number: string, state: string, reason?: string) =>
    ({ version: number, state, reason }) as unknown as ModelVersion
  const model = (...versions: readonly ModelVersion[]) => ({ name: 'iris', versions }) as unknown as Model
  const [ready, older] = [version('3', 'ready'), version('1', 'ready')]
  const broken = version('4', 'failed', 'it is broken')

  test('is the one that is asked for, where it is ready', () => {
    expect(findReadyVersion(model(broken, ready, older), '1')).toBe(older)
    expect(findVersion(model(broken, ready), '4')).toBe(broken)
    expect(outcome(() => findReadyVersion(model(broken, ready), '4'))).toEqual([
      'MODEL_UNAVAILABLE',
      "Request for unknown model: 'iris' version 4 is not at ready state: it is broken",
    ])
    expect(outcome(() => findReadyVersion(model(version('4', 'loading')), '4'))).toEqual([
      'MODEL_UNAVAILABLE',
      "Request for unknown model: 'iris' version 4 is not at ready state",
    ])
    for (const find of [findVersion, findReadyVersion])
      expect(outcome(() => find(model(ready), '7'))).toEqual([
        'MODEL_UNKNOWN',
        "Request for unknown model: 'iris' version 7 is not found",
      ])
  })

  test('is the first that is ready where none is asked for', () => {
    expect(findReadyVersion(model(broken, ready, older))).toBe(ready)
  })

  test('is none where none is ready: unavailable where one may be soon, unknown where all were unloaded', () => {
    const off = { ...version('2', 'unavailable', 'unloaded'), offBy: 'request' } as const
    expect(outcome(() => findReadyVersion(model(off, broken)))).toEqual([
      'MODEL_UNAVAILABLE',
      "Request for unknown model: 'iris' has no available versions: it is broken",
    ])
    for (const versions of [[], [off]])
      expect(outcome(() => findReadyVersion(model(...versions)))).toEqual([
        'MODEL_UNKNOWN',
        "Request for unknown model: 'iris' has no available versions",
      ])
  })

  test('has class names of its own, or the model’s', () => {
    const [own, shared] = [new Map([['y', ['a']]]), new Map([['y', ['b']]])]
    expect(labelsOf({ labels: shared } as unknown as Model, { labels: own } as unknown as ModelVersion)).toBe(own)
    expect(labelsOf({ labels: shared } as unknown as Model, {} as ModelVersion)).toBe(shared)
  })
})
