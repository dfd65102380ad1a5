import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { nowSeconds, SECRET } from './tokens.ts'

/** Whose keys an attacked verifier has; each has one algorithm. */
export type Target = 'HS256' | 'RS256' | 'ES256' | 'EdDSA'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const ed = generateKeyPairSync('ed25519')

export const PAIRS: Readonly<
  Record<Exclude<Target, 'HS256'>, { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>
> = {
  RS256: rsa,
  ES256: ec,
  EdDSA: ed,
}

/** The order of P-256. */
export const ORDER_OF_P256 = BigInt('0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551')

/** The keys that a target verifies with, as its options take them. */
export function keysOf(target: Target): string {
  return target === 'HS256' ? SECRET : PAIRS[target].publicKey.export({ type: 'spki', format: 'pem' }).toString()
}

/** Claims that would let their bearer in. */
export function goodClaims(): Readonly<Record<string, unknown>> {
  return { sub: 'me', exp: nowSeconds() + 60, iat: nowSeconds(), jti: 'j', data: { permissions: ['p1'] } }
}

export interface Forgery {
  /** An object, or the header's JSON as it is, or its bytes. */
  readonly header?: object | string
  readonly payload?: object | string | null
  readonly target?: Target
  /** In place of what the target signs with. */
  readonly secret?: string | Uint8Array
  readonly key?: KeyObject
  /** In place of the signature that would be right: text as it is, bytes encoded. */
  readonly signature?: string | Uint8Array
  /** Changes the base64url of both parts before they are signed. */
  readonly encode?: (encoded: string, part: 'header' | 'payload') => string
}

/** A token made by hand: right in everything that is not said. */
export function forge({
  target = 'HS256',
  header,
  payload,
  signature,
  encode = (text) => text,
  ...signing
}: Forgery = {}): string {
  const head = encode(toBase64url(header ?? { alg: target, typ: 'JWT' }), 'header')
  const body = encode(toBase64url(payload === undefined ? goodClaims() : payload), 'payload')
  const input = `${head}.${body}`
  const bytes = signature ?? signatureOver(input, { target, ...signing })
  return `${input}.${typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('base64url')}`
}

/** What the target, a secret or another key signs. */
export function signatureOver(
  input: string,
  { target = 'HS256', secret, key }: Pick<Forgery, 'target' | 'secret' | 'key'> = {},
): Buffer {
  if (secret !== undefined || target === 'HS256')
    return createHmac('sha256', secret ?? SECRET)
      .update(input)
      .digest()
  const signer = key ?? PAIRS[target].privateKey
  return sign(signer.asymmetricKeyType === 'ed25519' ? null : 'sha256', Buffer.from(input), {
    key: signer,
    dsaEncoding: 'ieee-p1363',
  })
}

/** A PS256 signature with a salt of so many bytes. */
export function pssSignature(input: string, saltLength: number): Buffer {
  return sign('sha256', Buffer.from(input), { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
}

/** RSA without any padding of its own: the signature whose encoded message is these 256 bytes. */
export function rawRsa(encodedMessage: Uint8Array): Buffer {
  const { n = '', d = '' } = rsa.privateKey.export({ format: 'jwk' })
  const [modulus, exponent] = [numberOf(n), numberOf(d)]
  return Buffer.from(
    power(BigInt(`0x${Buffer.from(encodedMessage).toString('hex')}`), exponent, modulus)
      .toString(16)
      .padStart(512, '0'),
    'hex',
  )
}

/** The base64url of a text's UTF-8, or of an object's JSON. */
export function toBase64url(part: object | string | null): string {
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
}

function numberOf(encoded: string): bigint {
  return BigInt(`0x${Buffer.from(encoded, 'base64url').toString('hex')}`)
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (let [square, rest] = [base % modulus, exponent]; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % modulus
    square = (square * square) % modulus
  }
  return result
}
