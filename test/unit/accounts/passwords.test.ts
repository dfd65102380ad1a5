import { describe, expect, test } from 'bun:test'
import { commonPasswords, createPasswords, passwordFault } from '../../../src/accounts/passwords.ts'
import { VestalError } from '../../../src/core/errors.ts'

describe('a new password', () => {
  test('has eight characters at least, as people count them, and 1024 bytes at most', () => {
    for (const short of ['', 'seven77', '👩‍👩‍👧‍👦'.repeat(7), 'é'.repeat(7)])
      expect([short, passwordFault(short)]).toEqual([short, expect.stringContaining('at least 8')])
    for (const fine of [
      'eight888 x',
      '👩‍👩‍👧‍👦👩‍👩‍👧‍👦 six more',
      'x y'.repeat(341),
      '        ',
      'é'.repeat(512),
      '👩‍👩‍👧‍👦'.repeat(8),
    ])
      expect([fine, passwordFault(fine)]).toEqual([fine, undefined])
    for (const long of ['xy'.repeat(513), `${'é'.repeat(512)}a`]) expect(passwordFault(long)).toContain('at most 1024 bytes')
  })

  test('is none of those that attackers try first, whatever its capitals', () => {
    expect(commonPasswords().length).toBeGreaterThan(3000)
    expect(new Set(commonPasswords()).size).toBe(commonPasswords().length)
    for (const password of ['password', '12345678', 'PassWord', 'iloveyou', 'football', ...commonPasswords().slice(0, 3000)])
      expect([password, passwordFault(password)]).toEqual([password, expect.stringContaining('attackers')])
  })

  test('is not the name of its account, and is well-formed', () => {
    expect(passwordFault('Ada@Example.com', 'ada@example.com')).toContain('name of the account')
    expect(passwordFault('four words \ud800 half')).toContain('well-formed')
  })
})

describe('hashing', () => {
  const cheap = { memoryKiB: 64, passes: 1 }

  test('is argon2id with OWASP’s parameters unless others are given', async () => {
    const hash = await createPasswords().hash('four words and a half')
    expect(hash).toStartWith('$argon2id$v=19$m=19456,t=2,p=1$')
  })

  test('checks what was sent exactly: not trimmed, not cut, not normalised', async () => {
    const passwords = createPasswords(cheap)
    for (const password of ['  spaces  ', 'x'.repeat(1024), 'caf\u00e9 caf\u00e9', 'a\u0000b']) {
      const hash = await passwords.hash(password)
      expect(await passwords.verify(password, hash)).toBe(true)
      for (const other of [
        password.trim(),
        password.slice(0, 72),
        password.normalize('NFD'),
        `${password}x`,
        password.toUpperCase(),
      ])
        if (other !== password) expect([other, await passwords.verify(other, hash)]).toEqual([other, false])
    }
  })

  test('takes one hash for an account that is not there too, and never says yes', async () => {
    const passwords = createPasswords(cheap)
    for (const hash of [undefined, null]) expect(await passwords.verify('', hash)).toBe(false)
    expect(passwords.count).toBe(2)
  })

  test('finds hashes that are weaker than today’s', async () => {
    const weak = await createPasswords(cheap).hash('four words and a half')
    expect(createPasswords(cheap).isWeak(weak)).toBe(false)
    expect(createPasswords({ memoryKiB: 128, passes: 1 }).isWeak(weak)).toBe(true)
    expect(createPasswords({ memoryKiB: 32, passes: 1 }).isWeak(weak)).toBe(false)
    expect(createPasswords(cheap).isWeak('$2b$10$abc')).toBe(true)
  })

  test('runs so many at once, lets so many wait, and rejects one more', async () => {
    const passwords = createPasswords({ ...cheap, atOnceMax: 1, waitingMax: 2 })
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => passwords.hash('four words and a half')))
    const refused = results.filter((result) => result.status === 'rejected')
    expect([results.length - refused.length, refused.length]).toEqual([3, 2])
    for (const { reason } of refused) expect(reason).toBeInstanceOf(VestalError)
    expect(refused[0]?.reason).toMatchObject({ code: 'SIGN_IN_BUSY', headers: { 'retry-after': '2' } })
    expect(await passwords.verify('four words and a half', await passwords.hash('four words and a half'))).toBe(true)
  })

  test('runs two at once and lets 64 wait, unless it is told otherwise', async () => {
    const passwords = createPasswords(cheap)
    const results = await Promise.allSettled(Array.from({ length: 68 }, () => passwords.hash('four words and a half')))
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(2)
  })
})
