import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { signJwt } from '../../../src/jose/sign.ts'
import { GZIPPED_MODULE } from '../../../src/wasm/module-bytes.js'
import { loadSignatureChecker, SignatureChecker } from '../../../src/wasm/signatures.js'
import { makeToken, SECRET } from '../../support/tokens.ts'

const FOLDER = join(import.meta.dir, '../../../src/wasm')
const checker = await loadSignatureChecker()
const bytes = (text: string) => new Uint8Array(Buffer.from(text))

describe('the module', () => {
  test('is the one whose checksum is recorded, imports nothing and names no machine', () => {
    const module = readFileSync(join(FOLDER, 'signatures.wasm'))
    const sum = new Bun.CryptoHasher('sha256').update(module).digest('hex')
    expect(readFileSync(join(FOLDER, 'signatures.wasm.sha256'), 'utf8')).toBe(`${sum}  signatures.wasm\n`)
    expect(WebAssembly.Module.imports(new WebAssembly.Module(module))).toEqual([])
    expect(module.toString('latin1')).not.toMatch(/\/(?:root|home|tmp|work|Users)\/|registry\/src/)
    expect(module.length).toBeLessThan(500_000)
  })

  test('is in the JavaScript that browsers load, byte for byte', () => {
    expect(Bun.gunzipSync(Buffer.from(GZIPPED_MODULE, 'base64'))).toEqual(
      new Uint8Array(readFileSync(join(FOLDER, 'signatures.wasm'))),
    )
  })

  test('is loaded from what comes with it, from bytes and from a module', async () => {
    const module = readFileSync(join(FOLDER, 'signatures.wasm'))
    for (const source of [undefined, new Uint8Array(module), new WebAssembly.Module(module)]) {
      const loaded = await loadSignatureChecker(source)
      expect(loaded.verify(loaded.importKey('HS256', bytes(SECRET)), makeToken())).toBe(true)
    }
  })
})

describe('a key', () => {
  test('is for its own algorithm', () => {
    const token = makeToken()
    expect(checker.verify(checker.importKey('HS256', bytes(SECRET)), token)).toBe(true)
    expect(checker.verify(checker.importKey('HS384', bytes(SECRET)), token)).toBe(false)
    expect(checker.verify(checker.importKey('HS256', bytes(`${SECRET}x`)), token)).toBe(false)
  })

  test('that cannot be used is rejected', () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey.export({ format: 'jwk' })
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
    const off = { ...ec, y: ec.x }
    const wrong: readonly (readonly [algorithm: string, material: Uint8Array | object])[] = [
      ['none', bytes(SECRET)],
      ['HS256', new Uint8Array(0)],
      ['HS256', ec],
      ['RS256', bytes(SECRET)],
      ['RS256', ec],
      ['RS256', weak],
      ['RS256', { kty: 'RSA', n: 'a+b', e: 'AQAB' }],
      ['ES256', off],
      ['ES256', { ...ec, x: 'AAAA' }],
      ['ES384', ec],
      ['EdDSA', ec],
      ['EdDSA', { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' }],
    ]
    for (const [algorithm, material] of wrong) expect(() => checker.importKey(algorithm, material as never)).toThrow(TypeError)
  })

  test('keeps working where there are more than the module has room for', () => {
    const loaded = new SignatureChecker(new WebAssembly.Module(readFileSync(join(FOLDER, 'signatures.wasm'))))
    const secrets = Array.from({ length: 600 }, (_, index) => `${SECRET}${index}`)
    const keys = secrets.map((secret) => loaded.importKey('HS256', bytes(secret)))
    for (const [index, key] of keys.entries()) {
      expect(loaded.verify(key, makeToken({ secret: secrets[index] ?? '' }))).toBe(true)
      expect(loaded.verify(key, makeToken({ secret: `${secrets[index]}x` }))).toBe(false)
    }
  })
})

describe('a token', () => {
  const key = checker.importKey('HS256', bytes(SECRET))

  test('that is none is wrong, and never an error', () => {
    for (const token of [
      '',
      '.',
      '..',
      'a',
      'a.b.',
      'a.b.=',
      'a.b.c',
      'é.é.é',
      `${'a'.repeat(300_000)}.b.c`,
      makeToken({ signature: '!!!!' }),
    ]) {
      expect(checker.verify(key, token)).toBe(false)
    }
  })

  test('as long as a flattened JWS may be is checked', () => {
    const long = makeToken({ payload: 'x'.repeat(90_000) })
    expect(checker.verify(key, long)).toBe(true)
    expect(checker.verify(key, long.replace('e', 'f'))).toBe(false)
  })

  test('is checked while other keys make the memory grow', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 4096 })
    const token = signJwt({ sub: 'me' }, rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    const large = checker.importKey('RS256', { ...rsa.publicKey.export({ format: 'jwk' }) })
    for (let round = 0; round < 20; round += 1) {
      expect(checker.verify(large, token)).toBe(true)
      expect(checker.verify(key, makeToken())).toBe(true)
    }
  })
})

describe('the memory', () => {
  const pairs = {
    HS256: undefined,
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
    EdDSA: generateKeyPairSync('ed25519'),
  }
  const calls = { HS256: 100_000, RS256: 200, ES256: 200, EdDSA: 500 }
  for (const [algorithm, pair] of Object.entries(pairs)) {
    const count = calls[algorithm as keyof typeof calls]
    test(`does not grow over ${count} tokens of ${algorithm}, right and wrong ones`, async () => {
      const own = await loadSignatureChecker()
      const token =
        pair === undefined
          ? makeToken()
          : signJwt({ sub: 'me' }, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
      const key = own.importKey(algorithm, pair === undefined ? bytes(SECRET) : { ...pair.publicKey.export({ format: 'jwk' }) })
      const wrong = token.replace('.', '.e')
      expect([own.verify(key, token), own.verify(key, wrong)]).toEqual([true, false])
      const before = own.memoryBytes
      let right = 0
      for (let call = 0; call < count; call += 1) if (own.verify(key, call % 2 === 0 ? token : wrong)) right += 1
      expect([right, own.memoryBytes]).toEqual([count / 2, before])
    })
  }
})

describe('a trap', () => {
  /** A module of the same form, whose `verify` traps at each token that begins with `x`, and calls all others right. */
  function trappingModule(): WebAssembly.Module {
    const section = (id: number, ...content: number[]) => [id, content.length, ...content]
    const name = (text: string) => [text.length, ...bytes(text)]
    const body = (...code: number[]) => [code.length + 2, 0, ...code, 0x0b]
    const functions = ['buffer', 'buffer_bytes', 'import_key', 'drop_key', 'verify']
    return new WebAssembly.Module(
      new Uint8Array([
        ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
        ...section(1, 3, 0x60, 0, 1, 0x7f, 0x60, 3, 0x7f, 0x7f, 0x7f, 1, 0x7f, 0x60, 1, 0x7f, 0),
        ...section(3, 5, 0, 0, 1, 2, 1),
        ...section(5, 1, 0, 1),
        ...section(7, 6, ...name('memory'), 2, 0, ...functions.flatMap((text, index) => [...name(text), 0, index])),
        ...section(
          10,
          5,
          ...body(0x41, 0),
          ...body(0x41, 0x80, 0x08),
          ...body(0x41, 0),
          ...body(),
          // if (memory[0] === 'x') unreachable; return 1
          ...body(0x41, 0, 0x2d, 0, 0, 0x41, 0xf8, 0, 0x46, 0x04, 0x40, 0x00, 0x0b, 0x41, 1),
        ),
      ]),
    )
  }

  test('rejects the token that caused it, and the next is checked by a new instance', () => {
    const trapping = new SignatureChecker(trappingModule())
    const key = trapping.importKey('HS256', bytes(SECRET))
    for (let round = 0; round < 3; round += 1) {
      expect(trapping.verify(key, 'a.b.c')).toBe(true)
      expect(trapping.verify(key, 'x.b.c')).toBe(false)
    }
  })
})
