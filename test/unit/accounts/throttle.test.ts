import { afterAll, describe, expect, test } from 'bun:test'
import { createMemoryBuckets } from '../../../src/accounts/buckets.ts'
import { createThrottle } from '../../../src/accounts/throttle.ts'
import { VestalError } from '../../../src/core/errors.ts'
import { openRedis } from '../../../src/storage/redis.ts'
import { startRedis } from '../../support/redis.ts'

const server = await startRedis()
const redis = server && openRedis(server.url)
afterAll(async () => {
  redis?.close()
  await server?.[Symbol.asyncDispose]()
})

describe('the throttle', () => {
  const at = (account: string, address: string, place?: string) => ({ account, address, ...(place !== undefined && { place }) })
  const refusal = (error: unknown) => (error instanceof VestalError ? [error.code, error.headers['retry-after']] : error)

  for (const shared of [false, true]) {
    if (shared && redis === undefined) continue
    // Redis keeps what a test before has counted, so each test has accounts and addresses of its own.
    let count = 0
    const setUp = (options: { accountMax?: number; addressMax?: number; windowSeconds?: number }) => {
      const clock = { ms: Date.now() }
      count += 1
      const address = `2001:db8:${count}:${Math.floor(Math.random() * 65_536).toString(16)}::1`
      const throttle = createThrottle({
        now: () => clock.ms,
        ...options,
        ...(shared && redis !== undefined && { redis: redis.commands }),
      })
      return { clock, throttle, ada: crypto.randomUUID(), bea: crypto.randomUUID(), address }
    }

    describe(shared ? 'over Redis' : 'in memory', () => {
      test('gives attempts back one by one, and says to the second when the next one is', async () => {
        const { clock, throttle, ada, address } = setUp({ accountMax: 3, windowSeconds: 90 })
        for (let number = 0; number < 3; number += 1) await throttle.attempt(at(ada, address))
        expect(await throttle.attempt(at(ada, address)).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '30'])
        clock.ms += 29_001
        expect(await throttle.attempt(at(ada, address)).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '1'])
        clock.ms += 999
        await throttle.attempt(at(ada, address))
        expect(await throttle.attempt(at(ada, address)).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '30'])
        clock.ms += 90_000
        for (let number = 0; number < 3; number += 1) await throttle.attempt(at(ada, address))
        expect(await throttle.attempt(at(ada, address)).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '30'])
      })

      test('has ten attempts for an account and a hundred for an address, back within 15 minutes, unless it is given others', async () => {
        const { clock, throttle, ada, address } = setUp({})
        const elsewhere = (index: number) => `198.51.${index}.1`
        for (let index = 0; index < 10; index += 1) await throttle.attempt(at(ada, elsewhere(index)))
        expect(await throttle.attempt(at(ada, elsewhere(10))).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '90'])
        for (let index = 0; index < 100; index += 1) await throttle.attempt(at(crypto.randomUUID(), address))
        expect(await throttle.attempt(at(crypto.randomUUID(), address)).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '9'])
        clock.ms += 9000
        await throttle.attempt(at(crypto.randomUUID(), address))
        clock.ms += 81_000
        await throttle.attempt(at(ada, elsewhere(11)))
      })

      test('locks no account out for longer when the clock is set back', async () => {
        const { clock, throttle, ada, address } = setUp({ accountMax: 3, windowSeconds: 90 })
        await throttle.attempt(at(ada, address))
        clock.ms -= 3_600_000
        expect(await throttle.attempt(at(ada, address)).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '30'])
        clock.ms += 30_000
        await throttle.attempt(at(ada, address))
      })

      test('counts an address for itself, a /64 as one, and reports when account and address both let in', async () => {
        const { clock, throttle, ada, bea, address } = setUp({ accountMax: 2, addressMax: 4, windowSeconds: 40 })
        for (const name of [ada, ada, bea, bea]) await throttle.attempt(at(name, address))
        const near = address.replace('::1', ':ffff::2')
        expect(await throttle.attempt(at(crypto.randomUUID(), near)).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '10'])
        expect(await throttle.attempt(at(ada, near)).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '20'])
        clock.ms += 20_000
        await throttle.attempt(at(ada, near))
      })

      test('starts anew for an account that signed in, and gives its address the attempt back', async () => {
        const { throttle, ada, address } = setUp({ accountMax: 2, addressMax: 2 })
        for (let round = 0; round < 10; round += 1) {
          await throttle.attempt(at(ada, address))
          await throttle.succeeded(at(ada, address))
        }
      })

      test('lets an account in from where it was before, however many others try', async () => {
        const { throttle, ada, address } = setUp({ accountMax: 2, windowSeconds: 60 })
        for (let number = 0; number < 2; number += 1) await throttle.attempt(at(ada, address))
        expect(await throttle.attempt(at(ada, address)).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '30'])
        const home = at(ada, address, 'home')
        for (let number = 0; number < 2; number += 1) await throttle.attempt(home)
        expect(await throttle.attempt(home).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '30'])
        await throttle.succeeded(home)
        await throttle.attempt(home)
        expect(await throttle.attempt(at(ada, address)).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '30'])
      })

      test('rejects an address that sent secrets which are no one’s, until one is given back', async () => {
        const { clock, throttle, address } = setUp({ addressMax: 2, windowSeconds: 20 })
        for (let number = 0; number < 5; number += 1) await throttle.guessed(address)
        expect(await Promise.resolve(throttle.rejectGuesser(address)).catch(refusal)).toEqual(['SIGN_IN_THROTTLED', '10'])
        clock.ms += 10_000
        await throttle.rejectGuesser(address)
      })
    })
  }

  test('keeps so many keys, and forgets those first that have all of their attempts', async () => {
    const clock = { ms: 0 }
    const buckets = createMemoryBuckets({ capacity: 1, windowSeconds: 10, now: () => clock.ms, keysMax: 2 })
    await buckets.take('a')
    clock.ms = 5000
    await buckets.take('b')
    clock.ms = 10_000
    await buckets.take('c')
    expect([await buckets.look('a'), await buckets.look('b'), await buckets.look('c')]).toEqual([0, 5000, 10_000])
    await buckets.take('d')
    expect([await buckets.look('b'), await buckets.look('c'), await buckets.look('d')]).toEqual([0, 10_000, 10_000])
  })
})
