import { describe, expect, test } from 'bun:test'
import { type CredentialOptions, createCredentialReader } from '../../../src/auth/credentials.ts'
import { VestalError } from '../../../src/core/errors.ts'

type Sent = Readonly<Record<string, string>>

/** What the reader says of a request with these headers: token and place, nothing, or the code of its refusal. */
function read(headers: Sent, options: CredentialOptions = {}, method = 'GET') {
  const reader = createCredentialReader(options)
  const request = new Request('http://localhost/x', { method, headers })
  try {
    const header = reader.header(request)
    if (header !== null) return { token: reader.tokenOfHeader(header), from: 'header' }
    const token = reader.tokenOfCookie(request)
    return token === undefined ? undefined : { token, from: 'cookie' }
  } catch (error) {
    return error instanceof VestalError ? error.code : error
  }
}

describe('the header', () => {
  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) {
    test(`is accepted with the scheme ${scheme}`, () => {
      expect(read({ authorization: `${scheme} a.b.c` })).toEqual({ token: 'a.b.c', from: 'header' })
    })
  }

  test('may have several spaces before the token', () => {
    expect(read({ authorization: 'Bearer   a.b.c' })).toEqual({ token: 'a.b.c', from: 'header' })
  })

  const malformed = [
    'x',
    'a.b.c',
    'Bearer',
    'BearerX a.b.c',
    'Bearera.b.c',
    'Basic YTpi',
    'Bearer a b',
    'Bearer a,',
    'Bearer "a"',
    'Bearer\ta',
  ]
  for (const value of [...malformed, 'Bearer a.b.c, Bearer d.e.f', 'Bearer a.b.c, Basic YTpi', ', Bearer a', 'Bearer é', '']) {
    test(`"${value}" is malformed`, () => {
      expect(read({ authorization: value })).toBe('AUTHORIZATION_MALFORMED')
    })
  }

  test('sent twice is malformed', () => {
    const headers = new Headers([
      ['authorization', 'Bearer a.b.c'],
      ['authorization', 'Bearer a.b.c'],
    ])
    expect(read(Object.fromEntries(headers.entries()))).toBe('AUTHORIZATION_MALFORMED')
  })

  test('that is bad never falls back to a good cookie', () => {
    expect(read({ authorization: 'Foo x', cookie: 'access_token=a.b.c' })).toBe('AUTHORIZATION_MALFORMED')
  })

  test('wins over the cookie', () => {
    expect(read({ authorization: 'Bearer h', cookie: 'access_token=c' })).toEqual({ token: 'h', from: 'header' })
  })

  test('may have another name and another scheme', () => {
    const options = { headerKey: 'X-Api-Token', headerPrefix: 'Token.v1' }
    expect(read({ 'x-api-token': 'token.V1 a.b.c' }, options)).toEqual({ token: 'a.b.c', from: 'header' })
    expect(read({ 'x-api-token': 'tokenXv1 a.b.c' }, options)).toBe('AUTHORIZATION_MALFORMED')
    expect(read({ authorization: 'Bearer a.b.c' }, options)).toBeUndefined()
  })

  test('without a scheme is the token alone', () => {
    const options = { headerKey: 'X-Token', headerPrefix: '' }
    expect(read({ 'x-token': 'a.b.c' }, options)).toEqual({ token: 'a.b.c', from: 'header' })
    expect(read({ 'x-token': 'Bearer a.b.c' }, options)).toBe('AUTHORIZATION_MALFORMED')
  })
})

describe('the cookie', () => {
  test('is read where there is no header', () => {
    expect(read({ cookie: 'a=1; access_token=a.b.c; z=2' })).toEqual({ token: 'a.b.c', from: 'cookie' })
  })

  test('may have another name, and a name that ends alike is another cookie', () => {
    expect(read({ cookie: 'session=a.b.c' }, { cookieKey: 'session' })).toEqual({ token: 'a.b.c', from: 'cookie' })
    expect(read({ cookie: 'xaccess_token=a.b.c; access_tokenx=d' })).toBeUndefined()
  })

  test('that is empty, or has no value, is none', () => {
    expect(read({ cookie: 'access_token=' })).toBeUndefined()
    expect(read({ cookie: 'access_token' })).toBeUndefined()
  })

  test('may have the white space of HTTP around its name and its value, and no other', () => {
    expect(read({ cookie: 'a=1; \t access_token \t=\t  a.b.c \t; b=2' })).toEqual({ token: 'a.b.c', from: 'cookie' })
    expect(read({ cookie: 'access_token=a.b.c\u00a0' })).toEqual({ token: 'a.b.c\u00a0', from: 'cookie' })
    expect(read({ cookie: 'access_token=a=b=' })).toEqual({ token: 'a=b=', from: 'cookie' })
    for (const cookie of ['access_token=', 'access_token= ', 'access_token=\t \t; a=1', 'access_token', '=access_token'])
      expect([cookie, read({ cookie })]).toEqual([cookie, undefined])
    expect(read({ cookie: '=x; access_token=y' })).toEqual({ token: 'y', from: 'cookie' })
  })

  test('is not read where its name is empty', () => {
    expect(read({ cookie: 'access_token=a.b.c; =x' }, { cookieKey: '' })).toBeUndefined()
  })

  test('sent twice with different values is rejected, and with one value accepted', () => {
    expect(read({ cookie: 'access_token=a; access_token=b' })).toBe('COOKIE_AMBIGUOUS')
    expect(read({ cookie: 'access_token=; access_token=b' })).toBe('COOKIE_AMBIGUOUS')
    expect(read({ cookie: 'access_token=a; access_token=a' })).toEqual({ token: 'a', from: 'cookie' })
  })
})

describe('a cookie from another site', () => {
  const cookie = 'access_token=a.b.c'
  const sent = { token: 'a.b.c', from: 'cookie' }

  test('is rejected where the request changes something', () => {
    for (const site of ['cross-site', 'same-site', 'nonsense']) {
      expect(read({ cookie, 'sec-fetch-site': site }, {}, 'POST')).toBe('CROSS_SITE_REFUSED')
    }
    expect(read({ cookie, origin: 'https://evil.example', host: 'localhost' }, {}, 'DELETE')).toBe('CROSS_SITE_REFUSED')
    expect(read({ cookie, origin: 'null', host: 'localhost' }, {}, 'POST')).toBe('CROSS_SITE_REFUSED')
  })

  test('is rejected where a WebSocket is opened', () => {
    expect(read({ cookie, upgrade: 'websocket', origin: 'https://evil.example', host: 'localhost' })).toBe('CROSS_SITE_REFUSED')
  })

  test('is accepted on a plain read, which the other site cannot see', () => {
    expect(read({ cookie, 'sec-fetch-site': 'cross-site' })).toEqual(sent)
  })

  test('is what a browser that says nothing may have sent', () => {
    expect(read({ cookie }, {}, 'POST')).toBe('CROSS_SITE_REFUSED')
    expect(read({ cookie, upgrade: 'websocket' })).toBe('CROSS_SITE_REFUSED')
    expect(read({ cookie })).toEqual(sent)
  })

  test('is not a cookie from this site or from the address bar', () => {
    expect(read({ cookie, 'sec-fetch-site': 'same-origin' }, {}, 'POST')).toEqual(sent)
    expect(read({ cookie, 'sec-fetch-site': 'none' }, {}, 'POST')).toEqual(sent)
    expect(read({ cookie, origin: 'http://localhost:8000', host: 'localhost:8000' }, {}, 'POST')).toEqual(sent)
  })

  test('does not matter where the token is in the header', () => {
    expect(read({ authorization: 'Bearer a', 'sec-fetch-site': 'cross-site' }, {}, 'POST')).toEqual({
      token: 'a',
      from: 'header',
    })
  })
})

test('a token has one header that clients write for it, which is the one that came where that is so', () => {
  const reader = createCredentialReader()
  for (const header of [null, 'Bearer a.b.c', 'bearer a.b.c', 'Bearer   a.b.c', 'Basic  a.b.c'])
    expect([header, reader.canonical('a.b.c', header)]).toEqual([header, 'Bearer a.b.c'])
  const bare = createCredentialReader({ headerPrefix: '' })
  expect([bare.canonical('a.b.c', 'a.b.c'), bare.canonical('a.b.c', null)]).toEqual(['a.b.c', 'a.b.c'])
})

test('options that cannot work are rejected at the start', () => {
  expect(() => createCredentialReader({ headerKey: 'a b' })).toThrow('"headerKey"')
  expect(() => createCredentialReader({ headerPrefix: 'Bearer ' })).toThrow('"headerPrefix"')
  expect(() => createCredentialReader({ cookieKey: 'a;b' })).toThrow('"cookieKey"')
})
