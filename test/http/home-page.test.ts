import { afterAll, describe, expect, test } from 'bun:test'
import { VERSION } from '../../src/core/version.ts'
import { jsonLine } from '../../src/telemetry/log/json-line.ts'
import { createLogger } from '../../src/telemetry/log/logger.ts'
import { noAccounts } from '../support/accounts.ts'
import { DOORS, failure } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer, makeToken, nowSeconds, tokenWith } from '../support/tokens.ts'

/** What browsers send for an address that somebody opens. */
const BROWSERS = [
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'TEXT/HTML',
  'text/html, application/json;q=0.9',
]
/** What programs send. */
const PROGRAMS = [
  undefined,
  '*/*',
  'application/json',
  'application/json, text/plain, */*',
  'application/json, text/html;q=0.9',
  'text/html;q=0',
  'text/html;q=0.1, */*',
  'text/*',
  'text/html;q=x, */*;q=0.1',
]
const BROWSER = { accept: BROWSERS[0] ?? '' }

const engine = await bundledEngine()
const { accounts, close } = await noAccounts()
afterAll(async () => {
  await engine.stop()
  await close()
})

/** Nothing of another place, no script, no style but the page's own, and nothing left over from a template. */
async function expectPage(response: Response): Promise<string> {
  const page = await response.text()
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
  const policy = response.headers.get('content-security-policy') ?? ''
  const style = /<style>([^<]*)<\/style>/.exec(page)?.[1] ?? ''
  expect(policy).toContain("default-src 'none'")
  expect(policy).toContain(`style-src 'sha256-${new Bun.CryptoHasher('sha256').update(style).digest('base64')}'`)
  expect(policy).not.toContain('unsafe')
  for (const [name, value] of [
    ['cache-control', 'no-store'],
    ['referrer-policy', 'no-referrer'],
    ['x-content-type-options', 'nosniff'],
  ] as const)
    expect([name, response.headers.get(name)]).toEqual([name, value])
  expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:\/\/|<script|style=|undefined|\[object/)
  return page
}

for (const open of DOORS) {
  const app = createServer(engine, { title: 'Flowers & <Co>', description: 'Kinds of <iris>', accounts })
  const door = open(app)
  const off = open(createServer(engine, { hasHomePage: false }))
  afterAll(async () => {
    await door.close()
    await off.close()
  })
  const links = {
    documentation: '/docs/',
    openapi: '/docs/openapi.json',
    models: '/models/',
    sign_in: '/auth/',
    health: '/v2/health/ready',
    keys: '/.well-known/jwks.json',
  }

  describe(`the page at /, ${door.name}`, () => {
    test('is HTML for browsers', async () => {
      for (const accept of BROWSERS) {
        const response = await door.fetch('/', { headers: { accept } })
        expect([accept, response.status, response.headers.get('vary')]).toEqual([accept, 200, 'accept'])
        const page = await expectPage(response)
        for (const part of ['<h1>Flowers &amp; &lt;Co&gt;</h1>', 'Kinds of &lt;iris&gt;', '>Ready<', `Vestal ${VERSION}`])
          expect([part, page.includes(part)]).toEqual([part, true])
      }
    })

    test('is JSON for programs', async () => {
      for (const accept of PROGRAMS) {
        const response = await door.fetch('/', { ...(accept !== undefined && { headers: { accept } }) })
        expect([accept, response.status, response.headers.get('content-type')]).toEqual([accept, 200, 'application/json'])
        expect(response.headers.get('vary')).toBe('accept')
        expect(await response.json()).toEqual({
          title: 'Flowers & <Co>',
          description: 'Kinds of <iris>',
          version: VERSION,
          ready: true,
          links,
        })
      }
    })

    test('leads to paths that exist', async () => {
      const page = await (await door.fetch('/', { headers: BROWSER })).text()
      const paths = [...page.matchAll(/href="(\/[^"#]*)/g)].map(([, path = '']) => path)
      expect(paths).toEqual(['/docs/', '/models/', '/docs/', '/v2/health/ready', '/.well-known/jwks.json'])
      for (const path of [...paths, ...Object.values(links)])
        expect([path, [200, 401, 405].includes((await door.fetch(path)).status)]).toEqual([path, true])
    })

    test('names no model and no address', async () => {
      for (const headers of [BROWSER, {}]) {
        const text = await (await door.fetch('/', { headers })).text()
        for (const { name } of engine.models())
          expect([name, text.includes(`"${name}"`) || text.includes(`>${name}<`)]).toEqual([name, false])
        expect(text).not.toMatch(/127\.0\.0\.1|localhost/)
      }
    })

    test('says that the server is not ready, with status 200, since it is no health check', async () => {
      const readiness = { phase: 'starting', isReady: () => false, reasons: () => ['the models are loading'] }
      const other = open(createServer(engine, { operations: { readiness: { ...app, ...readiness } as never } }))
      const response = await other.fetch('/', { headers: BROWSER })
      expect([response.status, (await response.text()).includes('>Not ready<')]).toEqual([200, true])
      expect(await (await other.fetch('/')).json()).toMatchObject({ ready: false })
      await other.close()
    })

    test('has no sign-in where there is none', async () => {
      const other = open(createServer(engine, { signIn: undefined as never }))
      expect(await (await other.fetch('/')).json()).toMatchObject({ links: expect.not.objectContaining({ sign_in: '/auth/' }) })
      expect(await (await other.fetch('/', { headers: BROWSER })).text()).not.toContain('Sign in')
      await other.close()
    })

    test('is not there where it is off', async () => {
      const response = await off.fetch('/', { headers: BROWSER })
      expect({ status: response.status, body: await response.json() }).toEqual(failure(404, 'Not Found'))
    })

    test('takes GET and HEAD alone', async () => {
      expect((await door.fetch('/', { method: 'HEAD', headers: BROWSER })).status).toBe(200)
      const response = await door.fetch('/', { method: 'POST' })
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    })
  })

  describe(`failures in a browser, ${door.name}`, () => {
    const expired = makeToken({ payload: { sub: 'me', exp: nowSeconds() - 60 } })
    const cases: readonly (readonly [path: string, headers: Record<string, string>, status: number, texts: readonly string[]])[] =
      [
        ['/private/info/', {}, 401, ['401 Unauthorized', 'has none', 'POST /auth/', 'Authorize']],
        ['/private/info/', { authorization: 'Bearer a.b.c' }, 401, ['The token is not valid here']],
        ['/private/info/', { authorization: `Bearer ${expired}` }, 401, ['The access token expired at ']],
        ['/private/info/', { authorization: 'Bearer' }, 400, ['one scheme, a space and one token']],
        ['/private/info/', bearer('other'), 403, ['403 Forbidden', '<code>my-permission-name</code>']],
        ['/nowhere/<b>', {}, 404, ['404 Not Found', 'Nothing is at this address']],
        ['/models/nowhere/', bearer('*'), 404, ['Request for unknown model']],
        ['/v2/models/nowhere', bearer('*'), 404, ['unknown model']],
        ['/%zz', {}, 404, ['Nothing is at this address']],
        ['/auth/', {}, 405, ['405 Method Not Allowed', 'does not answer GET', 'Send POST']],
        [`/?${'x'.repeat(9000)}`, {}, 414, ['longer than this server accepts']],
      ]

    for (const [path, headers, status, texts] of cases) {
      test(`${status} at ${path.slice(0, 30)}: a page with the problem, the remedy and the request’s id`, async () => {
        const asked = { 'x-request-id': 'mine-7', ...headers }
        const json = await door.fetch(path, { headers: asked })
        expect([json.status, json.headers.get('content-type')]).toEqual([status, 'application/json'])
        const response = await door.fetch(path, { headers: { ...asked, ...BROWSER } })
        expect(response.status).toBe(status)
        expect(response.headers.get('www-authenticate')).toBe(json.headers.get('www-authenticate') as string)
        const page = await expectPage(response)
        for (const text of [...texts, 'What to do', '<code>mine-7</code>'])
          expect([text, page.includes(text)]).toEqual([text, true])
        expect(page).not.toContain('<b>"')
        expect(await (await off.fetch(path, { headers: { ...asked, ...BROWSER } })).json()).toBeObject()
      })
    }

    test('are JSON for what is no GET, and for programs', async () => {
      for (const init of [
        { method: 'POST', headers: BROWSER },
        ...PROGRAMS.slice(1).map((accept) => ({ headers: { accept: accept ?? '' } })),
      ])
        expect((await door.fetch('/private/info/', init)).headers.get('content-type')).toBe('application/json')
    })

    test('are logged as any other', async () => {
      const lines: string[] = []
      const logger = createLogger({ level: 'info', format: jsonLine, write: (line) => void lines.push(line) })
      const other = open(createServer(engine, { operations: { logger } }))
      await other.fetch('/private/info/', { headers: { ...BROWSER, authorization: `Bearer ${tokenWith(['x'])}` } })
      await other.fetch('/', { headers: BROWSER })
      expect(lines.map((line) => JSON.parse(line))).toMatchObject([
        { status: 403, code: 'PERMISSION_MISSING', route: '/private/info/' },
        { status: 200, route: '/' },
      ])
      await other.close()
    })

    test('tell nothing of our own bugs', async () => {
      const broken = {
        isReady: () => {
          throw new TypeError('a planted bug')
        },
      }
      const other = open(
        createServer(engine, {
          operations: { readiness: { ...broken, phase: 'serving', reasons: () => [] } as never },
          report: () => undefined,
        }),
      )
      const response = await other.fetch('/', { headers: BROWSER })
      expect(response.status).toBe(500)
      const page = await expectPage(response)
      expect(page).toContain('an error of its own')
      expect(page).not.toMatch(/planted|token is not valid/)
      await other.close()
    })
  })
}
