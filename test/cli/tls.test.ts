import { describe, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ConnectionOptions, connect } from 'node:tls'
import { signJwt } from '../../src/index.ts'
import { type Certificate, makeCertificate } from '../support/certificates.ts'
import { Workplace } from '../support/command-line.ts'
import { SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const root = makeCertificate({ name: 'root' })
const FILES = ['--tls-cert', 'server.pem', '--tls-key', 'server.key']
const authorization = `Bearer ${signJwt({ sub: 'me', data: { permissions: ['*'] } }, SECRET)}`

/** Writes a certificate and its key one after the other, each in one step. */
function put(place: Workplace, { cert, key }: Certificate): void {
  for (const [name, content] of [
    ['server.pem', cert],
    ['server.key', key],
  ] as const) {
    writeFileSync(join(place.folder, `${name}.new`), content, { mode: 0o600 })
    renameSync(join(place.folder, `${name}.new`), join(place.folder, name))
  }
}

/** Asks over a connection of its own, as a client that trusts the root and may show a certificate. */
function ask(url: string, init: RequestInit = {}, client?: Certificate): Promise<Response> {
  const tls = { ca: root.cert, ...(client && { cert: client.cert, key: client.key }) }
  // The cast: `tls` is Bun's own.
  return fetch(url, { keepalive: false, ...init, tls } as RequestInit)
}

/** The first line that the server says over TLS, or how the connection failed. */
function firstLine(base: string, options: ConnectionOptions = {}, host = 'localhost'): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = connect({
    port: Number(new URL(base).port),
    host: '127.0.0.1',
    servername: 'localhost',
    ca: root.cert,
    ...options,
  })
  socket.on('secureConnect', () => socket.write(`GET /public/info/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`))
  socket.on('data', (bytes) => {
    resolve(bytes.toString('latin1').split('\r\n')[0] ?? '')
    socket.destroy()
  })
  socket.on('error', () => resolve('refused'))
  socket.on('close', () => resolve('refused'))
  return promise
}

/** A prediction that the server has begun with, and whose body comes when it is told to finish; it then gives the first line of the answer. */
async function begin(base: string) {
  const body = '{"input":{"X":[[5.1,3.5,1.4,0.2]]}}'
  const { promise: begun, resolve: isBegun, reject } = Promise.withResolvers<void>()
  const { promise: ended, resolve: isEnded } = Promise.withResolvers<string>()
  const socket = connect({ port: Number(new URL(base).port), host: '127.0.0.1', servername: 'localhost', ca: root.cert })
  const head = `Host: localhost\r\nAuthorization: ${authorization}\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n`
  socket.on('secureConnect', () => socket.write(`POST /models/iris/predict/ HTTP/1.1\r\n${head}\r\n`))
  let answer = ''
  socket.on('data', (bytes) => {
    answer += bytes.toString('latin1')
    const [, next = ''] = answer.split('HTTP/1.1 100 Continue\r\n\r\n')
    if (answer.includes('100 Continue')) isBegun()
    if (!next.includes('\r\n')) return
    isEnded(next.split('\r\n')[0] ?? '')
    socket.destroy()
  })
  socket.on('error', reject)
  socket.on('close', () => {
    reject(new Error('closed'))
    isEnded('closed')
  })
  await begun
  return {
    finish: () => {
      socket.write(body)
      return ended
    },
  }
}

/** The fingerprint of the certificate that a new connection is shown. */
function shownBy(base: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect({ port: Number(new URL(base).port), host: '127.0.0.1', servername: 'localhost', ca: root.cert }, () => {
    resolve(socket.getPeerCertificate().fingerprint256)
    socket.destroy()
  })
  socket.on('error', reject)
  // The listener may close it in the midst of the handshake, without a word.
  socket.on('close', () => reject(new Error('closed')))
  return promise
}

/** Asks again where the connection met the old listener as it closed; nothing that is asked here minds being asked twice. */
async function askAgain(...asked: Parameters<typeof ask>): Promise<Response> {
  let response: Response | undefined
  await until(async () => {
    response = await ask(...asked).catch(() => undefined)
    return response !== undefined
  }, 'a request is answered')
  // The cast: the wait has ended well.
  return response as unknown as Response
}

/** A connection may meet the old listener as it closes, and asks again. */
async function untilShown(base: string, { cert }: Certificate): Promise<void> {
  const { fingerprint256 } = new X509Certificate(cert)
  await until(async () => (await shownBy(base).catch(() => 'closed')) === fingerprint256, 'the new certificate is shown')
}

describe('vestal start with a certificate', () => {
  test('answers over TLS 1.2 and 1.3 alone, and says so', async () => {
    using place = new Workplace()
    put(place, makeCertificate({ issuer: root }))
    const { base, child } = await place.start(FILES, { VESTAL_SECRET: SECRET })
    expect(base).toStartWith('https://127.0.0.1:')
    expect((await ask(`${base}/private/info/`, { headers: { authorization } })).status).toBe(200)
    expect((await ask(`${base}/private/info/`)).status).toBe(401)
    expect(await firstLine(base, { minVersion: 'TLSv1.3' })).toBe('HTTP/1.1 200 OK')
    expect(await firstLine(base, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })).toBe('HTTP/1.1 200 OK')
    expect(await firstLine(base, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })).toBe('refused')
    expect(fetch(base.replace('https', 'http'))).rejects.toThrow()
    // A host of one letter would move the path that Elysia looks at.
    for (const [host, line] of [
      ['a', '421'],
      ['ab', '421'],
      ['abc', '200'],
      ['a:1', '200'],
    ] as const) {
      expect([host, (await firstLine(base, {}, host)).split(' ')[1]]).toEqual([host, line])
    }
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('gives cookies for HTTPS alone, in development mode too', async () => {
    using place = new Workplace()
    put(place, makeCertificate({ issuer: root }))
    place.run(['users', 'add', 'ada'], {}, 'four words and a half\n')
    const { base, child } = await place.start(FILES)
    const body = JSON.stringify({ name: 'ada', password: 'four words and a half', session: 'cookie' })
    const answer = await ask(`${base}/auth/`, { method: 'POST', body, headers: { origin: base } })
    const cookies = answer.headers.getSetCookie()
    expect([answer.status, cookies.length]).toEqual([200, 2])
    for (const cookie of cookies) expect(cookie).toMatch(/^__Host-.*; Secure/)
    child.kill('SIGTERM')
    await child.exited
  })

  test('takes a new one while it runs, and finishes in-flight requests', async () => {
    using place = new Workplace()
    const [first, second, third] = [1, 2, 3].map(() => makeCertificate({ issuer: root })) as [
      Certificate,
      Certificate,
      Certificate,
    ]
    put(place, first)
    const { base, child, rest } = await place.start([...FILES, '--body-seconds', '3600', '--body-grace-seconds', '3600'], {
      VESTAL_SECRET: SECRET,
    })
    await untilShown(base, first)
    const atHand = await begin(base)
    put(place, second)
    await untilShown(base, second)
    put(place, { ...third, cert: 'nonsense' })
    expect(await atHand.finish()).toBe('HTTP/1.1 200 OK')
    await untilShown(base, second)
    put(place, third)
    await untilShown(base, third)
    expect((await askAgain(`${base}/private/info/`, { headers: { authorization } })).status).toBe(200)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
    expect(await rest).toContain('TLS: new connections use the certificate of "localhost"')
  })

  test('keeps the old one where the new cannot be used, and says why', async () => {
    using place = new Workplace()
    const first = makeCertificate({ issuer: root })
    put(place, first)
    const { base, child } = await place.start(FILES, { VESTAL_SECRET: SECRET })
    put(place, makeCertificate({ issuer: root, fromDays: -10, toDays: -1 }))
    const decoder = new TextDecoder()
    let errors = ''
    for await (const chunk of child.stderr) {
      errors += decoder.decode(chunk, { stream: true })
      if (errors.includes('expired on')) break
    }
    expect(errors).toMatch(/the changed certificate cannot be used, so the old one stays: tls_cert: server\.pem: .* expired on/)
    await untilShown(base, first)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('is checked by a reload of the settings, which takes all or nothing', async () => {
    using place = new Workplace()
    const [first, second] = [1, 2].map(() => makeCertificate({ issuer: root })) as [Certificate, Certificate]
    put(place, first)
    const { base, child } = await place.start(FILES, { VESTAL_SECRET: SECRET, VESTAL_LOAD_MODEL: 'none' })
    const reload = () => askAgain(`${base}/admin/reload`, { method: 'POST', headers: { authorization } })
    put(place, { ...first, cert: 'nonsense' })
    const refused = await reload()
    expect([refused.ok, await refused.text()]).toEqual([false, expect.stringContaining('holds no certificate in PEM')])
    await untilShown(base, first)
    put(place, second)
    expect((await reload()).status).toBe(200)
    await untilShown(base, second)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('is no hindrance to `vestal ready` and the doctor, which finds what is wrong with it', async () => {
    using place = new Workplace()
    const own = makeCertificate({ issuer: root })
    put(place, own)
    const { base, child } = await place.start(FILES, { VESTAL_SECRET: SECRET, VESTAL_LOAD_MODEL: 'none' })
    const here = [...FILES, '--port', new URL(base).port]
    const environment = { VESTAL_SECRET: SECRET, VESTAL_LOAD_MODEL: 'none' }
    expect(place.run(['ready', ...here], environment)).toMatchObject({ exitCode: 0, stdout: 'ready\n' })
    const doctor = () => place.run(['doctor', '--json', ...here], environment).stdout
    const found = doctor()
    expect(found).toContain('the certificate of \\"localhost\\", good until')
    expect(found).toContain('Vestal listens on port')
    writeFileSync(join(place.folder, 'server.key'), makeCertificate().key, { mode: 0o600 })
    expect(doctor()).toContain('is not the key of the certificate')
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('does not start where it cannot be used, or the port is in use', () => {
    using place = new Workplace()
    const { stderr, exitCode } = place.run(['start', '--port', '0', ...FILES])
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('tls_cert: server.pem: cannot be read')])
    put(place, makeCertificate({ issuer: root }))
    using other = Bun.serve({ port: 0, hostname: '127.0.0.1', reusePort: true, fetch: () => new Response('') })
    const taken = place.run(['start', '--port', String(other.port), ...FILES])
    expect([taken.exitCode, taken.stderr]).toEqual([1, expect.stringContaining(`port ${other.port} on 127.0.0.1 is in use`)])
  })
})

describe('vestal start with a CA of clients', () => {
  test('lets in who shows a certificate of it alone, and then still asks for the token', async () => {
    using place = new Workplace()
    put(place, makeCertificate({ issuer: root }))
    writeFileSync(join(place.folder, 'clients.pem'), root.cert)
    const { base, child } = await place.start([...FILES, '--tls-client-ca', 'clients.pem'], { VESTAL_SECRET: SECRET })
    const client = makeCertificate({ issuer: root, name: 'client' })
    expect((await ask(`${base}/private/info/`, { headers: { authorization } }, client)).status).toBe(200)
    expect((await ask(`${base}/private/info/`, {}, client)).status).toBe(401)
    const refused = [
      undefined,
      makeCertificate({ name: 'client' }),
      makeCertificate({ name: 'client', issuer: makeCertificate({ name: 'root' }) }),
      makeCertificate({ name: 'client', issuer: root, fromDays: -10, toDays: -1 }),
    ]
    for (const shown of refused) {
      expect(await firstLine(base, shown && { cert: shown.cert, key: shown.key })).toBe('refused')
    }
    expect(await firstLine(base, { cert: client.cert, key: client.key })).toBe('HTTP/1.1 200 OK')
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })
})
