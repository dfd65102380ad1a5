import { VestalError } from '../core/errors.ts'
import { ALGORITHMS, type Algorithm } from '../jose/algorithms.ts'
import { readHeader } from '../jose/compact.ts'
import type { Jwk } from '../jose/jwk-members.ts'
import { KeyError } from '../jose/key-error.ts'
import { importKeys, KEYS_MAX, type KeyInput } from '../jose/key-set.ts'
import type { Key } from '../jose/keys.ts'
import { checkOptions, createPublishedVerifier, createVerifier, type VerifiedJwt, type VerifyOptions } from '../jose/verify.ts'
import { createRemoteKeys, type RemoteKeys, type RemoteKeysOptions } from '../jwks/remote-keys.ts'
import { type ClaimReaders, createClaimReaders, type GrantRules } from './claim-mapping.ts'

/** Somebody else whose tokens are accepted: who they are, which keys are theirs, and what their claims mean here. */
export interface TrustedIssuer extends GrantRules {
  /** The `iss` of their tokens, to the letter. */
  readonly name: string
  /** Their keys: PEM text, a JWK, a JWK Set, a shared secret, or keys that were imported. Give these or `jwksUrl`. */
  readonly keys?: KeyInput
  /** Where their keys are published as a JWK Set: an `https:` address, or `http:` on this machine. */
  readonly jwksUrl?: string
  /** Times and limits of that address. */
  readonly jwks?: RemoteKeyLimits
  /** Names that this service has in their tokens; at least one, since they have other customers too. */
  readonly audiences: readonly string[]
  /** The claim that names the audience; default `aud`. */
  readonly audienceClaim?: string
  /** Algorithms accepted of those that their keys allow; all of them by default. */
  readonly algorithms?: readonly Algorithm[]
  /** Accepted `typ` values; default what the authenticator accepts. */
  readonly types?: readonly string[]
  /** Claims that must be there beside `exp`; default none. */
  readonly requiredClaims?: readonly string[]
  /** Claims that must have one value, such as `token_use: 'access'`. */
  readonly requiredValues?: Readonly<Record<string, string>>
  /** Longest time from `iat` to `exp`, in seconds; default what the authenticator accepts. */
  readonly lifetimeSecondsMax?: number
}

/** How the tokens of one issuer are checked and read, ready for tokens. */
export interface IssuerPolicy extends ClaimReaders {
  /** True where the keys are shared secrets. */
  readonly isSymmetric: boolean
  /** True for one's own keys, where one of them can sign: who makes tokens with them is this server, or has its secret. */
  readonly isOwn: boolean
  /**
   * The verified token, or a promise where keys must be fetched first: ask again when it is settled.
   * @throws VestalError
   */
  readonly verify: (token: string) => VerifiedJwt | Promise<void>
  /** Milliseconds since 1970 until which what was verified counts, as far as the keys decide. */
  readonly untilMs: () => number
  /** The keys at their address, where they have one. */
  readonly remote?: RemoteKeys
  /** The address and its limits: the same text is the same keys. */
  readonly source?: string
}

export type RemoteKeyLimits = Pick<
  RemoteKeysOptions,
  'maxAgeSeconds' | 'staleSeconds' | 'cooldownSeconds' | 'timeoutMs' | 'bytesMax'
>

/** What all issuers share. */
export interface SharedRules extends VerifyOptions {
  readonly schedule?: RemoteKeysOptions['schedule']
  readonly warn?: RemoteKeysOptions['warn']
  /** Hears that an issuer has other keys from now on. */
  readonly keysChanged: () => void
}

/** Trusted issuers; more are refused at the start. */
export const ISSUERS_MAX = 64

const NO_ISSUERS: ReadonlyMap<string, IssuerPolicy> = new Map()

/**
 * Prepares the checks of all issuers, by name. Keys at an address that are there `before` are taken over as they are: they need not be
 * fetched again, and count while the address cannot be reached.
 * @throws KeyError, TypeError when there are too many, or two of one name
 */
export function compileIssuers(
  issuers: readonly TrustedIssuer[],
  shared: SharedRules,
  before = NO_ISSUERS,
): ReadonlyMap<string, IssuerPolicy> {
  if (issuers.length > ISSUERS_MAX) throw new TypeError(`at most ${ISSUERS_MAX} issuers are accepted`)
  const names = issuers.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new TypeError(`two issuers have the name "${twice}"`)
  const compiled = new Map<string, IssuerPolicy>()
  for (const issuer of issuers)
    compiled.set(
      issuer.name,
      orClose(
        () => compileIssuer(issuer, shared, before.get(issuer.name)),
        () => closeRemotes(compiled, before),
      ),
    )
  return compiled
}

/** Fetches the keys no more that are the first's alone. */
export function closeRemotes(issuers: ReadonlyMap<string, IssuerPolicy>, others = NO_ISSUERS): void {
  const kept = new Set(remotesOf(others).map(([, remote]) => remote))
  for (const [, remote] of remotesOf(issuers)) if (!kept.has(remote)) remote.close()
}

/** The keys at addresses, by issuer. */
export function remotesOf(issuers: ReadonlyMap<string, IssuerPolicy>): readonly (readonly [name: string, remote: RemoteKeys])[] {
  return [...issuers].flatMap(([name, { remote }]) => (remote === undefined ? [] : [[name, remote] as const]))
}

/** Does work, and closes what was begun before it where it fails. */
export function orClose<T>(work: () => T, close: () => void): T {
  try {
    return work()
  } catch (error) {
    close()
    throw error
  }
}

/**
 * Prepares the check of one issuer's tokens. `shared` are the options that hold for every issuer.
 * @throws KeyError, TypeError when keys or rules cannot be used
 */
function compileIssuer(issuer: TrustedIssuer, shared: SharedRules, before: IssuerPolicy | undefined): IssuerPolicy {
  const { name, keys, jwksUrl, audiences } = issuer
  if (typeof name !== 'string' || name === '') throw new TypeError('an issuer needs a "name", the "iss" of its tokens')
  if (!Array.isArray(audiences) || audiences.length === 0) throw new TypeError(`the issuer "${name}" needs "audiences"`)
  if ((keys === undefined) === (jwksUrl === undefined)) throw new TypeError(`the issuer "${name}" needs "keys" or "jwksUrl"`)
  const options = rulesOf(issuer, shared)
  checkOptions(options)
  const readers = createClaimReaders(issuer)
  if (keys !== undefined) {
    const published = publishedKeysIn(keys)
    const isPrivate = (published ?? importKeys(keys)).some(({ kind, canSign }) => kind !== 'oct' && canSign)
    // Whoever has it can sign in the issuer's name, so it belongs to the issuer alone.
    if (isPrivate) throw new KeyError(`the key of the issuer "${name}" is a private one; ask for the public one`)
    if (published === undefined) return { ...localPolicy(keys, options, readers), isOwn: false }
    const verify = createPublishedVerifier(published, options)
    return { isSymmetric: false, isOwn: false, verify, ...readers, untilMs: () => Number.POSITIVE_INFINITY }
  }
  const { keysChanged, schedule, warn } = shared
  const { algorithms } = options
  if (algorithms?.some((algorithm) => ALGORITHMS[algorithm].kind === 'oct'))
    throw new TypeError('published keys cannot be for HMAC')
  const source = JSON.stringify([jwksUrl, issuer.jwks, algorithms])
  const known = before?.source === source ? before.remote : undefined
  const remote =
    known ??
    createRemoteKeys(jwksUrl ?? '', keysChanged, {
      ...issuer.jwks,
      ...(algorithms && { algorithms }),
      ...(schedule && { schedule }),
      ...(warn && { warn }),
      ...(shared.now && { now: shared.now }),
    })
  return {
    isSymmetric: false,
    isOwn: false,
    ...readers,
    remote,
    source,
    untilMs: () => remote.untilMs(),
    verify: remoteCheck(remote, options),
  }
}

/** The public keys of a set that was read from a file (`readKeySet`): as at an address, several may have one name. */
function publishedKeysIn(keys: KeyInput): readonly Key[] | undefined {
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > KEYS_MAX) return undefined
  // The cast is what the check establishes: what has not been imported has no `verifying`.
  const isPublished = keys.every(
    (key: Key | Jwk) => typeof key === 'object' && key !== null && 'verifying' in key && key.kind !== 'oct',
  )
  return isPublished ? (keys as readonly Key[]) : undefined
}

/** The policy of keys that are here. */
export function localPolicy(keys: KeyInput, options: VerifyOptions, readers: ClaimReaders): IssuerPolicy {
  const pinned = options.algorithms?.length === 1 ? options.algorithms[0] : undefined
  const imported = importKeys(keys, {
    ...(pinned && { algorithm: pinned }),
    ...(options.interop && { interop: options.interop }),
  })
  return {
    isSymmetric: imported.some(({ kind }) => kind === 'oct'),
    isOwn: imported.some(({ canSign }) => canSign),
    verify: createVerifier(imported, options),
    ...readers,
    untilMs: () => Number.POSITIVE_INFINITY,
  }
}

/** A verifier of whatever keys count at the time; where the token's key is not among them, they are fetched again, though not often. */
function remoteCheck(remote: RemoteKeys, options: VerifyOptions): IssuerPolicy['verify'] {
  let known: { readonly keys: readonly Key[]; readonly verify: (token: string) => VerifiedJwt } | undefined
  return (token) => {
    const keys = remote.current()
    if (keys === undefined) return remote.renew() ?? unavailable(remote)
    if (known?.keys !== keys) known = { keys, verify: createPublishedVerifier(keys, options) }
    try {
      return known.verify(token)
    } catch (error) {
      if (!(error instanceof VestalError && error.code === 'KEY_UNKNOWN' && hasKeyId(token))) throw error
      const renewal = remote.renew()
      if (renewal !== undefined) return renewal
      // The key may be a new one that cannot be fetched: a 401 would make clients throw a good token away.
      if (remote.isFailing()) return unavailable(remote)
      throw error
    }
  }
}

function hasKeyId(token: string): boolean {
  return readHeader(token.slice(0, token.indexOf('.'))).kid !== undefined
}

function unavailable(remote: RemoteKeys): never {
  const headers = { 'retry-after': String(remote.retryAfterSeconds()) }
  throw new VestalError('KEYS_UNAVAILABLE', { reason: 'the issuer’s keys cannot be fetched', headers })
}

/** `interop` is for tokens of one's own: an issuer's tokens are checked to the letter. */
function rulesOf(issuer: TrustedIssuer, shared: VerifyOptions): VerifyOptions {
  const { name, audiences, audienceClaim, algorithms, requiredClaims, requiredValues } = issuer
  const { signatureBackend, now, leewaySeconds, tokenBytesMax } = shared
  const { types = shared.types, lifetimeSecondsMax = shared.lifetimeSecondsMax } = issuer
  return {
    issuers: [name],
    audiences,
    ...(signatureBackend !== undefined && { signatureBackend }),
    ...(now !== undefined && { now }),
    ...(leewaySeconds !== undefined && { leewaySeconds }),
    ...(tokenBytesMax !== undefined && { tokenBytesMax }),
    ...(audienceClaim !== undefined && { audienceClaim }),
    ...(algorithms !== undefined && { algorithms }),
    ...(types !== undefined && { types }),
    ...(requiredClaims !== undefined && { requiredClaims: ['exp', ...requiredClaims] }),
    ...(requiredValues !== undefined && { requiredValues }),
    ...(lifetimeSecondsMax !== undefined && { lifetimeSecondsMax }),
  }
}
