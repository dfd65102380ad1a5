import { describe, expect, test } from 'bun:test'
import { challengeHeaders, challengeOf, scopeOf, withChallenge } from '../../../src/auth/challenge.ts'
import { VestalError } from '../../../src/core/errors.ts'

const HOLDER = { names: { issuer: undefined, subject: 'me' } }

describe('a challenge', () => {
  test('has the scheme of the header, or Bearer where the header is the token alone', () => {
    expect(challengeOf('models', 'Bearer')).toBe('Bearer realm="models"')
    expect(challengeOf('models', 'Token')).toBe('Token realm="models"')
    expect(challengeOf('', '')).toBe('Bearer realm=""')
  })

  test('has a realm that can stand between quotes', () => {
    expect(challengeOf(' !#[]~', 'Bearer')).toBe('Bearer realm=" !#[]~"')
    for (const realm of ['a"b', 'a\\b', 'a\nb', 'é', '\u007f']) expect(() => challengeOf(realm, 'Bearer')).toThrow('"realm"')
  })

  test('says what is wrong, and describes it only to the holder of a token', () => {
    const said = (error: VestalError) => {
      const { detail, headers, code, message, holder } = withChallenge(error, 'Bearer')
      return { code, detail, header: headers['www-authenticate'], message, holder }
    }
    const plain = new VestalError('TOKEN_EXPIRED')
    expect(said(new VestalError('TOKEN_EXPIRED', { reason: 'too late', holder: HOLDER }))).toEqual({
      code: 'TOKEN_EXPIRED',
      detail: 'The access token expired',
      header: 'Bearer, error="invalid_token", error_description="The access token expired"',
      message: 'too late',
      holder: HOLDER,
    })
    const timed = { ...HOLDER, expiresAtSeconds: 2 }
    expect(said(new VestalError('TOKEN_EXPIRED', { holder: timed }))).toMatchObject({
      detail: 'The access token expired at 1970-01-01T00:00:02Z',
      header: 'Bearer, error="invalid_token", error_description="The access token expired"',
    })
    expect(said(plain)).toMatchObject({ detail: plain.detail, header: 'Bearer, error="invalid_token"' })
    const signature = new VestalError('SIGNATURE_INVALID', { holder: HOLDER })
    expect(said(signature)).toMatchObject({ detail: signature.detail, header: 'Bearer, error="invalid_token"' })
    expect(said(new VestalError('AUTHORIZATION_MALFORMED'))).toMatchObject({ header: 'Bearer, error="invalid_request"' })
    expect(said(new VestalError('TOKEN_MISSING', { reason: 'none' }))).toMatchObject({ header: 'Bearer', message: 'none' })
    const key = new VestalError('API_KEY_REFUSED', { detail: 'The API key expired' })
    const unknown = new VestalError('API_KEY_REFUSED', { reason: 'there is no such key' })
    expect(said(key)).toMatchObject({ header: 'Bearer, error="invalid_token", error_description="The API key expired"' })
    expect(said(unknown)).toMatchObject({ detail: 'Unauthorized', header: 'Bearer, error="invalid_token"' })
  })

  test('is left out of what is neither 400 nor 401, and the rest of that stays', () => {
    const error = new VestalError('KEYS_UNAVAILABLE', { reason: 'later', headers: { 'retry-after': '7' } })
    const { headers, message, detail } = withChallenge(error, 'Bearer')
    expect([headers, message, detail]).toEqual([{ 'retry-after': '7' }, 'later', error.detail])
  })

  test('is one object for one text, so that what is made of it can be kept; of any number of texts only some are', () => {
    expect(challengeHeaders('Bearer realm="same"')).toBe(challengeHeaders('Bearer realm="same"'))
    expect(Object.isFrozen(challengeHeaders('Bearer realm="same"'))).toBe(true)
    const many = Array.from({ length: 200 }, (_, index) => `Bearer realm="${index}"`)
    const first = many.map(challengeHeaders)
    expect(first.map((headers) => headers['www-authenticate'])).toEqual(many)
    expect(first.filter((headers, index) => challengeHeaders(many[index] ?? '') === headers).length).toBeLessThan(65)
  })

  test('names the scope where every permission can be written in one', () => {
    expect(scopeOf(['model:iris:predict', 'metrics:read'])).toBe(', scope="model:iris:predict metrics:read"')
    for (const permission of ['a b', 'a"b', 'a\\b', 'é', '']) expect(scopeOf(['a', permission])).toBe('')
  })
})
