import { forge, goodClaims } from '../support/forge.ts'
import { type Attack, attacks } from './attack.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** §2.3: one token, another text. What can be signed is signed as it is sent. */
export function encodingAttacks(): readonly Attack[] {
  return [...paddings(), ...alphabets(), ...trailingBits(), ...whitespace(), ...lengths(), ...others()]
}

function atEachPart(change: (part: string) => string): Readonly<Record<string, string>> {
  const [head = '', body = '', signature = ''] = longToken().split('.')
  return {
    'in the signature': `${head}.${body}.${change(signature)}`,
    'in the header, signed so': forge({ encode: (text, part) => (part === 'header' ? change(text) : text) }),
    'in the payload, signed so': forge({
      payload: longClaims(),
      encode: (text, part) => (part === 'payload' ? change(text) : text),
    }),
  }
}

/** Claims whose base64url has both letters that plain base64 writes in another way. */
const longClaims = () => ({ ...goodClaims(), pad: 'ü?>~ü?>~' })
const longToken = () => forge({ payload: longClaims() })

function named(row: string, what: string, change: (part: string) => string): readonly Attack[] {
  return attacks(row, Object.fromEntries(Object.entries(atEachPart(change)).map(([where, token]) => [`${what} ${where}`, token])))
}

function paddings(): readonly Attack[] {
  return [
    ...named('E1', 'one =', (part) => `${part}=`),
    ...named('E1', 'two =', (part) => `${part}==`),
    ...named('E1', 'as much = as base64 asks for, or four', (part) => part.padEnd(Math.ceil((part.length + 1) / 4) * 4, '=')),
    ...named('E1', '= inside', (part) => `${part.slice(0, 4)}=${part.slice(4)}`),
  ]
}

function alphabets(): readonly Attack[] {
  const plain = (part: string) => part.replaceAll('-', '+').replaceAll('_', '/')
  return [
    ...attacks('E2', {
      'plain base64 in the payload, signed so': forge({
        payload: longClaims(),
        encode: (text, part) => (part === 'payload' ? `${plain(text).replace(/.{4}$/, 'fn4+')}` : text),
      }),
    }),
    ...named('E2', 'a + more', (part) => `${part.slice(0, -4)}+${part.slice(-3)}`),
    ...named('E2', 'a / more', (part) => `${part.slice(0, -4)}/${part.slice(-3)}`),
  ]
}

/** Other texts for the same bytes: bits that base64 does not use. */
function trailingBits(): readonly Attack[] {
  const lastBits = (part: string, bits: number) =>
    part.slice(0, -1) + (ALPHABET[ALPHABET.indexOf(part.at(-1) ?? 'A') | bits] ?? 'A')
  const token = forge()
  const signature = [1, 2, 3].map(
    (bits) =>
      [
        `${bits} of the signature`,
        `${token.slice(0, token.lastIndexOf('.') + 1)}${lastBits(token.slice(token.lastIndexOf('.') + 1), bits)}`,
      ] as const,
  )
  // Spaces make the JSON as long as the case needs; the text is then signed with its unused bits set.
  const padTo = (rest: number, value: object) => {
    let text = JSON.stringify(value)
    while (Buffer.byteLength(text) % 3 !== rest) text += ' '
    return text
  }
  const signedSo = ([1, 2] as const).flatMap((rest) => [
    [
      `in a payload that ends after ${rest} bytes`,
      forge({ payload: padTo(rest, goodClaims()), encode: (text, part) => (part === 'payload' ? lastBits(text, 1) : text) }),
    ] as const,
    [
      `in a header that ends after ${rest} bytes`,
      forge({ header: padTo(rest, { alg: 'HS256' }), encode: (text, part) => (part === 'header' ? lastBits(text, 1) : text) }),
    ] as const,
  ])
  return attacks('E3', Object.fromEntries([...signature.filter(([, text]) => text !== token), ...signedSo]))
}

function whitespace(): readonly Attack[] {
  const characters = {
    space: ' ',
    tab: '\t',
    CR: '\r',
    LF: '\n',
    CRLF: '\r\n',
    NUL: '\u0000',
    'no-break space': '\u00a0',
    'zero-width space': '\u200b',
    'byte order mark': '\ufeff',
    '%20': '%20',
    '%2e': '%2e',
  }
  return Object.entries(characters).flatMap(([what, character]) => [
    ...named('E4', `${what} inside`, (part) => `${part.slice(0, 5)}${character}${part.slice(5)}`),
    ...named('E4', `${what} at the end`, (part) => `${part}${character}`),
    ...named('E4', `${what} in front`, (part) => `${character}${part}`),
  ])
}

function lengths(): readonly Attack[] {
  const toLength = (part: string) => part.slice(0, Math.floor((part.length - 1) / 4) * 4 + 1)
  return named('E5', 'a length that no bytes have', toLength)
}

function others(): readonly Attack[] {
  const token = forge()
  const [head, body, signature] = token.split('.')
  const latin = { é: 'é', ÿ: 'ÿ', 'lone surrogate': '\ud800', 'full-width A': '\uff21', 'Cyrillic А': '\u0410' }
  return [
    ...Object.entries(latin).flatMap(([what, character]) => named('E6', what, (part) => `${character}${part.slice(1)}`)),
    ...attacks('E8', {
      'flattened JSON': JSON.stringify({ protected: head, payload: body, signature }),
      'general JSON': JSON.stringify({ payload: body, signatures: [{ protected: head, signature }] }),
      'a list of tokens': JSON.stringify([token]),
      'a token in quotes': JSON.stringify(token),
      'two tokens': `${token},${token}`,
    }),
  ]
}
