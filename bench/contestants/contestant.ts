import { generateKeyPairSync } from 'node:crypto'

export type BenchAlgorithm = 'HS256' | 'RS256' | 'ES256' | 'EdDSA'

export interface Keys {
  /** A shared secret as text, or a PEM of the private and of the public key. */
  readonly signing: string
  readonly verifying: string
}

/** Gives the claims of a token, or throws (or rejects) where the token is not right. */
export type Verify = (token: string) => unknown

/** A library that verifies tokens. */
export interface Contestant {
  readonly name: string
  /** What it does for its time, in a few words. */
  readonly note: string
  readonly isAsync: boolean
  /** What it can do of the bench's algorithms; all of them where it does not say. */
  readonly algorithms?: readonly BenchAlgorithm[]
  readonly create: (algorithm: BenchAlgorithm, keys: Keys) => Verify | Promise<Verify>
}

export function makeKeys(algorithm: BenchAlgorithm): Keys {
  if (algorithm === 'HS256') {
    const secret = 'a secret for benches alone, of a length that HS256 asks for'
    return { signing: secret, verifying: secret }
  }
  const pair = makePair(algorithm)
  return {
    signing: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    verifying: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  }
}

function makePair(algorithm: Exclude<BenchAlgorithm, 'HS256'>) {
  if (algorithm === 'RS256') return generateKeyPairSync('rsa', { modulusLength: 2048 })
  return algorithm === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'prime256v1' }) : generateKeyPairSync('ed25519')
}

/** Tokens that a contestant must refuse before it is timed, by what is wrong with them. */
export function badTokens(good: string, other: string, expired: string): Readonly<Record<string, string>> {
  const [head = '', body = '', signature = ''] = good.split('.')
  const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
  return {
    'another signature': `${head}.${body}.${other.split('.')[2]}`,
    'another payload': `${head}.${other.split('.')[1]}.${signature}`,
    'no signature': `${head}.${body}.`,
    'the algorithm none': `${none}.${body}.`,
    'an end in the past': expired,
    'no form': 'x.y.z',
  }
}

/** Proves that a contestant does the work: it accepts the good token and refuses the bad ones. */
export async function check(
  { name }: Contestant,
  verify: Verify,
  tokens: { readonly good: string; readonly bad: Readonly<Record<string, string>> },
) {
  const claims = (await verify(tokens.good)) as { readonly sub?: string } | undefined
  if (claims?.sub !== 'bench') throw new Error(`${name} does not give the claims of a good token`)
  for (const [fault, token] of Object.entries(tokens.bad)) {
    const isAccepted = await Promise.resolve()
      .then(() => verify(token))
      .then(
        () => true,
        () => false,
      )
    if (isAccepted) throw new Error(`${name} accepts a token with ${fault}`)
  }
}
