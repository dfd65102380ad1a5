import { describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { createVerifier as createFastVerifier, createSigner } from 'fast-jwt'
import { jwtVerify, SignJWT } from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import { type FlattenedJws, type Jwk, signJwt, verifyCompactJws, verifyFlattenedJws, verifyJwt } from '../../src/index.ts'
import { ALGORITHM_NAMES, type KeyPair, keyPairOf } from '../support/key-pairs.ts'
import { hasShared, readShared } from '../support/shared.ts'
import { SECRET } from '../support/tokens.ts'

interface Example {
  readonly input: { readonly payload: string; readonly key: Jwk }
  readonly output: { readonly compact?: string; readonly json_flat?: FlattenedJws }
}

const COOKBOOK = 'vectors/rfc7520/jws'
const ACCEPTED = ['4_1.rsa_v15_signature', '4_2.rsa-pss_signature', '4_3.ecdsa_signature', '4_4.hmac-sha2_integrity_protection']

describe.if(hasShared(COOKBOOK))('the JOSE cookbook (RFC 7520)', () => {
  for (const name of hasShared(COOKBOOK) ? ACCEPTED : []) {
    test(`${name} is verified in both serialisations`, () => {
      const { input, output } = readShared(`${COOKBOOK}/${name}.json`) as Example
      const textOf = (payload: Uint8Array) => Buffer.from(payload).toString()
      expect(textOf(verifyCompactJws(output.compact ?? '', input.key).payload)).toBe(input.payload)
      expect(textOf(verifyFlattenedJws(output.json_flat as FlattenedJws, input.key).payload)).toBe(input.payload)
    })
  }

  test('a header that is protected in part, or not at all, is verified where it is flattened', () => {
    for (const name of hasShared(COOKBOOK) ? ['4_6.protecting_specific_header_fields', '4_7.protecting_content_only'] : []) {
      const { input, output } = readShared(`${COOKBOOK}/${name}.json`) as Example
      expect(Buffer.from(verifyFlattenedJws(output.json_flat as FlattenedJws, input.key).payload).toString()).toBe(input.payload)
    }
  })

  test('an unencoded payload (RFC 7797) is rejected', () => {
    const { input, output } = readShared('vectors/rfc7520/rfc7797/hmac-sha2_b64_false.json') as Example
    expect(() => verifyFlattenedJws(output.json_flat as FlattenedJws, input.key)).toThrow()
  })
})

describe('examples of the standards', () => {
  test('RFC 7515 A.1: HS256', () => {
    const key = { kty: 'oct', k: 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow' }
    const token =
      'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
    const { payload } = verifyJwt(token, key, { now: () => 1_300_819_000_000 })
    expect(payload).toEqual({ iss: 'joe', exp: 1300819380, 'http://example.com/is_root': true })
    expect(() => verifyJwt(token, key)).toThrow('expired')
  })

  test('RFC 8037 A.4: Ed25519', () => {
    const key = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
    const token =
      'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
    expect(Buffer.from(verifyCompactJws(token, key).payload).toString()).toBe('Example of Ed25519 signing')
  })

  test('RFC 7519 §6.1: an unsecured token is rejected', () => {
    const token =
      'eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.'
    expect(() => verifyJwt(token, SECRET, { now: () => 1_300_819_000_000 })).toThrow('"alg"')
  })
})

for (const algorithm of ALGORITHM_NAMES) {
  describe(`${algorithm}, with the tokens of others`, () => {
    const pair = keyPairOf(algorithm)
    const pem = (kind: 'public' | 'private') =>
      pair === undefined
        ? SECRET
        : kind === 'public'
          ? pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()
          : pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const ours = { signing: pem('private'), verifying: pem('public') }
    const jose = { signing: pair?.privateKey ?? Buffer.from(SECRET), verifying: pair?.publicKey ?? Buffer.from(SECRET) }
    const verify = (token: string) => verifyJwt(token, ours.verifying, { algorithms: [algorithm] }).payload.sub

    test('jose’s are accepted here, and ours there', async () => {
      const token = await new SignJWT({ sub: 'me' })
        .setProtectedHeader({ alg: algorithm })
        .setExpirationTime('1m')
        .sign(jose.signing)
      expect(verify(token)).toBe('me')
      const { payload } = await jwtVerify(signJwt({ sub: 'us' }, ours.signing, { algorithm }), jose.verifying, {
        algorithms: [algorithm],
      })
      expect(payload.sub).toBe('us')
    })

    test('fast-jwt’s are accepted here, and ours there', () => {
      const signer = createSigner({ key: ours.signing, algorithm, expiresIn: 60_000 })
      expect(verify(signer({ sub: 'me' }))).toBe('me')
      const read = createFastVerifier({ key: ours.verifying, algorithms: [algorithm] })
      expect(read(signJwt({ sub: 'us' }, ours.signing, { algorithm })).sub).toBe('us')
    })

    // It has no EdDSA.
    if (algorithm !== 'EdDSA')
      test('jsonwebtoken’s are accepted here, and ours there', () => {
        const name = algorithm as jsonwebtoken.Algorithm
        expect(verify(jsonwebtoken.sign({ sub: 'me' }, ours.signing, { algorithm: name, expiresIn: 60 }))).toBe('me')
        const token = signJwt({ sub: 'us' }, ours.signing, { algorithm })
        expect((jsonwebtoken.verify(token, ours.verifying, { algorithms: [name] }) as { sub: string }).sub).toBe('us')
      })

    test('a signature that is another’s is rejected', () => {
      const token = signJwt({ sub: 'me' }, ours.signing, { algorithm })
      const other = signJwt({ sub: 'you' }, ours.signing, { algorithm })
      expect(() => verify(token.slice(0, token.lastIndexOf('.')) + other.slice(other.lastIndexOf('.')))).toThrow('signature')
    })
  })
}

describe('a signature of ES256', () => {
  const pair = keyPairOf('ES256') as KeyPair
  const pem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const token = signJwt({ sub: 'me' }, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  const [head, body] = token.split('.')
  const n = Buffer.from('FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551', 'hex')
  const zero = Buffer.alloc(32)
  const raw = Buffer.from(token.split('.')[2] ?? '', 'base64url')

  test('of zeros, of the order of the curve, or of another length is rejected (S3, S5)', () => {
    const wrong = [[zero, zero], [zero, n], [n, zero], [n, n], [raw], [raw.subarray(1)], [raw, Buffer.from([0])]].map((parts) =>
      Buffer.concat(parts),
    )
    for (const signature of wrong.filter((bytes) => !bytes.equals(raw))) {
      expect(() => verifyJwt(`${head}.${body}.${signature.toString('base64url')}`, pem)).toThrow('signature')
    }
  })

  test('in DER is rejected (S4)', async () => {
    const { sign } = await import('node:crypto')
    const der = sign('sha256', Buffer.from(`${head}.${body}`), pair.privateKey).toString('base64url')
    expect(() => verifyJwt(`${head}.${body}.${der}`, pem)).toThrow('signature')
  })
})

test('an HMAC of another hash is rejected', () => {
  const input = signJwt({ sub: 'me' }, SECRET).split('.').slice(0, 2).join('.')
  const wrong = createHmac('sha512', SECRET).update(input).digest('base64url')
  expect(() => verifyJwt(`${input}.${wrong}`, SECRET)).toThrow('signature')
})
