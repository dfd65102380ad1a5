import { describe, expect, test } from 'bun:test'
import { ALGORITHMS, type Algorithm } from '../../src/jose/algorithms.ts'
import { importKeys } from '../../src/jose/key-set.ts'
import type { Key } from '../../src/jose/keys.ts'
import { createSignatureCheck } from '../../src/jose/signature-backends.ts'
import { hasShared, readShared } from '../support/shared.ts'

interface Group {
  readonly publicKeyPem?: string
  readonly publicKey?: { readonly publicExponent?: string }
  readonly tagSize?: number
  readonly tests: readonly {
    readonly tcId: number
    readonly comment: string
    readonly key?: string
    readonly msg: string
    readonly sig?: string
    readonly tag?: string
    readonly result: 'valid' | 'invalid' | 'acceptable'
  }[]
}

const FILES: Readonly<Partial<Record<Algorithm, string>>> = {
  HS256: 'hmac_sha256',
  HS384: 'hmac_sha384',
  HS512: 'hmac_sha512',
  RS256: 'rsa_signature_2048_sha256',
  RS384: 'rsa_signature_2048_sha384',
  RS512: 'rsa_signature_2048_sha512',
  PS256: 'rsa_pss_2048_sha256_mgf1_32',
  PS384: 'rsa_pss_2048_sha384_mgf1_48',
  PS512: 'rsa_pss_4096_sha512_mgf1_64',
  ES256: 'ecdsa_secp256r1_sha256_p1363',
  ES384: 'ecdsa_secp384r1_sha384_p1363',
  ES512: 'ecdsa_secp521r1_sha512_p1363',
  EdDSA: 'ed25519',
}
const FOLDER = 'vectors/wycheproof-primitives'

/** A signed text of ASCII, as a token is: what is before the signature is split where the check joins it again. */
function asJws(message: Buffer, signature: string) {
  const text = message.toString('latin1')
  return { text: `${text}.${signature}`, header: '', payload: text.slice(1), signature }
}

describe.if(hasShared(FOLDER))('Wycheproof', () => {
  for (const [algorithm, file] of Object.entries(hasShared(FOLDER) ? FILES : {}) as [Algorithm, string][]) {
    // node-rs takes whole tokens alone, and these texts are none: signature-backends.test.ts has such signatures for it.
    for (const backend of ['boring', 'wasm'] as const)
      test(`${algorithm}: every signature is judged as it should be by the backend ${backend}`, () => {
        const { testGroups } = readShared(`${FOLDER}/${file}_test.json`) as { testGroups: readonly Group[] }
        const isSecret = ALGORITHMS[algorithm].kind === 'oct'
        let judged = 0
        for (const { publicKeyPem, tests, publicKey } of testGroups) {
          // Keys with a public exponent of 3 are refused as keys; the suite has some.
          if (publicKey?.publicExponent === '03') {
            expect(() => importKeys(publicKeyPem ?? '', { algorithm })).toThrow('exponent')
            continue
          }
          for (const { tcId, comment, key = '', msg, sig, tag, result } of tests) {
            const message = Buffer.from(msg, 'hex')
            // A token's signed text is ASCII and not empty.
            if (message.length === 0 || message.some((byte) => byte > 127)) continue
            const secret = Buffer.from(key, 'hex')
            if (isSecret && secret.length < ALGORITHMS[algorithm].hashBytes) continue
            const [imported] = importKeys(isSecret ? secret : (publicKeyPem ?? ''), { algorithm }) as [Key]
            const check = createSignatureCheck(imported, algorithm, { signatureBackend: backend, isPayloadFree: true })
            const signature = Buffer.from(sig ?? tag ?? '', 'hex').toString('base64url')
            // A truncated tag is valid to Wycheproof where its group is of short tags, and never to a JWS (RFC 7518 §3.2).
            const isWhole = !isSecret || Buffer.from(tag ?? '', 'hex').length === ALGORITHMS[algorithm].hashBytes
            const expected = result === 'valid' && isWhole
            if (result !== 'acceptable')
              expect([tcId, comment, check(asJws(message, signature))]).toEqual([tcId, comment, expected])
            judged += 1
          }
        }
        expect(judged).toBeGreaterThan(isSecret ? 3 : 30)
      })
  }
})
