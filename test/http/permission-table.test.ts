import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { noAccounts } from '../support/accounts.ts'
import { DOORS } from '../support/doors.ts'
import { startExplicit } from '../support/explicit-engine.ts'
import { factorModel } from '../support/factor-model.ts'
import { createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'

interface Row {
  readonly method: string
  /** With names of parameters in braces. */
  readonly path: string
  /** A permission, `any valid token` or `nothing`. */
  readonly requires: string
}

const PATHS: Readonly<Record<string, string>> = { name: 'flowers', version: '1' }
const text = await Bun.file(join(import.meta.dir, '../../SECURITY.md')).text()
const [, section = ''] = text.split('## Which permission each request requires')
const [table = ''] = section.split('### Requests for a model')
const rows = table.split('\n').flatMap((line): readonly Row[] => {
  const [, requests, requires = ''] = /^\| (`.*) \| (.*) \|$/.exec(line) ?? []
  const written = [...(requests ?? '').matchAll(/`([A-Z]+) (\/[^`]*)`/g)]
  return written.flatMap(([, method = '', path = '']) =>
    (path.includes('{v}') ? [path.replace('{v}', ''), path.replace('{v}', '/versions/{version}')] : [path]).map((each) => ({
      method,
      path: each,
      requires: requires.replaceAll('`', ''),
    })),
  )
})
const named = (permission: string) => permission.replace('{name}', 'flowers')
const permissions = [...new Set(rows.map(({ requires }) => requires))].filter((each) => each.includes(':') || each.includes('-'))

const folder = mkdtempSync(join(tmpdir(), 'vestal-table-'))
await Bun.write(join(folder, 'flowers/1/model.onnx'), factorModel(2))
await Bun.write(join(folder, 'others/1/model.onnx'), factorModel(2))
const engine = await startExplicit(folder)
const { accounts, close } = await noAccounts()
afterAll(async () => {
  await engine.stop()
  await close()
  rmSync(folder, { recursive: true })
})

test('the table of permissions has every route, each once, and no other', () => {
  const app = createServer(engine, {
    accounts,
    reloading: { subscribe: () => undefined, reload: async () => ({ changed: [], needsRestart: [] }) },
  })
  const inTable = rows.map(({ method, path }) => `${method} ${path}`)
  const routes = app.routes.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
  expect(inTable.sort()).toEqual(routes.sort())
  expect(permissions.length).toBeGreaterThan(12)
})

for (const [index, open] of DOORS.entries()) {
  const app = createServer(engine, {
    accounts,
    reloading: { subscribe: () => undefined, reload: async () => ({ changed: [], needsRestart: [] }) },
  })
  const door = open(app)
  afterAll(door.close)
  const statusOf = async ({ method, path }: Row, granted?: readonly string[]) => {
    const asked = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => PATHS[name] ?? 'some')
    const headers: Record<string, string> = granted === undefined ? {} : bearer(...granted)
    const response = await door.fetch(asked, { method, headers, ...(method !== 'GET' && { body: '' }) })
    await response.arrayBuffer()
    return response.status
  }

  describe(`who may, through door ${index + 1}`, () => {
    for (const row of rows) {
      const { method, path, requires } = row
      if (requires === 'nothing') {
        test(`${method} ${path} requires no token`, async () => {
          // What takes credentials answers 401 to none; what it never does is ask for a permission.
          expect(await statusOf(row)).not.toBe(403)
          if (!/^\/(?:auth|oauth)\//.test(path)) expect([200, 503]).toContain(await statusOf(row))
        })
      } else if (requires === 'any valid token') {
        test(`${method} ${path} requires a token, and no permission`, async () => {
          expect(await statusOf(row)).toBe(401)
          expect([401, 403]).not.toContain(await statusOf(row, []))
        })
      } else {
        const permission = named(requires)
        const [first = '', ...rest] = permission.split(':')
        test(`${method} ${path} requires ${requires}: no token and no grant of another permission is enough`, async () => {
          expect(await statusOf(row)).toBe(401)
          expect(await statusOf(row, [])).toBe(403)
          const others = permissions.filter((each) => each !== requires).map(named)
          for (const other of others) expect([other, await statusOf(row, [other])]).toEqual([other, 403])
          const near = [
            permission.replace('flowers', 'others'),
            permission.toUpperCase(),
            `${permission}:x`,
            rest.join(':'),
            first,
          ]
          const tooShort = [
            `${permission.split(':').slice(0, -1).join(':')}`,
            '*:*:*:*',
            ...(first === permission ? [] : ['x:*']),
          ]
          const wrong = [...near, ...tooShort].filter((each) => each !== permission && each !== '')
          expect(await statusOf(row, [...others, ...wrong])).toBe(403)
        })

        test(`${method} ${path} requires ${requires}, and nothing else`, async () => {
          expect([401, 403]).not.toContain(await statusOf(row, [permission]))
          expect([401, 403]).not.toContain(await statusOf(row, ['*']))
          if (permission.includes(':')) expect([401, 403]).not.toContain(await statusOf(row, [permission.replace(/[^:]*$/, '*')]))
        })
      }
    }
  })
}

describe('what lists and counts show', () => {
  const app = createServer(engine)
  const [open] = DOORS
  const door = open?.(app)
  const textOf = async (method: string, path: string, ...granted: string[]) =>
    (await door?.fetch(path, { method, headers: bearer(...granted) }))?.text() ?? ''

  for (const [method, path] of [
    ['GET', '/models/'],
    ['GET', '/v2/models'],
    ['GET', '/v2/models/stats'],
    ['POST', '/v2/repository/index'],
  ] as const) {
    test(`${method} ${path} holds the models that the token may read, and no other`, async () => {
      await door?.fetch('/v2/repository/models/flowers/load', { method: 'POST', headers: bearer('*') })
      expect(await textOf(method, path, 'model:flowers:predict', 'model:flowers:admin', 'metrics:read')).not.toMatch(
        /flowers|others/,
      )
      expect(await textOf(method, path, 'model:flowers:read')).toMatch(/^(?=.*flowers)(?!.*others)/s)
      expect(await textOf(method, path, 'model:*:read')).toMatch(/^(?=.*flowers)(?=.*others)/s)
    })
  }

  test('GET /v2/health/ready reports its reasons to metrics:read alone', async () => {
    const before = engine.model('others')?.versions[0]?.state
    await Bun.write(join(folder, 'broken/1/model.onnx'), 'nothing')
    expect((await door?.fetch('/v2/repository/models/broken/load', { method: 'POST', headers: bearer('*') }))?.status).toBe(422)
    expect(await textOf('GET', '/v2/health/ready', 'metrics:read')).toContain('broken')
    for (const granted of [[], ['model:*:read'], ['model:broken:admin']])
      expect(await textOf('GET', '/v2/health/ready', ...granted)).not.toContain('broken')
    expect(engine.model('others')?.versions[0]?.state).toBe(before)
  })
})
