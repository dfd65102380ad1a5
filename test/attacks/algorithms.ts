import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { forge, goodClaims, keysOf, PAIRS, pssSignature, type Target, toBase64url } from '../support/forge.ts'
import { type Attack, attacks } from './attack.ts'

/** §2.1: the header chooses the algorithm or the key. */
export function algorithmAttacks(): readonly Attack[] {
  return [...unsigned(), ...confusions(), ...swaps(), ...keyIds(), ...embeddedKeys(), ...otherTypes()]
}

function unsigned(): readonly Attack[] {
  const names: readonly unknown[] = ['none', 'None', 'NONE', 'nOnE', ' none', 'none ', 'none\u0000']
  const absurd: readonly unknown[] = [
    undefined,
    null,
    7,
    ['HS256'],
    { HS256: 1 },
    true,
    '',
    'x'.repeat(5000),
    'hs256',
    'HS256 ',
    'HS1',
    'ES256K',
  ]
  const both = (row: string, alg: unknown): readonly Attack[] => {
    const header = { typ: 'JWT', alg }
    const name = JSON.stringify(alg)?.slice(0, 20) ?? 'nothing'
    return (['HS256', 'RS256', 'ES256', 'EdDSA'] as const).flatMap((target) =>
      attacks(
        row,
        { [`alg ${name}, unsigned`]: forge({ header, signature: '' }), [`alg ${name}, signed`]: forge({ header, target }) },
        { target },
      ),
    )
  }
  return [...names.flatMap((alg) => both('A1', alg)), ...absurd.flatMap((alg) => both('A2', alg))]
}

/** What everybody knows of a public key, taken for a secret. */
function confusions(): readonly Attack[] {
  return (['RS256', 'ES256', 'EdDSA'] as const).flatMap((target) => {
    const { publicKey } = PAIRS[target]
    const spki = keysOf(target)
    const der = publicKey.export({ type: 'spki', format: 'der' })
    const jwk = publicKey.export({ format: 'jwk' })
    const coordinates = [jwk.x, jwk.y, jwk.n].filter((part) => part !== undefined)
    const secrets: Readonly<Record<string, string | Uint8Array>> = {
      'its PEM': spki,
      'its PEM without the last line break': spki.trimEnd(),
      'its PEM with CRLF': spki.replaceAll('\n', '\r\n'),
      'its PEM after a space': ` ${spki}`,
      'its PEM after a line break': `\n${spki}`,
      'its DER': der,
      'the base64 of its DER': der.toString('base64'),
      'its JWK': JSON.stringify(jwk),
      'its coordinates or modulus': Buffer.concat(coordinates.map((part) => Buffer.from(part, 'base64url'))),
      nothing: '',
      ...(target === 'RS256' && { 'its PKCS#1 PEM': publicKey.export({ type: 'pkcs1', format: 'pem' }).toString() }),
    }
    const row = target === 'RS256' ? 'A3' : 'A4'
    return Object.entries(secrets).flatMap(([what, secret]) => {
      const header = { alg: 'HS256', typ: 'JWT' }
      return attacks(row, { [`HS256 with ${what} as the secret`]: forge({ header, secret }) }, { target })
    })
  })
}

function swaps(): readonly Attack[] {
  const header = (alg: string) => ({ alg, typ: 'JWT' })
  const input = `${toBase64url(header('PS256'))}.${toBase64url(goodClaims())}`
  const other = generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).privateKey
  const swapped: Readonly<Record<Target, readonly string[]>> = {
    HS256: ['HS384', 'HS512', 'RS256', 'ES256', 'EdDSA'],
    RS256: ['RS384', 'RS512', 'PS256', 'PS384', 'ES256', 'HS256'],
    ES256: ['ES384', 'ES512', 'RS256', 'EdDSA'],
    EdDSA: ['ES256', 'Ed448', 'RS256'],
  }
  const named = Object.entries(swapped).flatMap(([target, names]) =>
    names.map((alg) => ({
      row: 'A5',
      what: `${target} named ${alg}`,
      target: target as Target,
      token: forge({ target: target as Target, header: header(alg) }),
    })),
  )
  return [
    ...named,
    {
      row: 'A5',
      what: 'RS256’s key used for a right PS256 signature',
      target: 'RS256',
      token: `${input}.${pssSignature(input, 32).toString('base64url')}`,
    },
    {
      row: 'A6',
      what: 'ES384 by a key of that curve',
      target: 'ES256',
      token: forge({ header: header('ES384'), key: other, target: 'ES256' }),
    },
    {
      row: 'A6',
      what: 'an accepted algorithm that is not the key’s',
      target: 'ES256',
      token: forge({ header: header('RS256'), target: 'RS256' }),
      options: { algorithms: ['ES256', 'RS256'] },
    },
  ]
}

function keyIds(): readonly Attack[] {
  const kids: readonly unknown[] = [7, null, {}, ['a'], true]
  return attacks(
    'A10',
    Object.fromEntries(kids.map((kid) => [`kid ${JSON.stringify(kid)}`, forge({ header: { alg: 'HS256', kid } })])),
  )
}

/** Keys, and addresses of keys, that a token brings along. */
function embeddedKeys(): readonly Attack[] {
  const own = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const jwk = own.publicKey.export({ format: 'jwk' })
  const secret = randomBytes(32)
  const address = 'http://127.0.0.1:9/keys.json'
  const brought: Readonly<Record<string, object>> = {
    jwk: { jwk },
    'jwk with kid': { jwk: { ...jwk, kid: 'k' }, kid: 'k' },
    jku: { jku: address },
    x5u: { x5u: address },
    x5c: { x5c: ['MIIB'] },
  }
  const byStranger = Object.fromEntries(
    Object.entries(brought).map(([what, more]) => [
      what,
      forge({ header: { alg: 'ES256', ...more }, key: own.privateKey, target: 'ES256' }),
    ]),
  )
  const symmetric = forge({ header: { alg: 'HS256', jwk: { kty: 'oct', k: secret.toString('base64url') } }, secret })
  return [
    ...attacks('A12', byStranger, { target: 'ES256' }),
    ...attacks('A12', { 'a shared secret in jwk': symmetric }),
    ...attacks(
      'A12',
      Object.fromEntries(
        Object.entries(brought).map(([what, more]) => [
          `${what}, signed with the right key`,
          forge({ header: { alg: 'HS256', ...more } }),
        ]),
      ),
    ),
  ]
}

function otherTypes(): readonly Attack[] {
  const types = ['rt+jwt', 'refresh', 'id_token', 'logout+jwt', 'dpop+jwt', 'secevent+jwt', 'JOSE', 'application/rt+jwt']
  const access = { options: { types: ['at+jwt'] } }
  return [
    ...attacks('A15', Object.fromEntries(types.map((typ) => [`typ ${typ}`, forge({ header: { alg: 'HS256', typ } })]))),
    ...attacks(
      'A15',
      { 'an ID token where access tokens are asked for': forge({ header: { alg: 'HS256', typ: 'JWT' } }) },
      access,
    ),
  ]
}
