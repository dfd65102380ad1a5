import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeCertificate } from '../support/certificates.ts'
import { Workplace } from '../support/command-line.ts'
import { SECRET } from '../support/tokens.ts'

const PRODUCTION = { NODE_ENV: 'production', VESTAL_SECRET: SECRET }

describe('vestal ready', () => {
  test('says whether the server of the settings takes requests, by its exit code too', async () => {
    using place = new Workplace()
    const { base, child } = await place.start([], PRODUCTION)
    const { port } = new URL(base)
    expect(place.run(['ready', '--port', port], PRODUCTION)).toEqual({ stdout: 'ready\n', stderr: '', exitCode: 0 })
    child.kill('SIGTERM')
    await child.exited
    expect(place.run(['ready', '--port', port], PRODUCTION)).toEqual({
      stdout: '',
      stderr: `no server answers at http://127.0.0.1:${port}; start one, or pass --port, --host or --unix\n`,
      exitCode: 1,
    })
  })

  test('asks under a name that the server answers to, and on loopback where it listens everywhere', async () => {
    using place = new Workplace()
    const settings = { ...PRODUCTION, VESTAL_ALLOWED_HOSTS: 'vestal.example.org', VESTAL_HOST: '0.0.0.0' }
    const { base, child } = await place.start([], settings)
    const { port } = new URL(base)
    expect((await fetch(`http://127.0.0.1:${port}/v2/health/ready`)).status).toBe(421)
    expect(place.run(['ready', '--port', port], settings).exitCode).toBe(0)
    child.kill('SIGTERM')
    await child.exited
  })

  test('asks as the server speaks: TLS, with a certificate of its own where clients must show one, and unix sockets', async () => {
    using place = new Workplace()
    const own = makeCertificate()
    const files = { cert: join(place.folder, 'tls.pem'), key: join(place.folder, 'tls.key') }
    writeFileSync(files.cert, own.cert)
    writeFileSync(files.key, own.key, { mode: 0o600 })
    const tls = ['--tls-cert', files.cert, '--tls-key', files.key]
    const socket = join(place.folder, 'vestal.sock')
    for (const args of [tls, [...tls, '--tls-client-ca', files.cert], ['--unix', socket]]) {
      const { base, child } = await place.start(args, PRODUCTION)
      const port = base.startsWith('https:') ? ['--port', new URL(base).port] : []
      expect([args, place.run(['ready', ...args, ...port], PRODUCTION)]).toEqual([
        args,
        { stdout: 'ready\n', stderr: '', exitCode: 0 },
      ])
      child.kill('SIGTERM')
      await child.exited
      expect(place.run(['ready', ...args, ...port], PRODUCTION).exitCode).toBe(1)
    }
  })

  test('is not taken in by another server', async () => {
    using place = new Workplace()
    await using other = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('', { status: 503 }) })
    // The question is asked beside this process, which has to answer it.
    const child = Bun.spawn([...place.program, 'ready', '--port', String(other.port)], {
      cwd: place.folder,
      env: place.environment(PRODUCTION),
      stderr: 'pipe',
    })
    expect(await child.exited).toBe(1)
    expect(await new Response(child.stderr).text()).toBe('not ready: 503\n')
  })
})

describe('the first start in production mode, with a log for programs', () => {
  test('shows the password that signs in once, beside the log and once', async () => {
    using place = new Workplace()
    const outputs: { readonly log: string; readonly errors: string }[] = []
    for (const _ of ['first', 'second']) {
      const { child, output, rest } = await place.start([], { ...PRODUCTION, VESTAL_LOG_FORMAT: 'json' })
      child.kill('SIGTERM')
      expect(await child.exited).toBe(0)
      outputs.push({ log: output + (await rest), errors: await new Response(child.stderr).text() })
    }
    const [first, second] = outputs
    const password = /"admin" was made\..*:\n +(\S+)$/m.exec(first?.errors ?? '')?.[1]
    expect(password).toMatch(/\S{12,}/)
    expect(first?.log).not.toContain(password ?? '')
    expect(second?.errors).toBe('')
  })
})
