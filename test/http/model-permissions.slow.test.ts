import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine, EngineOptions } from '../../src/index.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { startExplicit } from '../support/explicit-engine.ts'
import { factorModel } from '../support/factor-model.ts'
import { createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const OWN = '[permissions]\npredict = "vault:predict"\nread = "vault:read"\nadmin = "vault:admin"\n'
const DEFAULTS = ['model:*:predict', 'model:*:read', 'model:*:admin']
const X = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] })
const ROWS = JSON.stringify({ input: [1] })

/** Every route that names a model, with the action that it is. */
const ROUTES = [
  ['predict', 'POST', '/v2/models/vault/infer', X],
  ['predict', 'POST', '/v2/models/vault/versions/1/infer', X],
  ['predict', 'POST', '/models/vault/predict/', ROWS],
  ['predict', 'POST', '/models/vault/stream/', '1\n'],
  ['predict', 'GET', '/models/vault/live', undefined],
  ['read', 'GET', '/models/vault/', undefined],
  ['read', 'GET', '/v2/models/vault', undefined],
  ['read', 'GET', '/v2/models/vault/ready', undefined],
  ['read', 'GET', '/v2/models/vault/config', undefined],
  ['read', 'GET', '/v2/models/vault/stats', undefined],
  ['read', 'GET', '/v2/models/vault/versions/1', undefined],
  ['read', 'GET', '/v2/models/vault/versions/1/ready', undefined],
  ['read', 'GET', '/v2/models/vault/versions/1/config', undefined],
  ['read', 'GET', '/v2/models/vault/versions/1/stats', undefined],
  ['admin', 'POST', '/v2/repository/models/vault/unload', undefined],
  ['admin', 'POST', '/v2/repository/models/vault/load', undefined],
  ['admin', 'POST', '/v2/repository/models/vault/versions/1/unload', undefined],
  ['admin', 'POST', '/v2/repository/models/vault/versions/1/load', undefined],
] as const

let folder = ''
let engine: Engine | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vestal-permissions-'))
})
afterEach(async () => {
  await engine?.stop()
  engine = undefined
  rmSync(folder, { recursive: true, force: true })
})

const put = (path: string, content: Uint8Array | string) => Bun.write(join(folder, path), content)
/** Puts a model's folder in its place in one step. */
async function move(name: string, toml: string | undefined): Promise<void> {
  await put(`.new/${name}/1/model.onnx`, factorModel(2))
  if (toml !== undefined) await put(`.new/${name}/model.toml`, toml)
  renameSync(join(folder, '.new', name), join(folder, name))
}

async function start(options: EngineOptions = {}): Promise<Engine> {
  engine = await startExplicit(folder, { mayOverride: true, ...options })
  return engine
}

/** Statuses of all routes, by action, for a token; `open` says whether the permission was enough. */
async function reach(served: Engine, ...permissions: string[]) {
  const [open] = DOORS
  const door = open?.(createServer(served))
  const seen: Record<string, Set<string>> = { predict: new Set(), read: new Set(), admin: new Set() }
  for (const [action, method, path, body] of ROUTES) {
    const response = await door?.fetch(path, { method, headers: bearer(...permissions), ...(body !== undefined && { body }) })
    await response?.arrayBuffer()
    seen[action]?.add(response?.status === 403 ? 'denied' : 'passes')
  }
  const listed = await answerOf(door?.fetch('/v2/models', { headers: bearer(...permissions) }) ?? new Response())
  const index = await answerOf(
    door?.fetch('/v2/repository/index', { method: 'POST', headers: bearer(...permissions) }) ?? new Response(),
  )
  await door?.close()
  const isListed = JSON.stringify([listed.body, index.body]).includes('"vault"')
  const outcome = (action: string) => [...(seen[action] ?? [])].join()
  return { predict: outcome('predict'), read: outcome('read'), admin: outcome('admin'), isListed }
}
const all = (outcome: 'passes' | 'denied', isListed: boolean) => ({ predict: outcome, read: outcome, admin: outcome, isListed })

describe('the permissions of a model’s own folder count', () => {
  test('from the start', async () => {
    await move('vault', OWN)
    const served = await start()
    expect(await reach(served, ...DEFAULTS)).toEqual(all('denied', false))
    expect(await reach(served, 'vault:predict', 'vault:read', 'vault:admin')).toEqual(all('passes', true))
    expect(await reach(served, 'vault:read')).toEqual({ predict: 'denied', read: 'passes', admin: 'denied', isListed: true })
  })

  for (const modelControl of ['none', 'explicit'] as const) {
    test(`where the folder came after the start, with the control ${modelControl}`, async () => {
      const served = await start({ modelControl })
      await move('vault', OWN)
      expect(await reach(served, ...DEFAULTS)).toEqual(all('denied', false))
      expect(await reach(served, 'vault:predict', 'vault:read', 'vault:admin')).toEqual(
        all('passes', modelControl === 'explicit'),
      )
      expect(await reach(served, ...DEFAULTS)).toEqual(all('denied', false))
    })
  }

  test('where the folder came after the start, with the control poll', async () => {
    const served = await start({ modelControl: 'poll', pollMs: 2 })
    await move('vault', OWN)
    expect(await reach(served, ...DEFAULTS)).toEqual(all('denied', false))
    await until(() => served.model('vault')?.versions[0]?.state === 'ready')
    expect(await reach(served, ...DEFAULTS)).toEqual(all('denied', false))
    expect(await reach(served, 'vault:predict', 'vault:read', 'vault:admin')).toEqual(all('passes', true))
  })

  test('where another line of its file is wrong', async () => {
    await move('vault', `colour = "red"\n${OWN}`)
    const served = await start()
    expect(served.model('vault')?.versions[0]?.reason).toContain('"colour"')
    expect(await reach(served, ...DEFAULTS)).toEqual(all('denied', false))
    expect(await reach(served, 'vault:predict', 'vault:read', 'vault:admin')).toEqual(all('passes', true))
  })

  test('where its other files are wrong, or its model', async () => {
    for (const [file, content] of [
      ['config.pbtxt', 'max_batch_size: "many"'],
      ['pipeline.toml', 'steps = 1'],
      ['1/model.onnx', 'nothing'],
    ] as const) {
      await move('vault', OWN)
      await put(`vault/${file}`, content)
      const served = await start()
      expect(served.model('vault')?.versions[0]?.state).toBe('unavailable')
      expect(await reach(served, ...DEFAULTS)).toEqual(all('denied', false))
      expect(await reach(served, 'vault:predict', 'vault:read', 'vault:admin')).toEqual(all('passes', true))
      await served.stop()
      rmSync(join(folder, 'vault'), { recursive: true })
    }
  })

  test('where a file of its name is served in its place', async () => {
    await move('vault', OWN)
    await put('single.onnx', factorModel(3))
    const served = await start({ files: new Map([['vault', join(folder, 'single.onnx')]]) })
    expect(await reach(served, ...DEFAULTS)).toEqual(all('denied', false))
    expect(await reach(served, 'vault:predict', 'vault:read', 'vault:admin')).toEqual(all('passes', true))
  })

  test('where it is a link to a folder, or a link to the folder of another model', async () => {
    await move('elsewhere', OWN)
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'vault'))
    const served = await start()
    expect(await reach(served, ...DEFAULTS)).toEqual(all('denied', false))
    expect(await reach(served, 'vault:predict', 'vault:read', 'vault:admin')).toEqual(all('passes', true))
  })

  test('after they were changed: for a load at once, for the rest once it is loaded, also where that fails', async () => {
    await move('vault', undefined)
    const served = await start()
    await put('vault/model.toml', OWN)
    expect(await reach(served, 'model:*:admin')).toMatchObject({ admin: 'denied' })
    expect(await reach(served, 'model:*:predict')).toMatchObject({ predict: 'passes' })
    await put('vault/model.toml', `colour = "red"\n${OWN}`)
    expect(await reach(served, 'vault:admin')).toMatchObject({ admin: 'passes' })
    expect(await reach(served, 'model:*:predict')).toMatchObject({ predict: 'denied' })
  })
})

describe('a request that brings its own model', () => {
  const override = async (served: Engine, parameters: object, ...permissions: string[]) => {
    const [open] = DOORS
    const door = open?.(createServer(served))
    const response = await door?.fetch('/v2/repository/models/vault/load', {
      method: 'POST',
      headers: bearer(...permissions),
      body: JSON.stringify({ parameters }),
    })
    return response?.status
  }
  const config = JSON.stringify({ max_batch_size: 0 })
  const brought = { config, 'file:7/model.onnx': Buffer.from(factorModel(9)).toString('base64') }

  for (const [what, parameters] of [
    ['a configuration', { config }],
    ['files', brought],
  ] as const) {
    test(`has the permissions of the folder: ${what}`, async () => {
      await move('vault', OWN)
      const served = await start()
      expect(await override(served, parameters, ...DEFAULTS)).toBe(403)
      expect(await override(served, parameters, 'vault:admin')).toBe(200)
      expect(served.model('vault')?.permissions).toEqual({ predict: 'vault:predict', read: 'vault:read', admin: 'vault:admin' })
      expect(await reach(served, ...DEFAULTS)).toEqual(all('denied', false))
    })

    test(`has them also where the folder came after the start, or is broken: ${what}`, async () => {
      const served = await start()
      await move('vault', `colour = "red"\n${OWN}`)
      expect(await override(served, parameters, ...DEFAULTS)).toBe(403)
      expect(await override(served, parameters, 'vault:admin')).toBe(parameters === brought ? 200 : 422)
      expect(await reach(served, ...DEFAULTS)).toEqual(all('denied', false))
    })
  }

  test('has those of the model that served before while the models folder is away, and only * where there was none', async () => {
    await move('vault', OWN)
    await move('open', undefined)
    const served = await start({ loadAtStart: new Set(['open']) })
    renameSync(folder, `${folder}.away`)
    expect(await override(served, brought, ...DEFAULTS)).toBe(403)
    expect(await override(served, brought, 'vault:admin')).toBe(200)
    expect(served.permission('late', 'admin')).toBe('*')
    expect(served.permission('open', 'admin')).toBe('model:open:admin')
    renameSync(`${folder}.away`, folder)
    expect(served.permission('late', 'admin')).toBe('model:late:admin')
  })
})

describe('a model whose own permissions cannot be read is for * only', () => {
  const UNREADABLE: Readonly<Record<string, string>> = {
    'no TOML': '[permissions]\npredict = "vault:predict\n',
    'a key twice': '[permissions]\npredict = "vault:predict"\npredict = "vault:x"\n',
    'a wildcard': '[permissions]\npredict = "vault:*"\n',
    'an empty text': '[permissions]\npredict = ""\n',
    'a number': '[permissions]\npredict = 7\n',
    'a space': '[permissions]\npredict = "vault predict"\n',
    'no table': 'permissions = "vault"\n',
    'a list of tables': '[[permissions]]\npredict = "vault:predict"\n',
    'a key that is not known': '[permissions]\npredicts = "vault:predict"\n',
    'an admin that is none': '[permissions]\nadmin = "vault:rule"\n',
    'a misspelt table': '[permission]\npredict = "vault:predict"\n',
    'a table with another letter': '[Permisions]\npredict = "vault:predict"\n',
  }
  for (const [what, toml] of Object.entries(UNREADABLE)) {
    test(what, async () => {
      await move('vault', toml)
      const served = await start()
      for (const permissions of [DEFAULTS, ['vault:predict', 'vault:read', 'vault:admin', 'vault:rule', '*:*', '*:*:*']])
        expect(await reach(served, ...permissions)).toEqual(all('denied', false))
      expect(await reach(served, '*')).toEqual(all('passes', true))
    })
  }

  test('a file that is too large, is a folder, a pipe or a device, or a link that leads nowhere or to itself', async () => {
    const path = () => join(folder, 'vault/model.toml')
    const spoil: readonly (() => unknown)[] = [
      () => put('vault/model.toml', `${OWN}${'#'.repeat(1024 * 1024)}`),
      () => mkdirSync(path()),
      // These would be waited for, or read without end.
      () => Bun.spawnSync(['mkfifo', path()]),
      () => symlinkSync('/dev/zero', path()),
      () => symlinkSync(join(folder, 'nowhere'), path()),
      () => symlinkSync(path(), path()),
    ]
    for (const make of spoil) {
      await move('vault', undefined)
      await make()
      const served = await start()
      expect(await reach(served, ...DEFAULTS, 'vault:admin')).toEqual(all('denied', false))
      expect(await reach(served, '*')).toEqual(all('passes', true))
      await served.stop()
      rmSync(join(folder, 'vault'), { recursive: true })
    }
  })

  test('a folder that is a link which leads nowhere or to itself, at the start and later', async () => {
    for (const target of ['nowhere', 'vault']) {
      symlinkSync(join(folder, target), join(folder, 'vault'))
      const served = await start()
      expect(served.model('vault')?.versions[0]?.reason).toStartWith('its folder cannot be read')
      expect(await reach(served, ...DEFAULTS)).toEqual(all('denied', false))
      expect(await reach(served, '*')).toEqual(all('passes', true))
      await served.stop()
      rmSync(join(folder, 'vault'))
      const later = await start()
      symlinkSync(join(folder, target), join(folder, 'vault'))
      expect(await reach(later, ...DEFAULTS)).toEqual(all('denied', false))
      await later.stop()
      rmSync(join(folder, 'vault'))
    }
  })

  test('while it serves, once it is loaded with a file that is no TOML; what was loaded continues for who may', async () => {
    await move('vault', OWN)
    const served = await start({ modelControl: 'poll', pollMs: 2 })
    expect(await reach(served, 'vault:predict', 'vault:read')).toMatchObject({ predict: 'passes', read: 'passes' })
    await put('.new/model.toml', '[permissions')
    renameSync(join(folder, '.new/model.toml'), join(folder, 'vault/model.toml'))
    await until(() => served.troubles().length > 0)
    expect(await reach(served, ...DEFAULTS, 'vault:predict', 'vault:read', 'vault:admin')).toEqual(all('denied', false))
    expect(await reach(served, '*')).toEqual(all('passes', true))
    expect(served.model('vault')?.versions[0]?.state).toBe('ready')
  })
})

describe('names', () => {
  test('that differ in case are different models, and an encoded one is the same', async () => {
    await move('vault', OWN)
    await move('Vault', undefined)
    const served = await start()
    const [open] = DOORS
    const door = open?.(createServer(served))
    const status = async (path: string, ...permissions: string[]) =>
      (await door?.fetch(path, { headers: bearer(...permissions) }))?.status
    expect(await status('/v2/models/Vault', 'model:Vault:read')).toBe(200)
    expect(await status('/v2/models/vault', 'model:Vault:read')).toBe(403)
    expect(await status('/v2/models/v%61ult', 'model:vault:read')).toBe(403)
    expect(await status('/v2/models/v%61ult', 'vault:read')).toBe(200)
    expect(await status('/v2/models/VAULT', 'vault:read')).toBe(403)
    for (const path of ['/v2/models/.%2Fvault', '/v2/models/x%2F..%2Fvault', '/v2/models/vault%00', '/v2/models/vault%2F'])
      expect([403, 404]).toContain((await status(path, 'vault:read', ...DEFAULTS)) ?? 0)
  })
})
