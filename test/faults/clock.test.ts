import { expect, test } from 'bun:test'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signJwt } from '../../src/index.ts'
import { FaultyServer } from '../support/faulty-server.ts'
import { SECRET } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'
import { until } from '../support/until.ts'

const HOUR = 3600

/** The library that gives a process another time, where Debian puts it. */
function faketime(): string | undefined {
  const found = [...new Bun.Glob('*/faketime/libfaketimeMT.so.1').scanSync('/usr/lib')][0]
  return found === undefined ? undefined : join('/usr/lib', found)
}

const library = faketime()

if (hasTool('libfaketime', library)) {
  test('a clock that jumps an hour on and back lets no token live longer than its time, brings none back, and stops nothing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vestal-clock-'))
    const file = join(folder, 'now')
    /** Sets the server's clock to so many seconds from ours; in one step, since it is read at any moment. */
    const jump = (seconds: number) => {
      writeFileSync(`${file}.next`, `${seconds < 0 ? '' : '+'}${seconds}\n`)
      renameSync(`${file}.next`, file)
    }
    jump(0)
    await using server = await FaultyServer.start({
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      DONT_FAKE_MONOTONIC: '1',
      VESTAL_SIGN_IN_ATTEMPTS_MAX: '1000',
    })
    const seconds = () => Math.floor(Date.now() / 1000)
    const tokenFor = (lifetime: number, issuedAt = 1_700_000_000) =>
      signJwt({ sub: 'robot', iat: issuedAt, exp: seconds() + lifetime, data: { permissions: ['my-permission-name'] } }, SECRET)
    const statusOf = async (token: string) =>
      (await server.ask('/private/info/', { headers: { authorization: `Bearer ${token}` } })).status
    const post = (path: string, body: unknown, token?: string) =>
      server.ask(path, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      })
    const signIn = async () => {
      const { status, text } = await post('/auth/', { name: 'ada', password: 'four words and a half', session: 'token' })
      return { status, ...(JSON.parse(text) as { token: string; refresh_token: string }) }
    }
    const short = tokenFor(HOUR / 2)
    const long = tokenFor(10 * HOUR)
    const fresh = tokenFor(10 * HOUR, seconds())
    const revoked = await signIn()
    expect((await post('/auth/logout/', {}, revoked.token)).status).toBe(200)
    const session = await signIn()
    expect([await statusOf(short), await statusOf(long), await statusOf(revoked.token)]).toEqual([200, 200, 401])
    expect([session.status, await statusOf(session.token)]).toEqual([200, 200])

    jump(HOUR)
    await until(async () => (await statusOf(short)) === 401)
    expect([await statusOf(long), await statusOf(revoked.token), await statusOf(session.token)]).toEqual([200, 401, 401])
    const later = await post('/auth/refresh/', { refresh_token: session.refresh_token })
    expect(later.status).toBe(200)

    for (const seconds of [0, -HOUR, HOUR, 0]) {
      jump(seconds)
      await until(async () => (await statusOf(short)) === (seconds === HOUR ? 401 : 200))
      expect([seconds, await statusOf(long), await statusOf(revoked.token)]).toEqual([seconds, 200, 401])
      // One that says to be issued in an hour is not for now.
      expect([seconds, await statusOf(fresh)]).toEqual([seconds, seconds < 0 ? 401 : 200])
      expect([seconds, await server.predict(), (await signIn()).status]).toEqual([seconds, 200, 200])
    }
    expect(await server.bugs()).toBe(0)
    const { code, output } = await server.stop()
    expect([code, /bug|undefined|NaN/.test(output)]).toEqual([0, false])
    rmSync(folder, { recursive: true })
  }, 120_000)
}
