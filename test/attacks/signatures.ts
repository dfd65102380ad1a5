import { createHash, createHmac, sign } from 'node:crypto'
import { forge, goodClaims, ORDER_OF_P256, PAIRS, pssSignature, rawRsa, signatureOver, toBase64url } from '../support/forge.ts'
import { SECRET } from '../support/tokens.ts'
import { type Attack, attacks } from './attack.ts'

/** The prime of P-256. */
const PRIME = BigInt('0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF')

/** §2.2: the bytes of the signature. */
export function signatureAttacks(): readonly Attack[] {
  return [...parts(), ...macs(), ...curves(), ...paddings(), ...exchanged()]
}

function parts(): readonly Attack[] {
  return (['HS256', 'RS256', 'ES256', 'EdDSA'] as const).flatMap((target) => {
    const token = forge({ target })
    const [head, body, signature] = token.split('.')
    return attacks(
      'S1',
      {
        'no signature': `${head}.${body}.`,
        'no second dot': `${head}.${body}`,
        'one part': head ?? '',
        'dots alone': '..',
        'more dots': '....',
        'no header': `.${body}.${signature}`,
        'no payload': `${head}..${signature}`,
        'four parts': `${token}.${signature}`,
        'five parts': `${token}.${body}.${signature}`,
        'six parts': `${token}.${token}`,
        'a thousand parts': 'a.'.repeat(1000),
      },
      { target },
    )
  })
}

function macs(): readonly Attack[] {
  const mac = signatureOver(forge().split('.').slice(0, 2).join('.'))
  const input = forge().split('.').slice(0, 2).join('.')
  const right = signatureOver(input)
  const wrong: Readonly<Record<string, Uint8Array>> = {
    '1 byte of it': right.subarray(0, 1),
    '16 bytes of it': right.subarray(0, 16),
    '31 bytes of it': right.subarray(0, 31),
    'a byte more': Buffer.concat([right, Buffer.from([0])]),
    'it twice': Buffer.concat([right, right]),
    zeros: Buffer.alloc(32),
    'one bit flipped': right.map((byte, index) => (index === 31 ? byte ^ 1 : byte)),
    'that of SHA-384': createHmac('sha384', SECRET).update(input).digest(),
    'that of SHA-384, cut': createHmac('sha384', SECRET).update(input).digest().subarray(0, 32),
    'the hash without a secret': createHash('sha256').update(input).digest(),
    'its hexadecimal text': Buffer.from(right.toString('hex')),
    'that of a moment ago': mac.map((byte) => byte ^ 255),
  }
  return attacks(
    'S2',
    Object.fromEntries(
      Object.entries(wrong).map(([what, signature]) => [
        `a MAC that is ${what}`,
        `${input}.${Buffer.from(signature).toString('base64url')}`,
      ]),
    ),
  )
}

function curves(): readonly Attack[] {
  const token = forge({ target: 'ES256' })
  const input = token.slice(0, token.lastIndexOf('.'))
  const raw = Buffer.from(token.slice(input.length + 1), 'base64url')
  const [r, s] = [raw.subarray(0, 32), raw.subarray(32)]
  const der = sign('sha256', Buffer.from(input), PAIRS.ES256.privateKey)
  const special: Readonly<Record<string, bigint>> = {
    '0': 0n,
    '1': 1n,
    n: ORDER_OF_P256,
    'n-1': ORDER_OF_P256 - 1n,
    'n+1': ORDER_OF_P256 + 1n,
    p: PRIME,
    '2^256-1': 2n ** 256n - 1n,
  }
  const psychic = Object.entries(special).flatMap(([first, one]) =>
    Object.entries(special).map(
      ([second, two]) => [`r=${first}, s=${second}`, Buffer.concat([bytes32(one), bytes32(two)])] as const,
    ),
  )
  const beyond = (
    [
      [r, ORDER_OF_P256],
      [s, ORDER_OF_P256],
    ] as const
  ).map(([part, order], index) => {
    const moved = BigInt(`0x${part.toString('hex')}`) + order
    // Beyond 256 bits there is no such signature to send.
    const fits = moved < 2n ** 256n
    const parts32 = index === 0 ? [fits ? bytes32(moved) : bytes32(order), s] : [r, fits ? bytes32(moved) : bytes32(order)]
    return [`${index === 0 ? 'r' : 's'} plus n`, Buffer.concat(parts32)] as const
  })
  const lengths: Readonly<Record<string, Buffer>> = {
    '63 bytes': raw.subarray(0, 63),
    '63 bytes, the first gone': raw.subarray(1),
    '65 bytes': Buffer.concat([raw, Buffer.from([0])]),
    '65 bytes, a zero in front': Buffer.concat([Buffer.from([0]), raw]),
    '96 bytes': Buffer.concat([raw, s]),
    '32 bytes': r,
    'r and s exchanged': Buffer.concat([s, r]),
  }
  const asTokens = (signatures: Iterable<readonly [string, Buffer]>) =>
    Object.fromEntries([...signatures].map(([what, signature]) => [what, `${input}.${signature.toString('base64url')}`]))
  const ed = forge({ target: 'EdDSA' })
  const edInput = ed.slice(0, ed.lastIndexOf('.'))
  return [
    ...attacks('S3', asTokens([...psychic, ...beyond]), { target: 'ES256' }),
    ...attacks('S4', asTokens([['DER', der]]), { target: 'ES256' }),
    ...attacks('S5', asTokens(Object.entries(lengths)), { target: 'ES256' }),
    ...attacks('S5', { 'zeros of EdDSA': `${edInput}.${Buffer.alloc(64).toString('base64url')}` }, { target: 'EdDSA' }),
  ]
}

/** `DigestInfo` of SHA-256 (RFC 8017 §9.2). */
const DIGEST_INFO = Buffer.from('3031300d060960864801650304020105000420', 'hex')

function paddings(): readonly Attack[] {
  const input = forge({ target: 'RS256' }).split('.').slice(0, 2).join('.')
  const hash = createHash('sha256').update(input).digest()
  const encoded = (content: Buffer, { type = 1, fill = 0xff, length = 256 - 3 - content.length, after = Buffer.alloc(0) } = {}) =>
    Buffer.concat([Buffer.from([0, type]), Buffer.alloc(length, fill), Buffer.from([0]), content, after])
  const right = Buffer.concat([DIGEST_INFO, hash])
  const withoutNull = Buffer.concat([Buffer.from('302f300b0609608648016503040201', 'hex'), Buffer.from('0420', 'hex'), hash])
  const garbage = Buffer.alloc(256 - 3 - right.length - 8, 0x41)
  const sha1 = Buffer.concat([Buffer.from('3021300906052b0e03021a05000414', 'hex'), createHash('sha1').update(input).digest()])
  const messages: Readonly<Record<string, Buffer>> = {
    'without the NULL of the algorithm': encoded(withoutNull),
    'with block type 2': encoded(right, { type: 2 }),
    'with block type 0': encoded(right, { type: 0 }),
    'filled with zeros': encoded(right, { fill: 0 }),
    'filled with FE': encoded(right, { fill: 0xfe }),
    'filled with 8 bytes, and garbage at the end (Bleichenbacher 2006)': encoded(right, { length: 8, after: garbage }),
    'without DigestInfo': encoded(hash),
    'of SHA-1': encoded(sha1),
    'with a byte more in the hash': encoded(Buffer.concat([DIGEST_INFO, hash, Buffer.from([0])])),
  }
  const byRsa = (signature: Uint8Array) => `${input}.${Buffer.from(signature).toString('base64url')}`
  const sound = rawRsa(encoded(right))
  const ps = `${toBase64url({ alg: 'PS256', typ: 'JWT' })}.${toBase64url(goodClaims())}`
  const salts = [0, 20, 31, 33, 64, 222]
  return [
    ...attacks(
      'S7',
      Object.fromEntries(Object.entries(messages).map(([what, message]) => [`padding ${what}`, byRsa(rawRsa(message))])),
      { target: 'RS256' },
    ),
    ...attacks(
      'S7',
      {
        'a byte less': byRsa(sound.subarray(1)),
        'a zero in front': byRsa(Buffer.concat([Buffer.from([0]), sound])),
        zeros: byRsa(Buffer.alloc(256)),
        one: byRsa(Buffer.concat([Buffer.alloc(255), Buffer.from([1])])),
      },
      { target: 'RS256' },
    ),
    ...attacks(
      'S7',
      Object.fromEntries(
        salts.map((length) => [`a salt of ${length} bytes`, `${ps}.${pssSignature(ps, length).toString('base64url')}`]),
      ),
      { target: 'RS256', options: { algorithms: ['PS256'] } },
    ),
  ]
}

/** The right signature of a raw message: for the sanity of the list above. */
export function soundRsaToken(): string {
  const input = forge({ target: 'RS256' }).split('.').slice(0, 2).join('.')
  const content = Buffer.concat([DIGEST_INFO, createHash('sha256').update(input).digest()])
  const message = Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(256 - 3 - content.length, 0xff), Buffer.from([0]), content])
  return `${input}.${rawRsa(message).toString('base64url')}`
}

function exchanged(): readonly Attack[] {
  return (['HS256', 'RS256', 'ES256', 'EdDSA'] as const).flatMap((target) => {
    const [head, body, signature] = forge({ target, payload: { ...goodClaims(), data: {} } }).split('.')
    const [otherHead, otherBody] = forge({
      target,
      header: { alg: target, typ: 'at+jwt' },
      payload: { ...goodClaims(), sub: 'admin' },
    }).split('.')
    const tokens = {
      'another’s payload': `${head}.${otherBody}.${signature}`,
      'another’s header': `${otherHead}.${body}.${signature}`,
      'parts exchanged': `${body}.${head}.${signature}`,
    }
    return attacks('S8', tokens, { target })
  })
}

function bytes32(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(64, '0'), 'hex')
}
