import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { openStore } from '../../src/storage/open-store.ts'
import { Workplace } from '../support/command-line.ts'
import { FaultyServer } from '../support/faulty-server.ts'
import { mountSmallDisk } from '../support/small-disk.ts'
import { SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const MANY = { VESTAL_SIGN_IN_ATTEMPTS_MAX: '1000', VESTAL_SIGN_IN_ADDRESS_ATTEMPTS_MAX: '1000000' }

const full = mountSmallDisk()
if (full !== undefined) {
  test('a disk that is full rejects sign-ins with a 503, and no prediction; nothing is corrupted', async () => {
    using _ = full
    const data = join(full.folder, 'data')
    await using server = await FaultyServer.start({ VESTAL_DATA: data, ...MANY })
    expect(await server.signIn()).toBe(200)
    full.fill()
    // A page or two may still be at hand within the files that are there.
    await until(async () => (await server.signIn()) === 503)
    expect([await server.signIn(), await server.predict()]).toEqual([503, 200])
    // Lines of the audit log fit into what its file has for a while; refusals of one name would be counted together.
    await until(async () => {
      expect(await server.signIn(`nobody-${crypto.randomUUID()}`)).toBeOneOf([401, 503])
      return (await server.metric('vestal_audit_events_lost_total')) > 0
    })
    full.empty()
    await until(async () => (await server.signIn()) === 200)
    expect([await server.predict(), await server.bugs()]).toEqual([200, 0])
    const { code, output } = await server.stop()
    expect([code, output.includes('events of the audit log are lost')]).toEqual([0, true])
    const store = openStore(join(data, 'vestal.db'))
    expect(await store.faults()).toEqual([])
    await store.close()
  }, 120_000)
}

const disk = mountSmallDisk()
if (disk !== undefined) {
  test('a data folder that is write-protected ends a start that needs it, with what is wrong, and no other', async () => {
    using _ = disk
    using place = new Workplace()
    const environment = { VESTAL_DATA: join(disk.folder, 'data'), VESTAL_SECRET: SECRET }
    disk.protect(true)
    const { exitCode, stderr } = place.run(['start', '--port', '0'], environment)
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('the accounts cannot be opened')])
    expect([stderr.includes('    at '), stderr.includes('VESTAL_DATA')]).toEqual([false, true])
    const server = await place.start(['--accounts', 'off'], environment)
    expect((await fetch(`${server.base}/v2/health/ready`)).status).toBe(200)
    server.child.kill('SIGTERM')
    expect(await server.child.exited).toBe(0)
    disk.protect(false)
    const again = await place.start([], environment)
    again.child.kill('SIGTERM')
    expect(await again.child.exited).toBe(0)
  }, 120_000)
}
