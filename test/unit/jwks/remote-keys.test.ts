import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { keySetAddress } from '../../../src/jwks/fetch-bytes.ts'
import { createRemoteKeys, type RemoteKeysOptions } from '../../../src/jwks/remote-keys.ts'
import { type KeyServer, ManualSchedule, startKeyServer, testKey } from '../../support/key-server.ts'

const [A, B, C] = [testKey('a'), testKey('b'), testKey('c')]

/** Remote keys with a clock and a timer that the test moves. */
function start(server: { readonly url: string }, options: RemoteKeysOptions = {}) {
  const clock = { ms: 1_800_000_000_000 }
  const timer = new ManualSchedule()
  const heard: string[] = []
  let changes = 0
  const changed = () => {
    changes += 1
  }
  const keys = createRemoteKeys(server.url, changed, {
    now: () => clock.ms,
    schedule: timer.schedule,
    warn: (message) => void heard.push(message),
    ...options,
  })
  const kids = () => keys.current()?.map(({ kid }) => kid)
  return { keys, kids, clock, timer, heard, changes: () => changes, [Symbol.dispose]: () => keys.close() }
}

describe('the keys of an issuer at their address', () => {
  test('are fetched at once, and a set is used whole', async () => {
    await using server = startKeyServer(A, B)
    using remote = start(server)
    expect(remote.kids()).toBeUndefined()
    await remote.keys.renew()
    expect([remote.kids(), server.requests(), remote.heard]).toEqual([['a', 'b'], 1, []])
    expect(remote.keys.statistics).toEqual({ fetches: 1, failures: 0, keys: 2, ageSeconds: 0 })
  })

  test('are fetched once for all who wait', async () => {
    await using server = startKeyServer(A)
    using remote = start(server)
    await Promise.all(Array.from({ length: 50 }, () => remote.keys.renew()))
    expect(server.requests()).toBe(1)
  })

  test('are replaced and not added to: a key that is gone counts no more', async () => {
    await using server = startKeyServer(A, B)
    using remote = start(server)
    await remote.keys.renew()
    server.publish(B, C)
    remote.timer.run()
    await remote.keys.renew()
    expect([remote.kids(), remote.changes()]).toEqual([['b', 'c'], 1])
  })

  test('that are the same again change nothing', async () => {
    await using server = startKeyServer(A)
    using remote = start(server)
    await remote.keys.renew()
    const before = remote.keys.current()
    remote.timer.run()
    await remote.keys.renew()
    expect([remote.keys.current() === before, remote.changes(), server.requests()]).toEqual([true, 0, 2])
  })

  test('of the same names and other material are other keys', async () => {
    await using server = startKeyServer(A)
    using remote = start(server)
    await remote.keys.renew()
    server.publish(testKey('a'))
    remote.timer.run()
    await remote.keys.renew()
    expect(remote.changes()).toBe(1)
  })

  test('are fetched again after half of their time, so that nobody waits', async () => {
    await using server = startKeyServer(A)
    using remote = start(server, { maxAgeSeconds: 100 })
    await remote.keys.renew()
    expect(remote.timer.delays).toEqual([50_000])
    remote.clock.ms += 50_000
    remote.timer.run()
    expect(remote.kids()).toEqual(['a'])
    await remote.keys.renew()
    remote.clock.ms += 99_999
    expect(remote.kids()).toEqual(['a'])
  })

  test('count no longer than their time', async () => {
    await using server = startKeyServer(A)
    using remote = start(server, { maxAgeSeconds: 100 })
    await remote.keys.renew()
    const until = remote.keys.untilMs()
    remote.clock.ms = until - 1
    expect(remote.kids()).toEqual(['a'])
    remote.clock.ms = until
    expect(remote.kids()).toBeUndefined()
  })

  test('do not count where the clock was set back before they came', async () => {
    await using server = startKeyServer(A)
    using remote = start(server)
    await remote.keys.renew()
    remote.clock.ms -= 1
    expect(remote.kids()).toBeUndefined()
  })

  test('are not fetched again for unknown names before the cool-down is over', async () => {
    await using server = startKeyServer(A)
    using remote = start(server, { cooldownSeconds: 30 })
    await remote.keys.renew()
    expect([remote.keys.renew(), remote.keys.retryAfterSeconds()]).toEqual([undefined, 30])
    remote.clock.ms += 29_999
    expect(remote.keys.renew()).toBeUndefined()
    remote.clock.ms += 1
    await remote.keys.renew()
    expect(server.requests()).toBe(2)
  })

  test('are fetched no more once they are closed', async () => {
    await using server = startKeyServer(A)
    const remote = start(server)
    await remote.keys.renew()
    remote.keys.close()
    remote.clock.ms += 60_000
    remote.timer.run()
    expect([remote.keys.renew(), server.requests(), remote.timer.delays]).toEqual([undefined, 1, []])
  })
})

describe('a key server that is gone', () => {
  test('leaves the keys until their time is over, and is tried again ever more seldom', async () => {
    await using server = startKeyServer(A)
    using remote = start(server, { maxAgeSeconds: 100 })
    await remote.keys.renew()
    await server.die()
    const delays: number[] = []
    for (let round = 0; round < 7; round += 1) {
      remote.timer.run()
      await remote.keys.renew()
      delays.push(...remote.timer.delays)
    }
    expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
    expect(remote.kids()).toEqual(['a'])
    expect(remote.heard).toEqual([`the keys of ${new URL(server.url).host} cannot be fetched: the server cannot be reached`])
    remote.clock.ms += 100_000
    expect([remote.kids(), remote.keys.isFailing()]).toEqual([undefined, true])
  })

  test('leaves them longer where that is asked for, and no longer than that', async () => {
    await using server = startKeyServer(A)
    using remote = start(server, { maxAgeSeconds: 100, staleSeconds: 900 })
    await remote.keys.renew()
    remote.clock.ms += 100_000
    // Nobody has found out yet that the server is gone: its keys may have changed.
    expect(remote.kids()).toBeUndefined()
    await server.die()
    await remote.keys.renew()
    expect(remote.kids()).toEqual(['a'])
    remote.clock.ms += 899_999
    expect(remote.kids()).toEqual(['a'])
    remote.clock.ms += 1
    expect(remote.kids()).toBeUndefined()
  })

  test('is asked again when it is back', async () => {
    await using server = startKeyServer()
    using remote = start(server)
    await remote.keys.renew()
    expect([remote.kids(), remote.keys.renew(), remote.keys.retryAfterSeconds()]).toEqual([undefined, undefined, 1])
    server.publish(A)
    remote.clock.ms += 1000
    await remote.keys.renew()
    expect([remote.kids(), remote.keys.isFailing(), remote.heard.length]).toEqual([['a'], false, 2])
  })
})

describe('a key server that lies', () => {
  const json = (value: unknown) => () => Response.json(value)
  const { d: _, ...bare } = A.jwk
  const small = { kty: 'RSA', kid: 'weak', n: Buffer.alloc(128, 255).toString('base64url'), e: 'AQAB', alg: 'RS256' }
  const cases: Readonly<Record<string, readonly [answer: Parameters<KeyServer['answer']>[0], reason: RegExp]>> = {
    'sends a web page': [() => new Response('<html>', { headers: { 'content-type': 'text/html' } }), /not JSON/],
    'sends a list': [json([A.jwk]), /not a JSON object/],
    'sends nothing': [() => new Response(''), /not JSON/],
    'sends a key and no set': [json(A.jwk), /no list "keys"/],
    'sends an object for the list': [json({ keys: { 0: A.jwk } }), /no list "keys"/],
    'sends an empty set': [json({ keys: [] }), /no key/],
    'sends a member that is no key': [json({ keys: [A.jwk, 7] }), /no JWK/],
    'names "keys" twice': [() => new Response(`{"keys":[],"keys":[${JSON.stringify(bare)}]}`), /twice/],
    'sends bytes that are no UTF-8': [() => new Response(Buffer.from([0x7b, 0xff, 0x7d])), /UTF-8/],
    'gives two keys one name': [json({ keys: [A.jwk, { ...B.jwk, kid: 'a' }] }), /same "kid"/],
    'publishes a private key': [json({ keys: [A.jwk, B.privateKey.export({ format: 'jwk' })] }), /private or shared/],
    'publishes a shared secret': [json({ keys: [A.jwk, { kty: 'oct', k: 'c2VjcmV0', kid: 's' }] }), /private or shared/],
    'has keys for encryption alone': [json({ keys: [{ ...A.jwk, use: 'enc' }] }), /no key/],
    'has keys that are too short alone': [json({ keys: [small] }), /no key/],
    'has keys of unknown kinds alone': [json({ keys: [{ kty: 'AKP', alg: 'ML-DSA-44', pub: 'AA' }] }), /no key/],
    'sends more keys than anybody has': [json({ keys: Array.from({ length: 257 }, () => A.jwk) }), /more than 256/],
    'answers with an error': [() => Response.json({ keys: [A.jwk] }, { status: 500 }), /status 500/],
    'answers with another success': [() => Response.json({ keys: [A.jwk] }, { status: 203 }), /status 203/],
    'sends more than is read': [() => new Response(`{"keys":[],"pad":"${'x'.repeat(300_000)}"}`), /longer than 262144/],
    'sends without an end': [
      () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.alloc(65_536, 32)) })),
      /longer than 262144/,
    ],
    // Whether it can be opened is not looked at.
    'says that it compresses its answer, which is no gzip': [
      () => new Response('{"keys":[]}', { headers: { 'content-encoding': 'gzip' } }),
      /compressed/,
    ],
    'compresses its answer': [
      () => new Response(Bun.gzipSync(Buffer.from('{}')), { headers: { 'content-encoding': 'gzip' } }),
      /compressed/,
    ],
  }
  for (const [what, [answer, reason]] of Object.entries(cases)) {
    test(`is not believed where it ${what}, and the keys from before stay`, async () => {
      await using server = startKeyServer(C)
      using remote = start(server)
      await remote.keys.renew()
      server.answer(answer)
      remote.timer.run()
      await remote.keys.renew()
      expect([remote.kids(), remote.changes(), remote.heard.length]).toEqual([['c'], 0, 1])
      expect(remote.heard[0]).toMatch(reason)
    })
  }

  test('is not followed to another address', async () => {
    await using elsewhere = startKeyServer(A)
    await using server = startKeyServer()
    for (const status of [301, 302, 303, 307, 308]) {
      server.answer(() => new Response(null, { status, headers: { location: elsewhere.url } }))
      using remote = start(server)
      await remote.keys.renew()
      expect(remote.heard[0]).toEndWith(`the answer has the status ${status}`)
    }
    expect(elsewhere.requests()).toBe(0)
  })

  test('is given up where it hangs, before its answer or inside it', async () => {
    await using server = startKeyServer()
    const hanging = [
      () => new Promise<Response>(() => undefined),
      () => new Response(new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('{"keys":[')) })),
    ]
    for (const answer of hanging) {
      server.answer(answer)
      using remote = start(server, { timeoutMs: 50 })
      await remote.keys.renew()
      expect(remote.heard[0]).toEndWith('there is no answer within 50 ms')
    }
  })
})

test('keys that are not for tokens are left out of a set, and the rest counts', async () => {
  const others: readonly Record<string, unknown>[] = [
    { ...B.jwk, use: 'enc' },
    { ...B.jwk, kid: 'x', key_ops: ['deriveKey'] },
    { kty: 'RSA', kid: 'y', alg: 'RSA-OAEP', use: 'enc', n: 'AQAB', e: 'AQAB' },
    { kty: 'OKP', crv: 'Ed448', kid: 'z', x: 'AA' },
    { ...B.jwk, kid: 'off', x: A.jwk.x, y: B.jwk.y },
  ]
  await using server = startKeyServer()
  server.answer(() => Response.json({ keys: [...others, A.jwk] }))
  using remote = start(server)
  await remote.keys.renew()
  expect(remote.kids()).toEqual(['a'])
})

test('a key without an algorithm gets one, and an algorithm that is not accepted gets none', async () => {
  const { alg: _, ...bare } = A.jwk
  const modulus = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' }).n
  const rsa = { kty: 'RSA', kid: 'rsa', e: 'AQAB', n: modulus }
  await using server = startKeyServer()
  server.answer(() => Response.json({ keys: [bare, rsa, { ...rsa, kid: 'ps', alg: 'PS256' }] }))
  const algorithmsOf = async (options: RemoteKeysOptions) => {
    using remote = start(server, options)
    await remote.keys.renew()
    return remote.keys.current()?.map(({ kid, algorithms }) => [kid, ...algorithms])
  }
  expect(await algorithmsOf({})).toEqual([
    ['a', 'ES256'],
    ['rsa', 'RS256'],
    ['ps', 'PS256'],
  ])
  expect(await algorithmsOf({ algorithms: ['PS512', 'RS256'] })).toEqual([['rsa', 'PS512']])
})

describe('an address', () => {
  test('is https, or http on this machine', () => {
    for (const url of ['https://issuer.example/jwks', 'http://127.0.0.1:1/jwks', 'http://[::1]:1/', 'http://localhost:1/'])
      expect(keySetAddress(url).href).toStartWith(url)
    for (const url of [
      'http://issuer.example/jwks',
      'http://127.0.0.1.example/jwks',
      'ftp://127.0.0.1/',
      'file:///etc/passwd',
      'data:application/json,{}',
      'https://user:password@issuer.example/',
      'https://issuer.example/#keys',
      '/jwks',
      '',
    ]) {
      expect(() => keySetAddress(url)).toThrow('"jwksUrl"')
      expect(() => createRemoteKeys(url, () => undefined)).toThrow('"jwksUrl"')
    }
  })

  test('with limits that cannot work is refused at the start', () => {
    for (const name of ['maxAgeSeconds', 'staleSeconds', 'cooldownSeconds', 'timeoutMs', 'bytesMax'])
      for (const value of [-1, Number.NaN, 1e12])
        expect(() => createRemoteKeys('https://issuer.example/', () => undefined, { [name]: value })).toThrow(name)
  })
})
