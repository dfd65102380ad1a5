import { describe, expect, test } from 'bun:test'
import { apiKeyId, hashOfApiKey, isApiKeyId, makeApiKey } from '../../../src/accounts/api-key-text.ts'
import { auditLine } from '../../../src/accounts/audit.ts'
import { lifetimeUntil } from '../../../src/accounts/issue.ts'
import { isPermission, isRoleName, nameFault, normaliseName } from '../../../src/accounts/names.ts'
import { makeRefreshToken, openToken, sealToken } from '../../../src/accounts/refresh-tokens.ts'
import {
  createRevocationList,
  untilOwnTokensEnd,
  untilSubjectsTokensEnd,
  untilTokenEnds,
} from '../../../src/accounts/revocation-list.ts'
import { isAddress, subnetOf } from '../../../src/accounts/subnet.ts'
import { proxy } from '../../../src/config/readers.ts'
import { createAddressBlocks, parseAddressBlock } from '../../../src/core/address-blocks.ts'
import { createPrincipal } from '../../../src/core/principal.ts'
import { createOriginReader } from '../../../src/http/accounts/origin.ts'
import type { JwtPayload } from '../../../src/jose/claims.ts'

describe('a name', () => {
  test('has one spelling', () => {
    for (const name of ['Ada@Example.com', ' ada@example.com', 'ＡＤＡ@example.com', 'ADA@EXAMPLE.COM'])
      expect(normaliseName(name)).toBe('ada@example.com')
  })

  test('has no spaces, nothing hidden, is not empty, not long, not an id', () => {
    for (const name of [
      '',
      'a b',
      'a\u0000',
      'a\u200bb',
      'a\u202eb',
      'a\nb',
      'x'.repeat(255),
      '497f6eca-6276-4993-bfeb-53cbbbba6f08',
    ])
      expect([name, nameFault(normaliseName(name))]).toEqual([name, expect.any(String)])
    for (const name of ['a', 'ada@example.com', 'éva', '李', 'x'.repeat(254)])
      expect([name, nameFault(name)]).toEqual([name, undefined])
  })

  test('of a role or a permission is plain', () => {
    for (const text of ['admin', 'a.b-c_d', '0']) expect(isRoleName(text)).toBe(true)
    for (const text of ['', 'Admin', 'a b', '-a', 'x'.repeat(65), '__proto__', 'a\n'])
      expect([text, isRoleName(text)]).toEqual([text, false])
    for (const text of ['*', 'model:*:predict', 'a']) expect(isPermission(text)).toBe(true)
    for (const text of ['', 'a b', 'a,b', 'a"b', 'a\\b', 'é', 'x'.repeat(129), 'a\n'])
      expect([text, isPermission(text)]).toEqual([text, false])
  })
})

describe('an API key', () => {
  test('has an id, a secret and a checksum, each as long as ever, and is kept by its hash', () => {
    const keys = Array.from({ length: 300 }, makeApiKey)
    for (const { id, text, hash } of keys) {
      expect(text).toMatch(/^vst_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/)
      expect([apiKeyId(text), isApiKeyId(id), text.slice(4, 16), hashOfApiKey(text)]).toEqual([id, true, id, hash])
      expect(hash).toBe(new Bun.CryptoHasher('sha256').update(text).digest('base64url'))
    }
    expect(new Set(keys.map(({ id }) => id)).size).toBe(300)
    // Every character is drawn: some 17 000 of 62.
    expect(new Set(keys.flatMap(({ text }) => [...text.slice(4, -7)])).size).toBe(63)
  })

  test('that was mistyped is none, wherever that was', () => {
    const { id, text } = makeApiKey()
    const other = (character: string) => (character === 'a' ? 'b' : 'a')
    for (const at of [4, 15, 17, 59, 61, text.length - 1]) {
      const mistyped = `${text.slice(0, at)}${other(text[at] ?? '')}${text.slice(at + 1)}`
      expect([at, apiKeyId(mistyped)]).toEqual([at, undefined])
    }
    for (const wrong of ['', text.slice(1), text.slice(0, -1), `${text}a`, ` ${text}`, text.toUpperCase()])
      expect([wrong, apiKeyId(wrong)]).toEqual([wrong, undefined])
    for (const wrong of ['', id.slice(1), `${id}a`, `${id.slice(1)}-`]) expect([wrong, isApiKeyId(wrong)]).toEqual([wrong, false])
  })

  test('has the checksum that those who look for leaked keys compute', () => {
    const body = `vst_${'a'.repeat(12)}_${'b'.repeat(43)}`
    const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
    let checksum = ''
    for (let rest = BigInt(Bun.hash.crc32(body)); rest > 0n; rest /= 62n) checksum = `${digits[Number(rest % 62n)]}${checksum}`
    expect(apiKeyId(`${body}_${checksum.padStart(6, '0')}`)).toBe('a'.repeat(12))
  })
})

describe('a revocation', () => {
  // A token counts for 300 s more than it says, and a clock that was an hour ahead may be set back.
  const margin = 3900
  const at = 1_800_000_000_000

  test('of a token lasts until the token has ended by itself', () => {
    expect(untilTokenEnds(1000)).toBe((1000 + margin) * 1000)
    expect(untilTokenEnds(1000.25)).toBe((1001 + margin) * 1000)
    expect(untilTokenEnds(undefined)).toBe(Number.MAX_SAFE_INTEGER)
  })

  test('of what was made here lasts for the longest lifetime that is made here, a day', () => {
    expect(untilOwnTokensEnd(at)).toBe(at + (86_400 + margin) * 1000)
  })

  test('of a subject lasts for the longest lifetime that is accepted, and for ever where there is none', () => {
    expect(untilSubjectsTokensEnd(at, undefined)).toBe(Number.MAX_SAFE_INTEGER)
    expect(untilSubjectsTokensEnd(at, 60)).toBe(untilOwnTokensEnd(at))
    expect(untilSubjectsTokensEnd(at, 86_401)).toBe(untilOwnTokensEnd(at) + 1000)
    expect(untilSubjectsTokensEnd(at, 1_000_000)).toBe(at + (1_000_000 + margin) * 1000)
  })
})

describe('a token of an account', () => {
  const lifetimes = { accessTokenSeconds: 300 }
  const until = (endMs: number | null, nowMs: number) => lifetimeUntil(endMs, { now: () => nowMs, lifetimes })

  test('counts as long as any where nothing ends before it', () => {
    expect([until(null, 5), until(300_000, 0), until(1e12, 0)]).toEqual([300, 300, 300])
  })

  test('ends within the second in which its session or its key does, and counts for one at least', () => {
    expect([until(299_999, 0), until(299_000, 0), until(300_999, 1999)]).toEqual([299, 299, 299])
    expect([until(10_001, 9000), until(10_999, 9999), until(10_000, 9001)]).toEqual([1, 1, 1])
    expect([until(1000, 1000), until(1000, 5000), until(1999, 1000)]).toEqual([1, 1, 1])
  })
})

describe('a sealed refresh token', () => {
  test('is opened with its parent and with nothing else', () => {
    const [parent, child] = [makeRefreshToken(), makeRefreshToken()]
    const sealed = sealToken(child, parent)
    expect(openToken(sealed, parent)).toBe(child)
    expect(openToken(sealed, child)).toBeUndefined()
    const length = Buffer.from(sealed, 'base64url').length
    for (const at of [0, 12, length - 17, length - 16, length - 1]) {
      const bytes = Buffer.from(sealed, 'base64url')
      bytes[at] = (bytes[at] ?? 0) ^ 1
      expect([at, openToken(bytes.toString('base64url'), parent)]).toEqual([at, undefined])
    }
    expect(sealed).not.toContain(child)
    expect(sealToken(child, parent)).not.toBe(sealed)
  })
})

describe('the list of what is revoked', () => {
  const at = 1_800_000_000_000
  const entry = (kind: 'token' | 'session' | 'subject', value: string, epoch = 0) => ({
    kind,
    value,
    epoch,
    createdAt: at,
    until: at + 1000,
  })
  const tokenOf = (payload: JwtPayload, isLocal = true) => ({
    payload,
    principal: createPrincipal({ isLocal, issuer: payload.iss, subject: payload.sub }),
  })

  test('knows a token, a session, and a subject up to an epoch', () => {
    const list = createRevocationList({ now: () => at })
    for (const revocation of [entry('token', 'j'), entry('session', 's'), entry('subject', 'u', 3), entry('subject', 'u', 2)])
      list.add(revocation)
    const cases: readonly (readonly [payload: JwtPayload, isRevoked: boolean])[] = [
      [{}, false],
      [{ jti: 'j' }, true],
      [{ jti: 's', sid: 'j', sub: 'j' }, false],
      [{ sid: 's' }, true],
      [{ sub: 'u', epoch: 3 }, false],
      [{ sub: 'u', epoch: 4 }, false],
      [{ sub: 'u', epoch: 2 }, true],
      [{ sub: 'u' }, true],
      [{ sub: 'u', epoch: '4' }, true],
      [{ sub: 'u', epoch: null, iat: at / 1000 + 6 }, true],
      [{ sub: 'u', iat: at / 1000 + 5 }, true],
      [{ sub: 'u', iat: at / 1000 + 6 }, false],
      [{ sub: 'u', epoch: 2, iat: at / 1000 + 6 }, true],
      [{ sub: 'other' }, false],
    ]
    for (const [payload] of cases) expect([payload, list.isRevoked(tokenOf(payload, false))]).toEqual([payload, false])
    for (const [payload, isRevoked] of cases) expect([payload, list.isRevoked(tokenOf(payload))]).toEqual([payload, isRevoked])
  })

  test('forgets in time, and where it is full rejects all that was issued up to then', () => {
    let now = at
    const list = createRevocationList({ entriesMax: 2, now: () => now })
    list.add(entry('token', 'a'))
    list.add(entry('token', 'b'))
    now += 1000
    list.add({ ...entry('token', 'c'), until: now + 1000 })
    expect([list.size, list.isRevoked(tokenOf({ jti: 'a', iat: at / 1000 }))]).toEqual([1, false])
    for (const jti of ['d', 'e']) list.add({ ...entry('token', jti), until: now + 1000 })
    const iat = now / 1000
    for (const payload of [{ jti: 'c', iat }, { jti: 'x', iat }, { jti: 'x' }])
      expect(list.isRevoked(tokenOf(payload))).toBe(true)
    // A token may have been issued by a clock that is ahead, by as much as is accepted.
    expect(list.isRevoked(tokenOf({ jti: 'x', iat: iat + 5 }))).toBe(true)
    expect(list.isRevoked(tokenOf({ jti: 'x', iat: iat + 6 }))).toBe(false)
    expect(list.isRevoked(tokenOf({ jti: 'e', iat: iat + 6 }))).toBe(true)
    expect(list.isRevoked(tokenOf({ iss: 'https://there.example', jti: 'e' }, false))).toBe(false)
  })
})

describe('the list of what is revoked, about its bounds', () => {
  const at = 1_800_000_000_000
  const revoked = (value: string, until = at + 1000) => ({ kind: 'token' as const, value, epoch: 0, createdAt: at, until })
  const own = (payload: JwtPayload) => ({
    payload,
    principal: createPrincipal({ isLocal: true, issuer: undefined, subject: payload.sub }),
  })

  test('makes room by what is over, and forgets nothing that is not', () => {
    let now = at
    const list = createRevocationList({ entriesMax: 3, now: () => now })
    for (const [value, until] of [
      ['a', at + 1000],
      ['b', at + 5000],
      ['c', at + 5000],
    ] as const)
      list.add(revoked(value, until))
    now = at + 1000
    list.add(revoked('d', at + 5000))
    expect(list.size).toBe(3)
    expect(['a', 'b', 'c', 'd', 'e'].map((jti) => list.isRevoked(own({ jti, iat: 0 })))).toEqual([false, true, true, true, false])
  })

  test('keeps what is over while there is room, until it is asked to forget, and forgets at the millisecond', () => {
    let now = at
    const list = createRevocationList({ now: () => now })
    list.add(revoked('a'))
    now = at + 999
    list.prune()
    expect([list.size, list.isRevoked(own({ jti: 'a' }))]).toEqual([1, true])
    now = at + 1000
    expect(list.isRevoked(own({ jti: 'a' }))).toBe(true)
    list.prune()
    expect([list.size, list.isRevoked(own({ jti: 'a' }))]).toEqual([0, false])
  })

  test('renews what it knows without a place of its own', () => {
    let now = at
    const list = createRevocationList({ entriesMax: 1, now: () => now })
    list.add(revoked('a', at + 9000))
    list.add(revoked('a', at + 1000))
    expect([list.size, list.isRevoked(own({ jti: 'x', iat: 0 }))]).toEqual([1, false])
    now = at + 1000
    list.prune()
    expect(list.isRevoked(own({ jti: 'a' }))).toBe(true)
  })

  test('takes the later of two revocations of one subject, in whichever order they come', () => {
    const subject = (epoch: number, createdAt: number) => ({ ...revoked('u'), kind: 'subject' as const, epoch, createdAt })
    for (const pair of [
      [subject(3, at), subject(2, at + 60_000)],
      [subject(2, at + 60_000), subject(3, at)],
    ]) {
      const list = createRevocationList({ now: () => at })
      for (const revocation of pair) list.add(revocation)
      expect([2, 3].map((epoch) => list.isRevoked(own({ sub: 'u', epoch })))).toEqual([true, false])
      expect([65, 66].map((late) => list.isRevoked(own({ sub: 'u', iat: at / 1000 + late })))).toEqual([true, false])
    }
  })

  test('counts clocks that are ahead by what is set, and holds 100 000', () => {
    const list = createRevocationList({ leewaySeconds: 60, now: () => at })
    list.add({ ...revoked('u'), kind: 'subject' })
    expect([60, 61].map((late) => list.isRevoked(own({ sub: 'u', iat: at / 1000 + late })))).toEqual([true, false])
    for (let number = 1; number < 100_000; number += 1) list.add(revoked(`j${number}`))
    expect([list.size, list.isRevoked(own({ jti: 'x', iat: 0 }))]).toEqual([100_000, false])
    list.add(revoked('one more'))
    expect([
      list.size,
      list.isRevoked(own({ jti: 'x', iat: 0 })),
      list.isRevoked(own({ jti: 'x', iat: at / 1000 + 61 })),
    ]).toEqual([1, true, false])
  })

  test('that is empty revokes nothing', () => {
    const list = createRevocationList()
    expect([{}, { jti: 'a' }, { sid: 'a' }, { sub: 'a' }].map((payload) => list.isRevoked(own(payload)))).toEqual(
      Array(4).fill(false),
    )
  })
})

describe('the throttle', () => {
  test('takes a whole /64 for one customer', () => {
    const cases = {
      '192.0.2.1': '192.0.2.1',
      '::ffff:192.0.2.1': '192.0.2.1',
      '2001:DB8::1': '2001:db8:0:0::/64',
      '2001:db8:0:0:1:2:3:4': '2001:db8:0:0::/64',
      '2001:0db8:00aa:000b::9': '2001:db8:aa:b::/64',
      'fe80::1%eth0': 'fe80:0:0:0::/64',
      '::1': '0:0:0:0::/64',
      '1::4:5:6:7:8': '1:0:0:4::/64',
      '::3:4:5:6:7:8': '0:0:3:4::/64',
      '1:2:3:4::': '1:2:3:4::/64',
      '::': '0:0:0:0::/64',
      unknown: 'unknown',
    }
    for (const [address, subnet] of Object.entries(cases)) expect([address, subnetOf(address)]).toEqual([address, subnet])
  })
})

test('what stands in for an address is none', () => {
  expect(['192.0.2.1', '::1', 'fe80::1%eth0', '::ffff:192.0.2.1', 'unknown', ''].map(isAddress)).toEqual([
    true,
    true,
    true,
    true,
    false,
    false,
  ])
})

describe('the address of a client', () => {
  const from = (trusted: readonly string[], peer: string | undefined, forwarded?: string) => {
    const headers: Record<string, string> = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
    return createOriginReader(trusted)(new Request('http://localhost/', { headers }), peer).address
  }

  test('is the connection’s, whatever a stranger says of it', () => {
    expect(from([], '192.0.2.9', '203.0.113.1')).toBe('192.0.2.9')
    expect(from(['10.0.0.1'], '192.0.2.9', '203.0.113.1')).toBe('192.0.2.9')
    expect(from([], '::ffff:192.0.2.9')).toBe('192.0.2.9')
    expect(from([], undefined, '203.0.113.1')).toBe('unknown')
  })

  test('is what a trusted proxy saw, read from the end', () => {
    expect(from(['10.0.0.1'], '::ffff:10.0.0.1', '203.0.113.1')).toBe('203.0.113.1')
    expect(from(['10.0.0.1', '10.0.0.2'], '10.0.0.1', '1.1.1.1, 203.0.113.1, 10.0.0.2')).toBe('203.0.113.1')
    expect(from(['10.0.0.1'], '10.0.0.1', 'nonsense')).toBe('10.0.0.1')
    expect(from(['10.0.0.1'], '10.0.0.1', '203.0.113.1, nonsense')).toBe('10.0.0.1')
    expect(from(['10.0.0.1'], '10.0.0.1')).toBe('10.0.0.1')
  })

  test('is what a proxy in a trusted block saw, and no other', () => {
    const blocks = ['10.1.0.0/16', 'fd00:1::/32', '192.0.2.7']
    for (const peer of ['10.1.0.0', '10.1.255.255', '::ffff:10.1.2.3', 'fd00:1:ffff::9', 'FD00:1::1', '192.0.2.7'])
      expect([peer, from(blocks, peer, '1.1.1.1, 203.0.113.1, 10.1.9.9')]).toEqual([peer, '203.0.113.1'])
    for (const peer of ['10.2.0.0', '10.0.255.255', 'fd00:2::1', '::1', '192.0.2.8'])
      expect([peer, from(blocks, peer, '203.0.113.1')]).toEqual([peer, peer])
    expect(from(['0.0.0.0/0'], '198.51.100.1', '2001:db8::1')).toBe('2001:db8::1')
  })

  test('is IPv4 where it is written as IPv6, in blocks and in what they are asked for', () => {
    for (const block of [
      '10.1.0.0/16',
      '::ffff:10.1.0.0/112',
      '::ffff:a01:0/112',
      '::FFFF:10.1.0.0/112',
      '0:0:0:0:0:ffff:10.1.0.0/112',
    ]) {
      const isIn = createAddressBlocks([block])
      for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '::ffff:a01:203', '0:0:0:0:0:FFFF:a01:203'])
        expect([block, address, isIn(address)]).toEqual([block, address, true])
      for (const address of ['10.2.2.3', '::ffff:10.2.2.3', '::a01:203', '::10.1.2.3', '64:ff9b::10.1.2.3', '::ffff:0:a01:203'])
        expect([block, address, isIn(address)]).toEqual([block, address, false])
    }
    expect(createAddressBlocks(['::ffff:0:0/96'])('203.0.113.9')).toBe(true)
    expect(createAddressBlocks(['64:ff9b::10.0.0.0/104'])('64:ff9b::10.9.9.9')).toBe(true)
    expect(from(['::ffff:10.1.0.0/112'], '10.1.2.3', '203.0.113.1')).toBe('203.0.113.1')
    expect(from(['::ffff:10.1.0.0/112'], '10.2.2.3', '203.0.113.1')).toBe('10.2.2.3')
    for (const text of [
      '::ffff:10.1.0.256',
      '::ffff:10.1.0',
      '::ffff:1.2.3.4.5',
      '10.1.2.3:',
      ':10.1.2.3',
      '::ffff:10.1.2.3/129',
    ])
      expect([text, parseAddressBlock(text)]).toEqual([text, undefined])
  })

  test('is trusted by an address or a block, and by no other text', () => {
    for (const text of ['10.0.0.1', '10.0.0.0/8', '0.0.0.0/0', '::1', 'fd00::/8', '::/0', '::1/128'])
      expect([text, proxy()(text)]).toEqual([text, text])
    for (const text of [
      '',
      'proxy',
      '10.0.0/8',
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0.0/-1',
      '::/129',
      '10.0.0.256',
      'fe80::1%eth0',
    ])
      expect(() => proxy()(text)).toThrow('must be an address, a block of them')
  })
})

test('a line of the audit log is one line, whatever a name holds', () => {
  const line = auditLine(
    {
      event: 'sign-in-refused',
      name: `a\n{"event":"sign-in"}${'x'.repeat(100)}`,
      origin: { address: '::1', userAgent: 'a\r\nb' },
    },
    0,
  )
  expect(line.split('\n')).toHaveLength(1)
  expect(JSON.parse(line)).toEqual({
    time: '1970-01-01T00:00:00.000Z',
    event: 'sign-in-refused',
    name: `a\n{"event":"sign-in"}${'x'.repeat(43)}`,
    address: '::1',
    userAgent: 'a\r\nb',
  })
})
