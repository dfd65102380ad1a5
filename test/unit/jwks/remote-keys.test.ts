import { describe, expect, spyOn, test } from 'bun:test'
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

  test('are fetched again after half of their time, so that no one waits', async () => {
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
    'sends members that are no keys alone': [json({ keys: [7, null, 'x', [A.jwk], {}] }), /no key/],
    'names "keys" twice': [() => new Response(`{"keys":[],"keys":[${JSON.stringify(bare)}]}`), /twice/],
    'sends bytes that are no UTF-8': [() => new Response(Buffer.from([0x7b, 0xff, 0x7d])), /UTF-8/],
    'publishes private keys alone': [json({ keys: [{ ...B.privateKey.export({ format: 'jwk' }), kid: 'b' }] }), /no key/],
    'publishes a private key and its public one': [json({ keys: [B.jwk, B.privateKey.export({ format: 'jwk' })] }), /no key/],
    'publishes shared secrets alone': [json({ keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 's' }] }), /no key/],
    'has keys for encryption alone': [json({ keys: [{ ...A.jwk, use: 'enc' }] }), /no key/],
    'has keys that are too short alone': [json({ keys: [small] }), /no key/],
    'has keys of unknown kinds alone': [json({ keys: [{ kty: 'AKP', alg: 'ML-DSA-44', pub: 'AA' }] }), /no key/],
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

  test('is read to the last byte that it may send, and no further', async () => {
    await using server = startKeyServer(A)
    const { length } = Buffer.from(await (await fetch(server.url)).arrayBuffer())
    for (const [bytesMax, kids] of [
      [length, ['a']],
      [length - 1, undefined],
    ] as const) {
      using remote = start(server, { bytesMax })
      await remote.keys.renew()
      expect(remote.kids() as readonly string[] | undefined).toEqual(kids)
    }
  })

  test('is distinguished from one that publishes keys that do not count', async () => {
    await using server = startKeyServer()
    for (const [key, said] of [
      [
        { kty: 'oct', k: 'c2VjcmV0' },
        'the set has no key that may verify a token; it holds private or shared keys, which do not count',
      ],
      [{ kty: 'EC' }, 'the set has no key that may verify a token'],
    ] as const) {
      server.answer(() => Response.json({ keys: [key] }))
      using remote = start(server)
      await remote.keys.renew()
      expect(remote.heard[0]).toEndWith(`cannot be fetched: ${said}`)
    }
  })

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

describe('a set that another party publishes', () => {
  const published = async (members: readonly unknown[], options: RemoteKeysOptions = {}) => {
    await using server = startKeyServer()
    server.answer(() => Response.json({ keys: members }))
    using remote = start(server, options)
    await remote.keys.renew()
    const keys = remote.keys.current()?.map(({ kid, algorithms }) => [kid, ...algorithms].join(' '))
    return { keys, heard: remote.heard }
  }
  const rsaOf = (bits: number) => generateKeyPairSync('rsa', { modulusLength: bits })
  const rsa = rsaOf(2048)
  const rsaJwk = { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'a' }

  test('may give keys of different kinds one name (RFC 7517 §4.5), and a key counts once however often it is listed', async () => {
    expect(await published([A.jwk, rsaJwk])).toEqual({ keys: ['a ES256', 'a RS256'], heard: [] })
    expect(await published([A.jwk, A.jwk, { ...A.jwk, x5t: 'x' }, rsaJwk, rsaJwk])).toEqual({
      keys: ['a ES256', 'a RS256'],
      heard: [],
    })
    const both = [
      { ...rsaJwk, alg: 'RS256' },
      { ...rsaJwk, alg: 'PS256' },
    ]
    expect(await published(both)).toEqual({ keys: ['a RS256', 'a PS256'], heard: [] })
    expect((await published([A.jwk, { ...A.jwk, kid: 'other' }])).keys).toEqual(['a ES256', 'other ES256'])
    const { kid: _, ...nameless } = A.jwk
    expect((await published([nameless, nameless, B.jwk])).keys).toHaveLength(2)
  })

  test('has what cannot be used left out, whatever it is, and the rest kept', async () => {
    const weak = rsaOf(1024).publicKey.export({ format: 'jwk' })
    const others: readonly unknown[] = [
      7,
      null,
      'key',
      [],
      [B.jwk],
      {},
      { kty: 'EC' },
      { ...B.jwk, kty: 'AKP' },
      { ...B.jwk, kty: 7 },
      { ...B.jwk, crv: 'P-256K' },
      { ...B.jwk, crv: undefined },
      { ...B.jwk, crv: 'P-384' },
      { ...B.jwk, alg: 'ES384' },
      { ...B.jwk, alg: 7 },
      { ...B.jwk, alg: 'none' },
      { ...B.jwk, alg: 'HS256' },
      { ...B.jwk, use: 'enc' },
      { ...B.jwk, use: 7 },
      { ...B.jwk, key_ops: ['encrypt'] },
      { ...B.jwk, key_ops: 'verify' },
      { ...B.jwk, key_ops: ['sign'] },
      { ...B.jwk, key_ops: [] },
      { ...B.jwk, key_ops: ['verify', 'verify'] },
      { ...B.jwk, kid: 7 },
      { ...B.jwk, x: `${B.jwk.x}=` },
      { ...B.jwk, y: A.jwk.y },
      { ...weak, kid: 'weak', alg: 'RS256' },
      { ...rsaJwk, e: 'AQ' },
    ]
    for (const other of others) expect([other, (await published([other, A.jwk])).keys]).toEqual([other, ['a ES256']])
    expect(await published([...others, A.jwk, ...others])).toEqual({ keys: ['a ES256'], heard: [] })
  })

  test('does not count a key whose private part it publishes, in whatever place and under whatever name, and says so once', async () => {
    const secret = { ...B.privateKey.export({ format: 'jwk' }), kid: 'secret' }
    const { d } = rsa.privateKey.export({ format: 'jwk' })
    const warning = expect.stringMatching(/1 private or shared keys are published/)
    for (const members of [
      [B.jwk, secret, A.jwk],
      [secret, B.jwk, A.jwk],
      [secret, A.jwk, { ...B.jwk, kid: 'other' }],
    ])
      expect(await published(members)).toEqual({ keys: ['a ES256'], heard: [warning] })
    // Of RSA the exponent alone is enough to sign.
    expect(await published([{ ...rsaJwk, d }, { ...rsaJwk, kid: 'r' }, A.jwk])).toEqual({ keys: ['a ES256'], heard: [warning] })
    expect(await published([{ kty: 'oct', k: 'c2VjcmV0', kid: 's' }, A.jwk])).toEqual({ keys: ['a ES256'], heard: [warning] })
    await using server = startKeyServer()
    server.answer(() => Response.json({ keys: [A.jwk, secret] }))
    using remote = start(server)
    for (let round = 0; round < 3; round += 1) {
      await remote.keys.renew()
      remote.timer.run()
    }
    await remote.keys.renew()
    expect(remote.heard).toEqual([warning])
    const fetchedFrom = async (...keys: readonly object[]) => {
      server.answer(() => Response.json({ keys }))
      remote.timer.run()
      await remote.keys.renew()
      return remote.heard.length
    }
    // Once the set is as it should be, nothing is said, and the next fault is a new one.
    expect(await fetchedFrom(A.jwk)).toBe(1)
    expect(await fetchedFrom(A.jwk, secret)).toBe(2)
    expect(await fetchedFrom(A.jwk, secret, { kty: 'oct', k: 'c2VjcmV0' })).toBe(3)
  })

  test('has keys beyond the limits left out, and says so', async () => {
    const many = Array.from({ length: 70 }, (_, index) => testKey(`k${index}`).jwk)
    const { keys, heard } = await published(many)
    expect([keys?.length, keys?.[0], heard]).toEqual([
      64,
      'k0 ES256',
      [expect.stringMatching(/6 keys are more than are accepted/)],
    ])
    const filler = Array.from({ length: 255 }, () => ({ kty: 'x' }))
    expect(await published([...filler, A.jwk, B.jwk])).toEqual({
      keys: ['a ES256'],
      heard: [expect.stringMatching(/1 keys are more than are accepted/)],
    })
    const alike = Array.from({ length: 6 }, () => testKey('same').jwk)
    expect((await published([...alike, A.jwk])).keys).toEqual([...Array(4).fill('same ES256'), 'a ES256'])
  })

  test('that lists the same keys in another order is the same set', async () => {
    await using server = startKeyServer(A, B)
    using remote = start(server)
    await remote.keys.renew()
    server.publish(B, A)
    remote.timer.run()
    await remote.keys.renew()
    expect([remote.kids(), remote.changes()]).toEqual([['a', 'b'], 0])
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
      'https://user@issuer.example/',
      'https://:password@issuer.example/',
      'https://issuer.example/#keys',
      '/jwks',
      '',
    ]) {
      expect(() => keySetAddress(url)).toThrow('"jwksUrl"')
      expect(() => createRemoteKeys(url, () => undefined, {})).toThrow('"jwksUrl"')
    }
  })

  test('has limits between the least and the largest that can work', () => {
    const ranges = {
      maxAgeSeconds: [10, 86_400],
      staleSeconds: [0, 604_800],
      cooldownSeconds: [1, 3600],
      timeoutMs: [10, 60_000],
      bytesMax: [64, 4_194_304],
    } as const
    for (const [name, [min, max]] of Object.entries(ranges)) {
      for (const value of [min, max]) {
        using remote = start({ url: 'http://127.0.0.1:1/jwks' }, { [name]: value })
        expect(remote.kids()).toBeUndefined()
      }
      for (const value of [min - 1, max + 1])
        expect(() => createRemoteKeys('https://issuer.example/', () => undefined, { [name]: value })).toThrow(
          `"${name}" is between ${min} and ${max}`,
        )
    }
  })

  test('is fetched from as the defaults say, and a fault is written to the standard error', async () => {
    await using server = startKeyServer()
    const headers: (string | null)[] = []
    server.answer(({ headers: sent }) => {
      headers.push(sent.get('accept'), sent.get('accept-encoding'), sent.get('traceparent'))
      return new Response(null, { status: 500 })
    })
    const timeout = spyOn(AbortSignal, 'timeout')
    const written = spyOn(console, 'error').mockImplementation(() => undefined)
    try {
      let now = 1_800_000_000_000
      const timer = new ManualSchedule()
      const keys = createRemoteKeys(server.url, () => undefined, { now: () => now, schedule: timer.schedule })
      await keys.renew()
      expect(written.mock.calls).toEqual([
        [`warning: the keys of ${new URL(server.url).host} cannot be fetched: the answer has the status 500`],
      ])
      expect(timeout.mock.calls).toEqual([[5000]])
      expect(headers).toEqual(['application/jwk-set+json, application/json', 'identity', null])
      server.publish(A)
      now += 1000
      await keys.renew()
      expect([timer.delays, keys.retryAfterSeconds(), keys.untilMs() - now]).toEqual([[300_000], 30, 600_000])
      await server.die()
      timer.run()
      await keys.renew()
      expect([keys.isFailing(), keys.untilMs() - now]).toEqual([true, 600_000])
      keys.close()
    } finally {
      timeout.mockRestore()
      written.mockRestore()
    }
  })

  test('with limits that cannot work is rejected at the start', () => {
    for (const name of ['maxAgeSeconds', 'staleSeconds', 'cooldownSeconds', 'timeoutMs', 'bytesMax'])
      for (const value of [-1, Number.NaN, 1e12])
        expect(() => createRemoteKeys('https://issuer.example/', () => undefined, { [name]: value })).toThrow(name)
  })
})
