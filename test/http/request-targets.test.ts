import { afterAll, describe, expect, test } from 'bun:test'
import { exchangeRaw } from '../support/raw-socket.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'

const engine = await bundledEngine()
const app = createServer(engine)
app.listen({ port: 0, hostname: '127.0.0.1' })
const port = app.server?.port ?? 0
afterAll(async () => {
  await engine.stop()
  await app.stop(true)
})

const BODY = '{"input":{"X":[[5.1,3.5,1.4,0.2]]}}'
const AUTHORIZATION = `Authorization: ${bearer('*').authorization}\r\n`
const CLOSE = 'Connection: close\r\n'

/** The status of the one answer to these bytes; 0 where there was none. */
async function statusOf(...pieces: readonly string[]): Promise<number> {
  const answer = await exchangeRaw(port, pieces)
  expect(answer.match(/^HTTP\/1\.1 /gm)?.length ?? 0).toBeLessThanOrEqual(1)
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
}

const get = (target: string, headers = '') => `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${headers}${CLOSE}\r\n`

/** Routes that ask for a permission, with what stands for their parameters. */
const guarded = app.routes
  .map(({ method, path }) => ({ method, path: path.replace(':name', 'iris').replace(':version', '1').replace(/:\w+/g, 'x') }))
  .filter(({ path }) => !/^\/(?:$|public|docs|\.well-known|auth\/$|v2\/health)/.test(path))

/** Other spellings of a path. */
function spellings(path: string): readonly string[] {
  const [first = '', ...rest] = path.slice(1).split('/')
  const encoded = `%${first.charCodeAt(0).toString(16)}${first.slice(1)}`
  const tail = rest.length === 0 ? '' : `/${rest.join('/')}`
  return [
    `/${path}`,
    `//evil.example${path}`,
    `/.${path}`,
    `/./.${path}`,
    `/x/..${path}`,
    `/%2e${path}`,
    `/%2E%2e${path}`,
    `/public/info/../..${path}`,
    `/docs/%2e%2e${path}`,
    `/${encoded}${tail}`,
    `/${encoded.replace('%', '%25')}${tail}`,
    `/${first}%2f${rest.join('%2f')}`,
    `/${first}%5c${rest.join('%5C')}`,
    `/${first}\\${rest.join('\\')}`,
    `/${first}/${tail}`,
    `/${first.toUpperCase()}${tail}`,
    `${path}/.`,
    `${path}/%2e`,
    `${path}//`,
    `${path};a=b`,
    `${path}%00`,
    `${path}#x`,
    `${path}?x=/public/info/`,
    `http://localhost${path}`,
    `HTTP://LOCALHOST${path}`,
    `http://evil.example${path}`,
    `http://user:password@localhost${path}`,
    `https://localhost${path}`,
    path.slice(1),
    `\\${path.slice(1)}`,
  ]
}

describe('a guarded route is guarded', () => {
  test('all of them are tried', () => expect(guarded.length).toBeGreaterThan(20))

  for (const { method, path } of guarded) {
    test(`however ${method} ${path} is spelt, and whatever the method and version`, async () => {
      const methods = [method, 'GET', 'HEAD', 'POST', 'OPTIONS', 'TRACE', 'CONNECT', 'PROPFIND', 'BREW', method.toLowerCase()]
      const lines = [
        ...spellings(path).map((target) => `${method} ${target} HTTP/1.1`),
        ...methods.map((other) => `${other} ${path} HTTP/1.1`),
        `${method} ${path} HTTP/1.0`,
        `${method} ${path} HTTP/1.2`,
        `${method} ${path}`,
      ]
      for (const line of lines) {
        for (const host of ['localhost', 'a', 'a/b', 'a?b', 'a#b', '', 'x@y', 'a b']) {
          const status = await statusOf(`${line}\r\nHost: ${host}\r\nContent-Length: 0\r\n${CLOSE}\r\n`)
          expect([line, host, status, [0, 400, 401, 404, 405, 505].includes(status)]).toEqual([line, host, status, true])
        }
      }
    })
  }
})

describe('a path', () => {
  const answers: readonly (readonly [target: string, status: number])[] = [
    ['/private/info/', 200],
    ['/private/info', 200],
    ['/./private/info/', 200],
    ['/x/../private/info/', 200],
    ['/x/%2e%2e/private/info/', 200],
    ['/private/info/?x', 200],
    ['http://localhost/private/info/', 200],
    ['//private/info/', 404],
    ['/private//info/', 404],
    ['/private%2finfo/', 404],
    ['/%70rivate/info/', 404],
    ['/%2570rivate/info/', 404],
    ['/PRIVATE/info/', 404],
    ['/private/info;x', 404],
    ['/private/info/%00', 404],
    ['/private/info/#x', 404],
    ['/models/%69ris/', 200],
    ['/models/iris%2fpredict/', 404],
    ['/models/..%2firis/', 404],
    ['private/info/', 400],
    ['*', 400],
    ['ftp://localhost/private/info/', 400],
  ]
  for (const [target, status] of answers) {
    test(`of ${target} is a ${status} for who may everything`, async () => {
      expect(await statusOf(get(target, AUTHORIZATION))).toBe(status)
    })
  }

  test('is not moved by a host that is none, in HTTP/1.0 without one, or by two', async () => {
    const moved = '/aaaaaaa/public/info/'
    expect(await statusOf(get(moved))).toBe(404)
    for (const host of ['a/b', 'a?b', 'a#b', 'x@y', 'a b', '']) {
      expect([host, await statusOf(`GET ${moved} HTTP/1.1\r\nHost: ${host}\r\n${CLOSE}\r\n`)]).toEqual([host, 400])
    }
    expect(await statusOf(`GET ${moved} HTTP/1.0\r\n\r\n`)).toBe(400)
    expect(await statusOf(`GET /public/info/ HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n${CLOSE}\r\n`)).toBe(400)
    expect(await statusOf(`GET /public/info/ HTTP/1.0\r\nHost: localhost\r\n\r\n`)).toBe(200)
  })

  test('of a health check needs no host in HTTP/1.0, and no other path does', async () => {
    for (const path of ['/v2/health/live', '/v2/health/ready', '/v2/health/ready/', '/v2/health/ready?verbose=/private/info/']) {
      expect([path, await statusOf(`GET ${path} HTTP/1.0\r\n\r\n`)]).toEqual([path, 200])
      expect([path, await statusOf(`HEAD ${path} HTTP/1.0\r\nUser-Agent: check\r\n\r\n`)]).toEqual([path, 200])
      expect([path, await statusOf(`POST ${path} HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}`)]).toEqual([path, 405])
      expect([path, await statusOf(`GET ${path} HTTP/1.1\r\n${CLOSE}\r\n`)]).toEqual([path, 400])
      expect([path, await statusOf(`GET ${path} HTTP/1.1\r\nHost: \r\n${CLOSE}\r\n`)]).toEqual([path, 400])
    }
    expect(await exchangeRaw(port, ['GET /v2/health/ready HTTP/1.0\r\n\r\n'])).toMatch(/\r\n\r\n\{"ready":true\}$/)
    expect(await exchangeRaw(port, [`GET /v2/health/ready HTTP/1.0\r\n${AUTHORIZATION}\r\n`])).toContain('"phase":"serving"')
    for (const path of [
      '/',
      '/public/info/',
      '/v2',
      '/v2/health',
      '/v2/health/other',
      '/v2/health/ready/x',
      '/v2/models/iris/ready',
      '/aaaaaaa/v2/health/ready',
      '//v2/health/ready',
      '/v2/health/ready/../../../private/info/',
      '/v2/health/ready#/private/info/',
    ])
      expect([path, await statusOf(`GET ${path} HTTP/1.0\r\n${AUTHORIZATION}\r\n`)]).toEqual([path, 400])
  })

  test('is not reached through a host that is no name and no address', async () => {
    const hosts = [
      'x%0d%0aSet-Cookie:a',
      'x%0d%0a',
      'x%41',
      '%00',
      '%',
      'a:b',
      'a:99999',
      'a:1:2',
      '::1',
      '[::1',
      '[::1]x',
      '[v1.a]',
      'a..b',
      '.',
      '256.1.1.1',
      'a;b',
      'a=b',
      'a&b',
      'a!b',
      "a'b",
      'a(b)',
      'a*',
      '$',
      '~',
      'a+b',
      'a,b',
      'a"b',
      'a<b>',
      'a\\b',
      'a|b',
      '\u00fc',
      'a\tb',
      'user@localhost',
      `${'x'.repeat(300)}.example`,
    ]
    for (const host of hosts) {
      const answer = await exchangeRaw(port, [`GET /public/info/ HTTP/1.1\r\nHost: ${host}\r\n${CLOSE}\r\n`])
      expect([host, answer.slice(0, 12)]).toEqual([host, 'HTTP/1.1 400'])
      expect([host, answer]).toEqual([host, expect.not.stringMatching(/^set-cookie/im)])
    }
    for (const host of [
      'localhost',
      'LOCALHOST:80',
      'a',
      'a.',
      'a:',
      'a_b-c.example:8000',
      '127.0.0.1:65535',
      '[::1]:8000',
      '[::ffff:1.2.3.4]',
      'xn--bcher-kva.example',
    ])
      expect([host, await statusOf(`GET /public/info/ HTTP/1.1\r\nHost: ${host}\r\n${CLOSE}\r\n`)]).toEqual([host, 200])
  })

  test('is answered as HEAD like GET, without a body, and behind the same guard', async () => {
    const head = (headers: string) => `HEAD /private/info/ HTTP/1.1\r\nHost: localhost\r\n${headers}${CLOSE}\r\n`
    expect(await statusOf(head(''))).toBe(401)
    expect(await exchangeRaw(port, [head(AUTHORIZATION)])).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n$/)
  })
})

const post = (headers: string, body: string) =>
  `POST /models/iris/predict/ HTTP/1.1\r\nHost: localhost\r\n${AUTHORIZATION}${CLOSE}${headers}\r\n\r\n${body}`
const size = BODY.length.toString(16)
const CHUNKED = 'Transfer-Encoding: chunked'
const chunks = (line = size) => `${line}\r\n${BODY}\r\n0\r\n\r\n`
const SMUGGLED = 'GET /public/info/ HTTP/1.1\r\nHost: localhost\r\n\r\n'

describe('a request that could be read in two ways', () => {
  const shapes: readonly (readonly [shape: string, status: number, bytes: string])[] = [
    ['a length and chunks', 400, post(`Content-Length: 4\r\n${CHUNKED}`, `0\r\n\r\n${SMUGGLED}`)],
    ['chunks and a length', 400, post(`${CHUNKED}\r\nContent-Length: 4`, `0\r\n\r\n${SMUGGLED}`)],
    ['two lengths', 400, post('Content-Length: 35\r\nContent-Length: 0', BODY + SMUGGLED)],
    ['two equal lengths', 200, post('Content-Length: 35\r\nContent-Length: 35', BODY)],
    ['a list of lengths', 400, post('Content-Length: 35, 35', BODY)],
    ['a signed length', 400, post('Content-Length: +35', BODY)],
    ['a hexadecimal length', 400, post('Content-Length: 0x23', BODY)],
    ['a length beyond all numbers', 400, post('Content-Length: 99999999999999999999999', BODY)],
    ['no length', 400, post('Content-Length:', BODY)],
    ['a space before the colon', 400, post('Content-Length : 35', BODY)],
    ['chunked twice', 400, post(`${CHUNKED}\r\n${CHUNKED}`, chunks())],
    ['another coding', 400, post('Transfer-Encoding: identity', chunks())],
    ['nearly chunked', 400, post('Transfer-Encoding: xchunked', chunks())],
    ['chunked with a vertical tab', 400, post('Transfer-Encoding: \u000bchunked', chunks())],
    ['chunked and then another', 400, post('Transfer-Encoding: chunked, identity', chunks())],
    ['gzip and chunked', 400, post('Transfer-Encoding: gzip, chunked', chunks())],
    ['chunks in HTTP/1.0', 400, post(CHUNKED, chunks()).replace('HTTP/1.1', 'HTTP/1.0')],
    ['a chunk extension', 200, post(CHUNKED, chunks(`${size};a=b`))],
    ['a chunk extension that ends in LF', 400, post(CHUNKED, chunks(`${size};a\n`).replace('\n\r\n', '\n'))],
    ['chunks with bare LF', 400, post(CHUNKED, chunks().replaceAll('\r\n', '\n'))],
    ['a chunk size with 0x', 400, post(CHUNKED, chunks(`0x${size}`))],
    ['a negative chunk size', 400, post(CHUNKED, chunks('-1'))],
    ['a chunk size of 65 bits', 400, post(CHUNKED, chunks(`1${'0'.repeat(14)}${size}`))],
    ['a chunk that is longer than it says', 400, post(CHUNKED, chunks('5'))],
    ['trailers', 400, post(CHUNKED, `${size}\r\n${BODY}\r\n0\r\nAuthorization: x\r\n\r\n`)],
    ['a folded header', 400, `GET /private/info/ HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n ${AUTHORIZATION}\r\n`],
    ['bare LF', 505, get('/private/info/', AUTHORIZATION).replaceAll('\r\n', '\n')],
    ['a bare CR in a header', 400, get('/private/info/', `X-A: a\rAuthorization: b\r\n`)],
    ['NUL in a header', 400, get('/private/info/', 'X-A: a\0b\r\n')],
    ['a header without a colon', 400, get('/private/info/', 'nonsense\r\n')],
    ['a header without a name', 400, get('/private/info/', ': x\r\n')],
    ['a space in the name of a header', 400, get('/private/info/', 'Author ization: x\r\n')],
    ['lines before it', 400, `\r\n\r\n${get('/private/info/', AUTHORIZATION)}`],
  ]
  for (const [shape, status, bytes] of shapes) {
    test(`with ${shape} is a ${status}, and nothing in it is a request of its own`, async () => {
      expect(await statusOf(bytes)).toBe(status)
    })
  }

  test('by a body that a guard rejects unread is one request', async () => {
    const stranger = `POST /models/iris/predict/ HTTP/1.1\r\nHost: localhost\r\n${CLOSE}Content-Length: ${SMUGGLED.length}\r\n\r\n`
    expect(await statusOf(stranger + SMUGGLED)).toBe(401)
    expect(await statusOf(get('/private/info/', `Content-Length: ${SMUGGLED.length}\r\n`) + SMUGGLED)).toBe(401)
  })

  test('by two equal lengths may be no longer than any other', async () => {
    const line = `Content-Length: ${5 * 1024}\r\n`
    const signIn = `POST /auth/ HTTP/1.1\r\nHost: localhost\r\n${CLOSE}${line}${line}\r\n${' '.repeat(5 * 1024)}`
    expect(await statusOf(signIn)).toBe(413)
  })
})

describe('a head', () => {
  test('of more than 16 KiB or 200 headers is a 431', async () => {
    expect(await statusOf(get('/public/info/', `X-A: ${'a'.repeat(15_000)}\r\n`))).toBe(200)
    expect(await statusOf(get('/public/info/', `X-A: ${'a'.repeat(17_000)}\r\n`))).toBe(431)
    expect(await statusOf(get('/public/info/', 'a: b\r\n'.repeat(190)))).toBe(200)
    expect(await statusOf(get('/public/info/', 'a: b\r\n'.repeat(210)))).toBe(431)
  })
})
