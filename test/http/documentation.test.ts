import { afterAll, describe, expect, test } from 'bun:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { createEngine } from '../../src/index.ts'
import { noAccounts } from '../support/accounts.ts'
import { DOORS, type Door } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer, tokenWith } from '../support/tokens.ts'

interface Operation {
  readonly summary?: string
  readonly operationId?: string
  readonly security?: readonly object[]
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly examples?: object }>> }
  readonly responses: Readonly<Record<string, object>>
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly securitySchemes: object; readonly schemas: object }
  readonly info: { readonly title: string }
}

/** What Triton has and this server does not. */
function isUnsupported(path: string): boolean {
  return /^\/v2\/(?:systemsharedmemory|cudasharedmemory|logging|trace|repository\/:repository)|\/trace\/setting$/.test(path)
}

const engine = await createEngine({ warn: () => undefined })
const bundled = await bundledEngine()
const { accounts, close } = await noAccounts()
afterAll(async () => {
  await Promise.all([engine.stop(), bundled.stop()])
  await close()
})

for (const open of DOORS) {
  const app = createServer(engine, { title: 'Flowers & <Co>', accounts })
  const door = open(app)
  afterAll(door.close)
  const read = async () => (await (await door.fetch('/docs/openapi.json')).json()) as Document

  describe(`the OpenAPI document, ${door.name}`, () => {
    test('is valid', async () => {
      const result = await new Validator().validate(structuredClone(await read()) as never)
      expect([result.valid, result.errors]).toEqual([true, undefined])
    })

    test('has every route of the server but those that answer "not supported" to everyone, and no other', async () => {
      const { paths } = await read()
      const documented = Object.entries(paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
      )
      const routes = app.routes
        .filter(({ path }) => !path.startsWith('/docs') && !isUnsupported(path))
        .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
      expect(documented.sort()).toEqual(routes.sort())
    })

    test('has a summary, an example and every failure for each operation', async () => {
      const { paths } = await read()
      const identifiers = new Set<string>()
      for (const [path, methods] of Object.entries(paths)) {
        for (const [method, { summary, operationId = '', security, requestBody, responses }] of Object.entries(methods)) {
          const name = `${method} ${path}`
          expect([name, summary]).toEqual([name, expect.stringMatching(/./)])
          expect([name, identifiers.has(operationId)]).toEqual([name, false])
          identifiers.add(operationId)
          // An answer has an example, or has no body.
          const answer = (responses['200'] ?? responses['101']) as { readonly content?: object } | undefined
          expect([name, answer !== undefined]).toEqual([name, true])
          if (answer?.content !== undefined)
            expect([name, JSON.stringify(answer)]).toEqual([name, expect.stringContaining('"example"')])
          const statuses = Object.keys(responses)
          if (security?.length !== 0)
            for (const status of ['400', '401', '403']) expect([name, statuses]).toEqual([name, expect.arrayContaining([status])])
          if (path.includes('{name}')) expect([name, statuses]).toEqual([name, expect.arrayContaining(['404'])])
          if (method === 'post')
            expect([name, Object.keys(Object.values(requestBody?.content ?? {})[0]?.examples ?? {}).length > 0]).toEqual([
              name,
              true,
            ])
        }
      }
    })

    test('names one scheme, one media type and no union where generators of clients would make something of each', async () => {
      const document = await read()
      for (const [path, methods] of Object.entries(document.paths)) {
        for (const [method, { security = [], requestBody, responses }] of Object.entries(methods)) {
          const name = `${method} ${path}`
          expect([name, security]).toEqual([name, security.length === 0 ? [] : [{ bearer: [] }]])
          expect([name, Object.keys(requestBody?.content ?? {}).length <= 1]).toEqual([name, true])
          for (const response of Object.values(responses) as readonly { readonly content?: object }[])
            expect([name, Object.keys(response.content ?? {}).length <= 1]).toEqual([name, true])
        }
      }
      expect(JSON.stringify(document.components.schemas)).not.toMatch(/"(?:one|any|all)Of"/)
      const stream = document.paths['/models/{name}/stream/']?.post
      expect(Object.keys(stream?.requestBody?.content ?? {})).toEqual(['application/x-ndjson'])
    })

    test('declares the headers and the query that routes read', async () => {
      const { paths } = await read()
      const named = (path: string, method: string) =>
        (paths[path]?.[method]?.parameters ?? [])
          .filter((parameter) => parameter.in !== 'path')
          .map(({ name, required = false }) => `${name}${required ? '' : '?'}`)
      expect(named('/v2/models/{name}/infer', 'post')).toEqual(['Inference-Header-Content-Length?', 'Vestal-Timeout-Ms?'])
      expect(named('/models/{name}/predict/', 'post')).toEqual(['Vestal-Timeout-Ms?'])
      for (const path of ['/admin/users/{id}/', '/admin/roles/{role}/', '/admin/api-keys/{key}/'])
        for (const method of ['patch', 'delete'])
          expect([path, method, named(path, method)]).toEqual([path, method, ['If-Match']])
      expect(named('/admin/users/', 'get')).toEqual(['name?', 'role?', 'disabled?', 'limit?', 'cursor?'])
      for (const path of ['/admin/roles/', '/admin/api-keys/']) expect(named(path, 'get')).toEqual(['limit?', 'cursor?'])
      expect(named('/admin/audit/', 'get')).toEqual(['event?', 'subject?', 'since?', 'until?', 'limit?', 'cursor?'])
    })

    test('has a bearer and a cookie scheme', async () => {
      const { components } = await read()
      expect(components.securitySchemes).toMatchObject({
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        cookie: { type: 'apiKey', in: 'cookie', name: 'access_token' },
      })
    })

    test('gives examples that the server accepts, in form', async () => {
      const { paths } = await read()
      const body = paths['/auth/']?.post?.requestBody?.content['application/json']?.examples as { uuid: { value: unknown } }
      const response = await door.fetch('/auth/', { method: 'POST', body: JSON.stringify(body.uuid.value) })
      expect(response.status).toBe(200)
    })
  })

  describe(`the OpenAPI document with a credential, ${door.name}`, () => {
    const served = open(createServer(bundled))
    afterAll(served.close)
    const shown = async (headers: Record<string, string>) => {
      const response = await served.fetch('/docs/openapi.json', { headers })
      const { paths } = (await response.json()) as Document
      const names = Object.keys(paths).flatMap((path) => /^\/models\/([^{/]+)\/predict\/$/.exec(path)?.[1] ?? [])
      return { status: response.status, caching: response.headers.get('cache-control'), names, paths }
    }

    test('has the models that the token may read and predict with, and no other', async () => {
      const { names, caching, paths } = await shown(
        bearer('model:iris:predict', 'model:iris:read', 'model:digits:read', 'model:reviews:predict'),
      )
      expect([names, caching]).toEqual([['iris'], 'private, no-store'])
      expect(Object.keys(paths)).toContain('/models/{name}/predict/')
      const all = await shown(bearer('model:*:predict', 'model:*:read'))
      expect(all.names).toEqual(bundled.models().map(({ name }) => name))
      expect((await shown({ cookie: `access_token=${tokenWith(['model:iris:*'])}` })).names).toEqual(['iris'])
    })

    test('is the one for everybody where the token may predict with none, or where there is no credential', async () => {
      const open = await shown({})
      expect([open.names, open.caching]).toEqual([[], null])
      const none = await shown(bearer('model:none:read', 'model:none:predict'))
      expect([none.names, none.paths]).toEqual([[], open.paths])
    })

    test('is valid', async () => {
      const response = await served.fetch('/docs/openapi.json', { headers: bearer('*') })
      const result = await new Validator().validate((await response.json()) as never)
      expect([result.valid, result.errors]).toEqual([true, undefined])
    })

    test('is denied where the credential is not valid', async () => {
      for (const headers of [{ authorization: 'Bearer a.b.c' }, { cookie: 'access_token=a.b.c' }]) {
        const response = await served.fetch('/docs/openapi.json', { headers })
        expect([response.status, await response.text()]).toEqual([401, expect.not.stringContaining('iris')])
      }
    })
  })

  describe(`the documentation page, ${door.name}`, () => {
    test('names the server, and loads nothing from another host', async () => {
      for (const path of ['/docs', '/docs/']) {
        const response = await door.fetch(path)
        const page = await response.text()
        expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
        expect(page).toContain('<title>Flowers &amp; &lt;Co&gt;</title>')
        expect(page).not.toMatch(/https?:\/\//)
        expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
        expect(response.headers.get('x-content-type-options')).toBe('nosniff')
      }
    })

    test('names models to a development server’s own machine alone', async () => {
      const namesAt = async (headers: Record<string, string>, from: Door) =>
        /data-models="([^"]*)"/.exec(await (await from.fetch('/docs/', { headers })).text())?.[1]?.includes('iris')
      const development = open(createServer(bundled))
      expect(await namesAt({}, development)).toBe(true)
      for (const headers of [{ 'x-forwarded-for': '192.0.2.7' }, { 'sec-fetch-site': 'cross-site' }, { via: '1.1 x' }])
        expect([headers, await namesAt(headers, development)]).toEqual([headers, false])
      if (door.name === 'over a socket') expect(await namesAt({ host: 'evil.example' }, development)).toBe(false)
      const production = open(createServer(bundled, { signIn: undefined as never }))
      expect(await namesAt({}, production)).toBe(false)
      await Promise.all([development.close(), production.close()])
    })

    test('is not there where it is off, nor is anything that leads to it', async () => {
      const off = open(createServer(engine, { hasDocs: false }))
      for (const path of ['/docs', '/docs/', '/docs/openapi.json', '/docs/assets/start.js', '/docs/assets/swagger-ui.css'])
        expect([path, (await off.fetch(path)).status]).toEqual([path, 404])
      for (const path of ['/', '/nowhere', '/private/info/'])
        for (const accept of ['text/html', '*/*'])
          expect([path, (await (await off.fetch(path, { headers: { accept } })).text()).includes('/docs')]).toEqual([path, false])
      await off.close()
    })

    test('finds all its files', async () => {
      const page = await (await door.fetch('/docs/')).text()
      const links = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link = '']) => link)
      expect(links.length).toBeGreaterThan(4)
      for (const link of links) expect([link, (await door.fetch(link)).status]).toEqual([link, 200])
    })
  })
}
