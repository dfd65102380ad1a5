import type { VerifyOptions } from '../../src/index.ts'
import { forge, goodClaims, signatureOver, toBase64url } from '../support/forge.ts'
import { nowSeconds } from '../support/tokens.ts'
import { type Attack, attacks } from './attack.ts'

const RULES = { issuers: ['https://issuer.example/a'], audiences: ['me'] }

/** §2.5: what the payload says. All of these are signed with the right key. */
export function claimAttacks(): readonly Attack[] {
  return [...expiry(), ...times(), ...names(), ...audiences(), ...texts(), ...duplicates(), ...shapes(), ...sizes()]
}

const withClaims = (more: object) => forge({ payload: { ...goodClaims(), ...more } })
const each = (row: string, name: string, values: readonly unknown[], options?: VerifyOptions) => {
  const tokens = values.map(
    (value) => [`${name} ${JSON.stringify(value)?.slice(0, 40) ?? 'missing'}`, withClaims({ [name]: value })] as const,
  )
  return attacks(row, Object.fromEntries(tokens), options === undefined ? {} : { options })
}
/** JSON as it is written, for numbers that JavaScript does not write. */
const raw = (row: string, texts: readonly string[]) =>
  attacks(row, Object.fromEntries(texts.map((text) => [text.slice(0, 40), forge({ payload: text })])))

function expiry(): readonly Attack[] {
  const now = nowSeconds()
  const exp = now + 600
  return [
    ...each('C1', 'exp', [undefined, null, '', true, [], {}, '9999999999', String(exp), [exp], { seconds: exp }]),
    ...each('C2', 'exp', [-1, 0, -0, 1e18, 1e300, 253_402_300_800, Number.MAX_SAFE_INTEGER, 1e10 * 1000]),
    ...raw('C2', [
      '{"exp":1e999}',
      '{"exp":-1e999}',
      '{"exp":NaN}',
      '{"exp":Infinity}',
      '{"exp":9007199254740993}',
      '{"exp":9223372036854775808}',
      '{"exp":0x7fffffff}',
      '{"exp":+9999999999}',
      '{"exp":09999999999}',
      '{"exp":9999999999.}',
    ]),
    ...each('C3', 'exp', [now - 5, now - 6, now - 3600]),
    ...attacks('C4', {
      'exp before iat': withClaims({ exp: now + 1, iat: now + 3 }),
      'exp before nbf': withClaims({ exp: now + 1, nbf: now + 3 }),
    }),
    ...attacks(
      'C4',
      {
        'a lifetime beyond the limit': withClaims({ iat: now, exp: now + 61 }),
        'no iat where a lifetime is limited': withClaims({ iat: undefined }),
      },
      { options: { lifetimeSecondsMax: 60 } },
    ),
  ]
}

function times(): readonly Attack[] {
  const now = nowSeconds()
  const wrong = ['0', '', null, true, [], {}, -1, 1e300]
  return [...each('C5', 'nbf', [now + 20, now + 60.5, ...wrong]), ...each('C6', 'iat', [now + 20, now + 60.5, ...wrong])]
}

function names(): readonly Attack[] {
  const [iss = ''] = RULES.issuers
  const wrong = [
    undefined,
    '',
    [iss],
    7,
    {},
    null,
    iss.slice(0, -1),
    `${iss}b`,
    `${iss}/`,
    iss.toUpperCase(),
    ` ${iss}`,
    iss.replace('a', '\u0430'),
    iss.replace('https', 'http'),
    iss.replace('/a', '/%61'),
  ]
  return wrong.map((value) => ({
    row: 'C7',
    what: `iss ${JSON.stringify(value)}`,
    token: withClaims({ iss: value, aud: 'me' }),
    options: RULES,
  }))
}

function audiences(): readonly Attack[] {
  const wrong = [
    undefined,
    [],
    '',
    7,
    {},
    null,
    [5],
    ['me', 5],
    [['me']],
    'other',
    ['other'],
    'm',
    'mee',
    'ME',
    'other me',
    'other,me',
    { 0: 'me' },
  ]
  return [
    ...wrong.map((value) => ({
      row: 'C8',
      what: `aud ${JSON.stringify(value)}`,
      token: withClaims({ aud: value }),
      options: { audiences: ['me'] },
    })),
    ...attacks('C8', {
      'an audience where none is configured': withClaims({ aud: 'me' }),
      'an empty list of audiences where none is configured': withClaims({ aud: [] }),
    }),
  ]
}

function texts(): readonly Attack[] {
  const wrong = [7, '', null, {}, ['me'], true, 'x'.repeat(256), 'a\nb', 'a\u0000', '\u007f', '\u0085']
  return [
    ...each('C9', 'sub', wrong),
    ...each('C9', 'sub', [undefined], { requiredClaims: ['exp', 'sub'] }),
    ...each('C10', 'jti', wrong),
    ...each('C10', 'jti', [undefined], { requiredClaims: ['exp', 'jti'] }),
  ]
}

function duplicates(): readonly Attack[] {
  const now = nowSeconds()
  return raw('C11', [
    `{"exp":${now - 60},"exp":${now + 60}}`,
    `{"exp":${now + 60},"exp":${now - 60}}`,
    `{"exp":${now + 60},"sub":"a","sub":"b"}`,
    `{"exp":${now + 60},"scope":"a","scope":"b"}`,
    `{"exp":${now + 60},"data":{"permissions":[]},"data":{"permissions":["p1"]}}`,
    `{"exp":${now + 60},"data":{"permissions":[],"\\u0070ermissions":["p1"]}}`,
  ])
}

function shapes(): readonly Attack[] {
  const now = nowSeconds()
  const bytes = (content: Buffer) => {
    const input = `${toBase64url({ alg: 'HS256' })}.${content.toString('base64url')}`
    return `${input}.${signatureOver(input).toString('base64url')}`
  }
  const good = `{"exp":${now + 60}}`
  const around = (value: string) => `{"exp":${now + 60},"a":${value}}`
  return [
    ...raw('C12', [
      `{"exp":${now + 60},"__proto__":{"admin":true}}`,
      `{"exp":${now + 60},"data":{"__proto__":{"permissions":["p1"]}}}`,
      `{"exp":${now + 60},"\\u005f_proto__":{}}`,
    ]),
    ...raw('C13', [
      '[]',
      `[${good}]`,
      '"x"',
      'null',
      '7',
      'true',
      '{',
      `${good}x`,
      `${good}${good}`,
      `\ufeff${good}`,
      around('"\\ud800"'),
      around('"\\udc00\\ud800"'),
      around("'x'"),
      around('undefined'),
      around('"a\u0001"'),
      around('1,'),
      around('01'),
    ]),
    ...attacks('C13', {
      nothing: forge({ payload: '' }),
      'invalid UTF-8': bytes(Buffer.from([...Buffer.from(`{"exp":${now + 60},"a":"`), 0xc3, 0x28, ...Buffer.from('"}')])),
      'a surrogate in UTF-8': bytes(
        Buffer.from([...Buffer.from(`{"exp":${now + 60},"a":"`), 0xed, 0xa0, 0x80, ...Buffer.from('"}')]),
      ),
    }),
  ]
}

function sizes(): readonly Attack[] {
  const now = nowSeconds()
  const nested = (open: string, close: string, levels: number) =>
    `{"exp":${now + 60},"a":${open.repeat(levels)}1${close.repeat(levels)}}`
  const keys = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, index]))
  return attacks('C14', {
    '128 lists in each other': forge({ payload: nested('[', ']', 128) }),
    '128 objects in each other': forge({ payload: nested('{"a":', '}', 128) }),
    '2 500 lists in each other': forge({ payload: nested('[', ']', 2500) }),
    '50 000 lists in each other': forge({ payload: nested('[', ']', 50_000) }),
    '10 000 members': withClaims(keys),
    'a text of 1 MB': withClaims({ a: 'x'.repeat(1_000_000) }),
  })
}
