import { describe, expect, test } from 'bun:test'
import { VestalError } from '../../../src/core/errors.ts'
import { type CompactOptions, checkHeader, mediaType, readHeader, splitCompact } from '../../../src/jose/compact.ts'
import { checkJwsHeader } from '../../../src/jose/jws.ts'

/** The code and the reason of a rejection; the reason is for logs, and the same code may have several. */
function outcome(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    if (error instanceof VestalError) return `${error.code}: ${error.message}`
    throw error
  }
}
const encoded = (text: string) => Buffer.from(text).toString('base64url')

describe('a compact token', () => {
  const parts = { text: 'aGVhZA.cGF5.c2lnbg', header: 'aGVhZA', payload: 'cGF5', signature: 'c2lnbg' }
  const few = 'TOKEN_MALFORMED: the token has fewer than three parts'
  const many = 'TOKEN_MALFORMED: the token has more than three parts'
  const uncanonical = 'TOKEN_MALFORMED: a part of the token is not canonical base64url'

  test('is taken apart, with empty parts where they may be', () => {
    expect(splitCompact(parts.text, {})).toEqual(parts)
    expect(splitCompact('aGVhZA..', {})).toEqual({ text: 'aGVhZA..', header: 'aGVhZA', payload: '', signature: '' })
    expect(splitCompact(parts.text, { interop: 'flama' })).toEqual(parts)
    const padded = 'aGVhZA==.cGF5.c2lnbg=='
    const read = { text: padded, header: 'aGVhZA==', payload: 'cGF5', signature: 'c2lnbg==' }
    expect(splitCompact(padded, { interop: 'flama' })).toEqual(read)
    expect(outcome(() => splitCompact(padded, {}))).toBe(uncanonical)
  })

  const cases: readonly (readonly [token: unknown, expected: string, flama?: string])[] = [
    [undefined, 'TOKEN_MALFORMED: the token is not a string'],
    [7, 'TOKEN_MALFORMED: the token is not a string'],
    ...['', 'a', 'a.b', '.', '..', '.YQ.YQ', '.YQ'].map((token) => [token, few] as const),
    ...['YQ.YQ.YQ.YQ', 'YQ.YQ.YQ.YQ.YQ.YQ', 'YQ....YQ.', 'Y Q.YQ.YQ.YQ.YQ', '!.YQ.YQ.YQ.YQ'].map(
      (token) => [token, many] as const,
    ),
    ...['YQ.YQ.YQ.YQ.YQ', 'YQ....'].map((token) => [token, 'TOKEN_ENCRYPTED: the token is encrypted'] as const),
    ...[
      'YR.YQ.YQ',
      'YQ.YR.YQ',
      'YQ.YQ.YR',
      'Y.YQ.YQ',
      'YQ.Y.YQ',
      'YQ.YQ.Y',
      'Y+.YQ.YQ',
      'YQ. YQ.YQ',
      'YQ.YQ.YQ\n',
      'YQ.é.YQ',
    ].map((token) => [token, uncanonical] as const),
    ['YQ=.YQ.YQ', uncanonical],
    ['YQ.YQ=.YQ', uncanonical],
    ['YQ.YQ.YQ===', uncanonical],
  ]
  for (const interop of [undefined, 'flama'] as const) {
    test(`is rejected with the reason${interop === undefined ? '' : ', with interop flama too'}`, () => {
      const options: CompactOptions = interop === undefined ? {} : { interop }
      for (const [token, expected] of cases)
        expect([token, outcome(() => splitCompact(token, options))]).toEqual([token, expected])
    })
  }

  test('has at most so many characters', () => {
    const token = `YQ.YQ.${'A'.repeat(8186)}`
    expect([token.length, outcome(() => splitCompact(`${token}AA`, {}))]).toEqual([8192, 'TOKEN_TOO_LONG: too long'])
    expect(splitCompact(token.slice(0, -2), {}).signature).toHaveLength(8184)
    expect(splitCompact(token, { tokenBytesMax: 8192 }).text).toBe(token)
    expect(outcome(() => splitCompact(token, { tokenBytesMax: 8191 }))).toBe('TOKEN_TOO_LONG: too long')
  })
})

describe('a header', () => {
  const good = { alg: 'HS256' }
  const unsigned = 'ALGORITHM_REFUSED: the header\'s "alg" is not a signature algorithm'

  test('is a JSON object with a signature algorithm', () => {
    expect(readHeader(encoded('{"alg":"HS256","x":1}'))).toEqual({ alg: 'HS256', x: 1 } as never)
    for (const [text, rule] of [
      ['', 'not JSON'],
      ['1', 'not a JSON object'],
      ['[]', 'not a JSON object'],
      ['{"alg":"HS256","alg":"HS256"}', 'a member is there twice'],
    ] as const)
      expect([text, outcome(() => readHeader(encoded(text)))]).toEqual([text, `TOKEN_MALFORMED: the header is ${rule}`])
    for (const check of [checkHeader, checkJwsHeader]) {
      for (const alg of [undefined, null, 'none', ['HS256'], 7, 'constructor'])
        expect([alg, outcome(() => check({ ...good, alg }))]).toEqual([alg, unsigned])
    }
  })

  test('has no parameter that chooses keys or rules; a bare JWS ignores those that choose keys', () => {
    for (const name of ['crit', 'b64', 'zip', 'enc', 'jwk', 'jku', 'x5u', 'x5c'])
      expect(outcome(() => checkHeader({ ...good, [name]: null }))).toBe(`HEADER_PARAMETER_REFUSED: the header has "${name}"`)
    for (const name of ['crit', 'b64', 'zip', 'enc'])
      expect(outcome(() => checkJwsHeader({ ...good, [name]: null }))).toBe(`HEADER_PARAMETER_REFUSED: the header has "${name}"`)
    const ignored = { ...good, jwk: {}, x5c: [], jku: 'x', x5u: 'x', kid: 'a', typ: 'b', cty: 'JWT', x5t: 'c' }
    expect(checkJwsHeader(ignored)).toEqual(ignored as never)
  })

  test('has texts for names and types', () => {
    for (const name of ['kid', 'typ'])
      for (const value of [7, null, ['a']])
        expect(outcome(() => checkHeader({ ...good, [name]: value }))).toBe(
          `TOKEN_MALFORMED: the header's "${name}" is not a string`,
        )
    for (const name of ['kid', 'typ', 'cty', 'jku', 'x5u', 'x5t', 'x5t#S256'])
      for (const value of [7, null, ['a']])
        expect(outcome(() => checkJwsHeader({ ...good, [name]: value }))).toBe(
          `TOKEN_MALFORMED: the header's "${name}" is not a string`,
        )
    const nestedToken = 'HEADER_PARAMETER_REFUSED: the token holds another token ("cty")'
    for (const cty of [7, null, 'JWT', 'application/jwt', 'Application/JWT'])
      expect(outcome(() => checkHeader({ ...good, cty }))).toBe(nestedToken)
    for (const cty of ['', 'json', 'text/jwt']) expect(checkHeader({ ...good, cty })).toEqual({ ...good, cty } as never)
  })

  test('has media types that are compared whole', () => {
    expect(['JWT', 'at+JWT', 'application/JWT', 'text/Plain', ''].map(mediaType)).toEqual([
      'application/jwt',
      'application/at+jwt',
      'application/jwt',
      'text/plain',
      'application/',
    ])
  })
})
