import { describe, expect, test } from 'bun:test'
import type { Revocation } from '../../../src/accounts/records.ts'
import { createRevocationList } from '../../../src/accounts/revocation-list.ts'
import { createRevocationSync, type RevocationSyncOptions } from '../../../src/accounts/revocation-sync.ts'
import type { Records, Store } from '../../../src/accounts/store.ts'
import { VestalError } from '../../../src/core/errors.ts'
import { until } from '../../support/until.ts'

const START = 1_800_000_000_000

function setUp(options: Partial<RevocationSyncOptions> = {}) {
  const clock = { ms: START }
  const asked: number[] = []
  const pruned: number[] = []
  const table: Revocation[] = []
  const fault: { error?: Error } = {}
  const records = {
    revocationsSince: async (since: number) => {
      asked.push(since)
      if (fault.error !== undefined) throw fault.error
      return table.filter(({ createdAt }) => createdAt >= since)
    },
    pruneRevocations: async (before: number) => void pruned.push(before),
  } as unknown as Records
  const store = {
    read: (work: (records: Records) => unknown) => work(records),
    transaction: (work: (records: Records) => unknown) => work(records),
  } as unknown as Store
  const revocations = createRevocationList({ now: () => clock.ms })
  const calls = { apiKeys: 0, idle: 0, warnings: [] as string[] }
  const sync = createRevocationSync({
    store,
    revocations,
    now: () => clock.ms,
    onApiKeys: async () => {
      calls.apiKeys += 1
    },
    onIdle: async () => {
      calls.idle += 1
    },
    warn: (message) => calls.warnings.push(message),
    ...options,
  })
  const add = (more: Partial<Revocation>) =>
    table.push({ kind: 'token', value: 'a', epoch: 0, createdAt: clock.ms, until: clock.ms + 3_600_000, ...more })
  return { clock, asked, pruned, fault, revocations, calls, sync, add }
}

describe('what other processes revoke', () => {
  test('is read whole at first, and then from half a minute before the last question', async () => {
    const { clock, asked, sync, add, revocations } = setUp()
    add({ value: 'old', createdAt: START - 1_000_000 })
    await sync.poll()
    clock.ms += 700
    add({ value: 'new' })
    await sync.poll()
    expect([asked[0], asked[1], revocations.size]).toEqual([-30_000, START - 30_000, 2])
    clock.ms += 700
    await sync.poll()
    expect(asked[2]).toBe(START + 700 - 30_000)
  })

  test('is fresh for two seconds after an answer, and not before the first', async () => {
    const { clock, sync } = setUp()
    expect(sync.isFresh).toBe(false)
    await sync.poll()
    const after = [0, 2000, 2001].map((ms) => {
      clock.ms = START + ms
      return sync.isFresh
    })
    expect(after).toEqual([true, true, false])
    clock.ms = START - 1
    expect(sync.isFresh).toBe(false)
  })

  test('of API keys is no revocation, and has them read once for each change', async () => {
    const { clock, sync, add, revocations, calls } = setUp()
    await sync.poll()
    expect(calls.apiKeys).toBe(0)
    add({ kind: 'api-keys', value: 'all', epoch: 7 })
    for (let times = 0; times < 3; times += 1) await sync.poll()
    expect([calls.apiKeys, revocations.size]).toEqual([1, 0])
    // Out of the window of the question: nothing has changed.
    clock.ms += 60_000
    await sync.poll()
    expect(calls.apiKeys).toBe(1)
    add({ kind: 'api-keys', value: 'all', epoch: 8 })
    await sync.poll()
    expect(calls.apiKeys).toBe(2)
  })

  test('is tidied up once a minute, in memory and in the store', async () => {
    const { clock, sync, add, revocations, calls, pruned } = setUp()
    add({ until: START + 1 })
    await sync.poll()
    expect([pruned, calls.idle, revocations.size]).toEqual([[START], 1, 1])
    clock.ms += 59_999
    await sync.poll()
    expect([pruned.length, calls.idle, revocations.size]).toEqual([1, 1, 1])
    clock.ms += 1
    await sync.poll()
    expect([pruned, calls.idle, revocations.size]).toEqual([[START, START + 60_000], 2, 0])
  })

  test('that cannot be asked for is reported once, and once that it can be again', async () => {
    const { asked, fault, sync, calls } = setUp({ intervalMs: 1 })
    fault.error = new VestalError('STORE_UNAVAILABLE')
    const { message } = fault.error
    sync.start()
    await until(() => asked.length > 3)
    expect(calls.warnings).toEqual([`the accounts cannot be reached: ${message}`])
    delete fault.error
    await until(() => calls.warnings.length > 1)
    const seen = asked.length
    await until(() => asked.length > seen + 2)
    expect(calls.warnings.slice(1)).toEqual(['the accounts can be reached again'])
    fault.error = new TypeError('broken')
    await until(() => calls.warnings.length > 2)
    expect(calls.warnings[2]).toBe('the accounts cannot be reached: TypeError: broken')
    await sync.stop()
    const last = asked.length
    // Another that asks as often tells how time passes.
    const other = setUp({ intervalMs: 1 })
    other.sync.start()
    await until(() => other.asked.length > 5)
    await other.sync.stop()
    expect(asked.length).toBe(last)
  })

  test('is asked for without anyone who listens, too', async () => {
    const { sync, add } = setUp({ onApiKeys: undefined, onIdle: undefined, warn: undefined } as never)
    add({ kind: 'api-keys', value: 'all', epoch: 7 })
    await sync.poll()
    expect(sync.isFresh).toBe(true)
  })
})
