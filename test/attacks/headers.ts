import { deflateRawSync } from 'node:zlib'
import { forge, goodClaims, signatureOver, toBase64url } from '../support/forge.ts'
import { type Attack, attacks } from './attack.ts'

/** §2.4: the header beyond `alg` and `kid`. All of these are signed as they are sent. */
export function headerAttacks(): readonly Attack[] {
  return [...critical(), ...unencoded(), ...duplicates(), ...shapes(), ...compressed(), ...types(), ...nested(), ...cases()]
}

const withMembers = (more: object) => forge({ header: { alg: 'HS256', typ: 'JWT', ...more } })
const each = (row: string, name: string, values: readonly unknown[]) =>
  attacks(row, Object.fromEntries(values.map((value) => [`${name} ${JSON.stringify(value)}`, withMembers({ [name]: value })])))

function critical(): readonly Attack[] {
  const values = [['exp'], ['foo'], [], 'exp', 1, null, {}, ['exp', 'exp'], ['alg'], ['typ', 'kid'], [''], [7], ['b64']]
  return [
    ...each('H1', 'crit', values),
    ...attacks('H1', { 'crit names a member that is there': withMembers({ crit: ['foo'], foo: 1 }) }),
  ]
}

/** RFC 7797: the payload as it is. */
function unencoded(): readonly Attack[] {
  const raw = (header: object) => {
    const input = `${toBase64url(header)}.${JSON.stringify(goodClaims())}`
    return `${input}.${signatureOver(input).toString('base64url')}`
  }
  return attacks('H2', {
    'b64 false and crit, payload encoded': withMembers({ b64: false, crit: ['b64'] }),
    'b64 false and crit, payload as it is': raw({ alg: 'HS256', b64: false, crit: ['b64'] }),
    'b64 false alone': withMembers({ b64: false }),
    'b64 false alone, payload as it is': raw({ alg: 'HS256', b64: false }),
    'b64 true': withMembers({ b64: true }),
    'b64 as text': withMembers({ b64: 'false' }),
  })
}

function duplicates(): readonly Attack[] {
  const headers = [
    '{"alg":"none","alg":"HS256"}',
    '{"alg":"HS256","alg":"none"}',
    '{"alg":"HS256","alg":"HS256"}',
    '{"alg":"HS256","\\u0061lg":"none"}',
    '{"alg":"HS256","kid":"a","kid":"b"}',
    '{"alg":"HS256","typ":"JWT","typ":"at+jwt"}',
    '{"alg":"HS256","x":{"y":1,"y":2}}',
  ]
  return attacks('H3', Object.fromEntries(headers.map((header) => [header, forge({ header })])))
}

function shapes(): readonly Attack[] {
  const headers = [
    '[]',
    '["HS256"]',
    '"HS256"',
    'null',
    '7',
    'true',
    '{}',
    '',
    '{',
    '{"alg":"HS256"',
    '{"alg":"HS256"}x',
    '{"alg":"HS256"}{}',
    '\ufeff{"alg":"HS256"}',
    "{'alg':'HS256'}",
    '{"alg":"HS256",}',
    '{"alg":"HS256"/**/}',
    '{"alg":"HS256","__proto__":{"kid":"a"}}',
    '{"alg":"HS256","a":"\\ud800"}',
  ]
  const deep = `{"alg":"HS256","a":${'['.repeat(40)}${']'.repeat(40)}}`
  const bytes = (content: Buffer) => {
    const input = `${content.toString('base64url')}.${toBase64url(goodClaims())}`
    return `${input}.${signatureOver(input).toString('base64url')}`
  }
  return [
    ...attacks(
      'H4',
      Object.fromEntries([...headers, deep].map((header) => [header.slice(0, 40) || 'nothing', forge({ header })])),
    ),
    ...attacks('H4', {
      'invalid UTF-8': bytes(Buffer.from([...Buffer.from('{"alg":"HS256","a":"'), 0xff, ...Buffer.from('"}')])),
      'an overlong form of a letter': bytes(
        Buffer.from([...Buffer.from('{"alg":"HS256","'), 0xc1, 0xa1, ...Buffer.from('":1}')]),
      ),
      'UTF-16': bytes(Buffer.from('{"alg":"HS256"}', 'utf16le')),
    }),
  ]
}

function compressed(): readonly Attack[] {
  const bomb = deflateRawSync(Buffer.alloc(4_000_000)).toString('base64url')
  const jwe = (header: object, content = 'AAAA') => `${toBase64url(header)}.AAAA.AAAA.${content}.AAAAAAAAAAAAAAAAAAAAAA`
  const zipped = forge({
    header: { alg: 'HS256', zip: 'DEF' },
    encode: (text, part) => (part === 'payload' ? deflateRawSync(Buffer.from(text, 'base64url')).toString('base64url') : text),
  })
  return [
    ...each('H5', 'zip', ['DEF', 'none', null]),
    ...each('H5', 'enc', ['A256GCM', null]),
    ...attacks('H5', {
      'a compressed payload': zipped,
      'a JWE': jwe({ alg: 'dir', enc: 'A256GCM' }),
      'a JWE bomb': jwe({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' }, bomb.slice(0, 6000)),
      'a JWE whose password costs 2^31 rounds': jwe({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 2 ** 31, p2s: 'AAAA' }),
      'a JWE of alg none': jwe({ alg: 'none', enc: 'none' }),
    }),
  ]
}

function types(): readonly Attack[] {
  const refused = [
    ' at+jwt',
    'at+jwt ',
    'at+jwt;v=1',
    'application/',
    'application/application/at+jwt',
    'text/at+jwt',
    'at-jwt',
    '',
    7,
    null,
    ['at+jwt'],
    {},
  ]
  const strict = ['JWT', 'jwt', undefined]
  return [
    ...each('H6', 'typ', refused),
    ...attacks('H6', Object.fromEntries(strict.map((typ) => [`typ ${typ} where at+jwt is asked for`, withMembers({ typ })])), {
      options: { types: ['at+jwt'] },
    }),
  ]
}

function nested(): readonly Attack[] {
  const inner = (value: string) => forge({ header: { alg: 'HS256', cty: value }, payload: forge() })
  return [
    ...each('H7', 'cty', ['JWT', 'jwt', 'application/jwt', 'APPLICATION/JWT', 7, null]),
    ...attacks('H7', { 'a token inside': inner('JWT'), 'a token inside, not announced': forge({ payload: forge() }) }),
  ]
}

function cases(): readonly Attack[] {
  const headers: readonly object[] = [
    { ALG: 'HS256' },
    { Alg: 'HS256' },
    { 'alg ': 'HS256' },
    { 'a\u006cg\u0000': 'HS256' },
    { Typ: 'JWT' },
  ]
  return attacks('H8', Object.fromEntries(headers.map((header) => [JSON.stringify(header), forge({ header })])))
}
