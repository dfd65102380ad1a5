import { describe, expect, test } from 'bun:test'
import { VestalError } from '../../../src/core/errors.ts'
import { type ClaimRules, checkClaims, holderOf } from '../../../src/jose/claims.ts'

const NOW = 1_800_000_000
const EXP = { exp: NOW + 60 }

function outcome(claims: Readonly<Record<string, unknown>>, rules: ClaimRules = {}, now = NOW): string {
  try {
    checkClaims(claims, rules, now)
    return 'accepted'
  } catch (error) {
    return error instanceof VestalError ? error.code : String(error)
  }
}

describe('exp', () => {
  test('must be there, unless another list says what must (C1)', () => {
    expect(outcome({})).toBe('CLAIM_MISSING')
    expect(outcome({}, { requiredClaims: [] })).toBe('accepted')
    expect(outcome(EXP, { requiredClaims: ['exp', 'sub'] })).toBe('CLAIM_MISSING')
    expect(outcome(EXP, { requiredClaims: ['toString'] })).toBe('CLAIM_MISSING')
  })

  for (const exp of [null, '', '9999999999', true, [], {}, -1, Number.POSITIVE_INFINITY, Number.NaN, 1e18, 253_402_300_800]) {
    test(`is rejected as ${String(JSON.stringify(exp))} (C1, C2)`, () => {
      expect(outcome({ exp })).toBeOneOf(['CLAIM_INVALID', 'TOKEN_EXPIRED'])
    })
  }

  test('may be as late as the last second of the year 9999', () => {
    expect(outcome({ exp: 253_402_300_799 })).toBe('accepted')
  })

  test('ends a token at that second, and not before, with the leeway (C3)', () => {
    expect(outcome({ exp: NOW }, { leewaySeconds: 0 })).toBe('TOKEN_EXPIRED')
    expect(outcome({ exp: NOW + 1 }, { leewaySeconds: 0 })).toBe('accepted')
    expect(outcome({ exp: NOW + 0.5 }, { leewaySeconds: 0 })).toBe('accepted')
    expect(outcome({ exp: NOW - 5 })).toBe('TOKEN_EXPIRED')
    expect(outcome({ exp: NOW - 4 })).toBe('accepted')
    expect(outcome({ exp: 0 })).toBe('TOKEN_EXPIRED')
  })

  test('may be only so long after iat, where a lifetime is set (C4)', () => {
    const rules = { lifetimeSecondsMax: 100 }
    expect(outcome({ exp: NOW + 60, iat: NOW - 40 }, rules)).toBe('accepted')
    expect(outcome({ exp: NOW + 61, iat: NOW - 40 }, rules)).toBe('TOKEN_LIFETIME_TOO_LONG')
    expect(outcome({ exp: NOW + 60 }, rules)).toBe('CLAIM_MISSING')
    expect(outcome({ iat: NOW }, { ...rules, requiredClaims: [] })).toBe('CLAIM_MISSING')
  })
})

describe('the times together', () => {
  test('must not end before they begin (C4)', () => {
    expect(outcome({ exp: NOW + 60, iat: NOW, nbf: NOW })).toBe('accepted')
    expect(outcome({ exp: NOW + 3, iat: NOW + 3, nbf: NOW + 3 })).toBe('accepted')
    expect(outcome({ exp: NOW + 2, iat: NOW + 3 })).toBe('CLAIM_INVALID')
    expect(outcome({ exp: NOW + 2, nbf: NOW + 3 })).toBe('CLAIM_INVALID')
  })
})

describe('nbf and iat', () => {
  test('in the future are rejected, beyond the leeway (C5, C6)', () => {
    expect(outcome({ ...EXP, nbf: NOW + 5 })).toBe('accepted')
    expect(outcome({ ...EXP, nbf: NOW + 6 })).toBe('TOKEN_NOT_YET_VALID')
    expect(outcome({ ...EXP, iat: NOW + 5 })).toBe('accepted')
    expect(outcome({ ...EXP, iat: NOW + 6 })).toBe('TOKEN_ISSUED_IN_FUTURE')
  })

  test('may be as early as 1970', () => {
    expect(outcome({ ...EXP, nbf: 0, iat: 0 })).toBe('accepted')
  })

  for (const value of [null, '1', true, [], -1, Number.NaN]) {
    test(`are rejected as ${String(JSON.stringify(value))}`, () => {
      expect(outcome({ ...EXP, nbf: value })).toBe('CLAIM_INVALID')
      expect(outcome({ ...EXP, iat: value })).toBe('CLAIM_INVALID')
    })
  }
})

describe('iss', () => {
  test('must be one of the issuers, to the letter (C7)', () => {
    const rules = { issuers: ['https://issuer.example', 'other'] }
    expect(outcome({ ...EXP, iss: 'https://issuer.example' }, rules)).toBe('accepted')
    expect(outcome({ ...EXP, iss: 'other' }, rules)).toBe('accepted')
    for (const iss of [
      'https://issuer.example/',
      'HTTPS://issuer.example',
      'https://issuer.exampl',
      'https://issuer.example.evil',
      'іssuer',
    ]) {
      expect(outcome({ ...EXP, iss }, rules)).toBe('ISSUER_REFUSED')
    }
    expect(outcome(EXP, rules)).toBe('ISSUER_REFUSED')
    for (const iss of ['', 7, ['other'], null]) expect(outcome({ ...EXP, iss }, rules)).toBe('CLAIM_INVALID')
  })

  test('may be anyone where no issuer is named', () => {
    expect(outcome({ ...EXP, iss: 'anyone' })).toBe('accepted')
    expect(outcome({ ...EXP, iss: 7 })).toBe('CLAIM_INVALID')
  })
})

describe('aud', () => {
  test('must name one of the audiences (C8)', () => {
    const rules = { audiences: ['me', 'us'] }
    for (const aud of ['me', 'us', ['me'], ['other', 'us']]) expect(outcome({ ...EXP, aud }, rules)).toBe('accepted')
    for (const aud of ['other', 'm', 'mee', 'ME', ['other']]) expect(outcome({ ...EXP, aud }, rules)).toBe('AUDIENCE_REFUSED')
    expect(outcome(EXP, rules)).toBe('AUDIENCE_REFUSED')
    for (const aud of [[], '', 7, {}, null, [5], ['me', 5], [['me']], ['']])
      expect(outcome({ ...EXP, aud }, rules)).toBe('CLAIM_INVALID')
  })

  test('is rejected where no audience is configured: the token is for another party', () => {
    expect(outcome({ ...EXP, aud: 'me' })).toBe('AUDIENCE_REFUSED')
  })
})

describe('sub and jti', () => {
  test('are texts where they are there (C9, C10)', () => {
    for (const name of ['sub', 'jti']) {
      expect(outcome({ ...EXP, [name]: 'x' })).toBe('accepted')
      for (const value of [7, '', null, {}, ['x']]) expect(outcome({ ...EXP, [name]: value })).toBe('CLAIM_INVALID')
    }
  })
})

describe('texts in claims', () => {
  for (const name of ['iss', 'sub', 'jti']) {
    test(`${name} has at most 255 characters and no control character (C9)`, () => {
      expect(outcome({ ...EXP, [name]: 'x'.repeat(255) })).toBe('accepted')
      expect(outcome({ ...EXP, [name]: 'Zoë <zoe@example.org>' })).toBe('accepted')
      for (const value of ['x'.repeat(256), 'a\nb', 'a\u0000', '\u007f', '\u0085', '\t'])
        expect(outcome({ ...EXP, [name]: value })).toBe('CLAIM_INVALID')
    })
  }
})

describe('claims that must be there', () => {
  test('may have to have a value', () => {
    const rules = { requiredValues: { token_use: 'access' } }
    expect(outcome({ ...EXP, token_use: 'access' }, rules)).toBe('accepted')
    for (const claims of [{}, { token_use: 'id' }, { token_use: ['access'] }, { token_use: null }, { TOKEN_USE: 'access' }])
      expect(outcome({ ...EXP, ...claims }, rules)).toBe('CLAIM_INVALID')
    expect(outcome(EXP, { requiredValues: { constructor: 'x' } })).toBe('CLAIM_INVALID')
  })

  test('are not found on a prototype', () => {
    for (const name of ['constructor', '__proto__', 'hasOwnProperty'])
      expect(outcome(EXP, { requiredClaims: ['exp', name] })).toBe('CLAIM_MISSING')
  })
})

describe('an audience in another claim', () => {
  const rules = { audiences: ['me'], audienceClaim: 'client_id' }

  test('is asked for there, and an aud beside it must be right too', () => {
    expect(outcome({ ...EXP, client_id: 'me' }, rules)).toBe('accepted')
    expect(outcome({ ...EXP, client_id: 'me', aud: ['me', 'you'] }, rules)).toBe('accepted')
    expect(outcome({ ...EXP, client_id: 'me', aud: 'you' }, rules)).toBe('AUDIENCE_REFUSED')
    expect(outcome({ ...EXP, client_id: 'you', aud: 'me' }, rules)).toBe('AUDIENCE_REFUSED')
    expect(outcome({ ...EXP, aud: 'me' }, rules)).toBe('AUDIENCE_REFUSED')
    expect(outcome({ ...EXP, client_id: 7 }, rules)).toBe('CLAIM_INVALID')
    expect(outcome(EXP, { audiences: ['me'], audienceClaim: 'constructor' })).toBe('AUDIENCE_REFUSED')
  })
})

test('the holder of a payload is named as far as a log may hold the names', () => {
  const long = 'x'.repeat(256)
  expect(holderOf({ iss: 'i', sub: 's', jti: 'j' })).toEqual({ names: { issuer: 'i', subject: 's' }, tokenId: 'j' })
  expect(holderOf({ iss: null, sub: null, jti: null })).toEqual({ names: { issuer: undefined, subject: undefined } })
  expect(holderOf({ sub: 's' })).toEqual({ names: { issuer: undefined, subject: 's' } })
  expect(holderOf({ iss: 'i' })).toEqual({ names: { issuer: 'i', subject: undefined } })
  for (const wrong of [7, '', long, 'a\nb', {}]) {
    expect(holderOf({ iss: wrong, sub: 's', jti: 'j' })).toEqual({ tokenId: 'j' })
    expect(holderOf({ iss: 'i', sub: wrong, jti: 'j' })).toEqual({ tokenId: 'j' })
    expect(holderOf({ iss: 'i', sub: 's', jti: wrong })).toEqual({ names: { issuer: 'i', subject: 's' } })
  }
})

test('interop flama takes null for absent and asks for no exp', () => {
  const rules: ClaimRules = { interop: 'flama' }
  expect(outcome({ exp: null, nbf: null, iat: null, iss: null, sub: null, aud: null, jti: null }, rules)).toBe('accepted')
  expect(outcome({}, rules)).toBe('accepted')
  expect(outcome({ exp: null }, { ...rules, requiredClaims: ['exp'] })).toBe('CLAIM_MISSING')
  expect(outcome({ exp: '1' }, rules)).toBe('CLAIM_INVALID')
})
