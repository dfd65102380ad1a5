import { describe, expect, test } from 'bun:test'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { signJwt } from '../../src/index.ts'
import { MAIN, Workplace } from '../support/command-line.ts'
import { SECRET } from '../support/tokens.ts'

const PRODUCTION = { VESTAL_SECRET: SECRET, VESTAL_LOG_FORMAT: 'json' }
const authorization = `Bearer ${signJwt({ sub: 'me', data: { permissions: ['*'] } }, SECRET)}`

/** Asks over the unix socket; the cast: `unix` is Bun's own. */
const ask = (unix: string, path: string, headers: Record<string, string> = {}) =>
  fetch(`http://localhost${path}`, { unix, headers, keepalive: false } as RequestInit)

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

/** The addresses in the lines of the log about requests. */
function addressesIn(log: string): readonly unknown[] {
  const lines = log.split('\n').filter((line) => line.startsWith('{'))
  return lines.map((line) => (JSON.parse(line) as { address?: unknown }).address).filter((address) => address !== undefined)
}

describe('vestal start with a unix socket', () => {
  test('answers there alone, with the mode of the settings, in production mode, and takes it away at the end', async () => {
    using place = new Workplace()
    const path = join(place.folder, 'vestal.sock')
    const { base, output, child } = await place.start(['--unix', path], PRODUCTION)
    expect(base).toBe(`unix:${path}`)
    expect(output).toContain('"mode":"production"')
    expect([modeOf(path), statSync(path).isSocket()]).toEqual(['660', true])
    expect((await ask(path, '/private/info/', { authorization })).status).toBe(200)
    expect((await ask(path, '/private/info/')).status).toBe(401)
    const environment = { ...PRODUCTION, VESTAL_UNIX: path }
    expect(place.run(['ready'], environment)).toMatchObject({ exitCode: 0, stdout: 'ready\n' })
    expect(place.run(['models', 'unload', 'iris'], environment).stderr).toStartWith('the server answered 503')
    expect(place.run(['doctor'], environment).stdout).toContain(`Vestal listens on ${path} already`)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
    expect(existsSync(path)).toBe(false)
  })

  test('does not start without a key: behind it stands a proxy that asks as localhost', () => {
    using place = new Workplace()
    const { stderr, exitCode } = place.run(['start', '--unix', join(place.folder, 'vestal.sock')])
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('VESTAL_SECRET=')])
  })

  test('takes the place of one that a killed server left', async () => {
    using place = new Workplace()
    const path = join(place.folder, 'vestal.sock')
    const first = await place.start(['--unix', path, '--unix-mode', '600'], PRODUCTION)
    expect(modeOf(path)).toBe('600')
    first.child.kill('SIGKILL')
    await first.child.exited
    expect(existsSync(path)).toBe(true)
    const second = await place.start(['--unix', path, '--unix-mode', '666'], PRODUCTION)
    expect(modeOf(path)).toBe('666')
    expect((await ask(path, '/v2/health/live')).status).toBe(200)
    second.child.kill('SIGTERM')
    expect(await second.child.exited).toBe(0)
  })

  test('leaves what is no socket, and a socket on which someone listens', async () => {
    using place = new Workplace()
    const file = join(place.folder, 'precious')
    writeFileSync(file, 'precious')
    const refused = place.run(['start', '--unix', file], PRODUCTION)
    expect([refused.exitCode, refused.stdout + refused.stderr]).toEqual([
      1,
      expect.stringContaining('exists and is not a socket'),
    ])
    expect(await Bun.file(file).text()).toBe('precious')
    const path = join(place.folder, 'other.sock')
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(path, resolve))
    const child = Bun.spawn([process.execPath, MAIN, 'start', '--unix', path], {
      cwd: place.folder,
      env: place.environment(PRODUCTION),
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const said = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text())
    expect([await child.exited, said]).toEqual([1, expect.stringContaining('another process listens on it')])
    expect(existsSync(path)).toBe(true)
    await new Promise((resolve) => other.close(resolve))
  })

  for (const [trusted, forwarded, expected] of [
    ['unix', '203.0.113.9', '203.0.113.9'],
    ['unix,10.0.0.0/8', '203.0.113.9, 10.1.2.3', '203.0.113.9'],
    ['unix', 'nonsense', 'unix'],
    ['10.0.0.0/8', '203.0.113.9', 'unix'],
    ['', '203.0.113.9', 'unix'],
  ] as const) {
    test(`with ${trusted || 'nobody'} trusted takes a client of "${forwarded}" for ${expected}`, async () => {
      using place = new Workplace()
      const path = join(place.folder, 'vestal.sock')
      const { child, rest } = await place.start(['--unix', path], { ...PRODUCTION, VESTAL_TRUSTED_PROXIES: trusted })
      expect((await ask(path, '/public/info/', { 'x-forwarded-for': forwarded })).status).toBe(200)
      child.kill('SIGTERM')
      await child.exited
      expect(addressesIn(await rest)).toEqual([expected])
    })
  }

  test('says what is wrong with its path and mode', () => {
    using place = new Workplace()
    for (const [args, message] of [
      [['--unix', `/${'a'.repeat(107)}`], '--unix: must be a path of 1 to 107 bytes'],
      [['--unix', '@abstract'], 'does not begin with "@"'],
      [['--unix', 'vestal.sock', '--unix-mode', '888'], '--unix-mode: must be three octal digits'],
    ] as const) {
      const { stderr, exitCode } = place.run(['start', ...args], PRODUCTION)
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)])
    }
  })
})

describe('vestal start under socket activation', () => {
  test('says that it cannot serve on the socket of systemd, and does not open another', () => {
    using place = new Workplace()
    const start = (pid: string) =>
      Bun.spawnSync(
        ['sh', '-c', `LISTEN_PID=${pid} LISTEN_FDS=1 exec "$0" "$@"`, process.execPath, MAIN, 'start', '--models', 'gone'],
        {
          cwd: place.folder,
          env: place.environment({ NODE_ENV: 'production' }),
        },
      )
    const handed = start('$$')
    expect([handed.exitCode, handed.stderr.toString()]).toEqual([
      2,
      expect.stringContaining('LISTEN_FDS: systemd hands a socket over'),
    ])
    // Sockets of another process are not its own: it goes on, and finds no key.
    const others = start('1')
    expect([others.exitCode, others.stderr.toString()]).toEqual([2, expect.stringContaining('VESTAL_SECRET=')])
  })
})
