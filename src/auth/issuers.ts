import type { Change } from '../core/change.ts'
import { VestalError } from '../core/errors.ts'
import { ALGORITHMS, type Algorithm } from '../jose/algorithms.ts'
import { bytesOfBase64url } from '../jose/base64url.ts'
import { readHeader, splitCompact } from '../jose/compact.ts'
import type { Jwk } from '../jose/jwk-members.ts'
import { KeyError } from '../jose/key-error.ts'
import { importKeys, KEYS_MAX, type KeyInput } from '../jose/key-set.ts'
import type { Key } from '../jose/keys.ts'
import { readStrictObject } from '../jose/strict-json.ts'
import { createPublishedVerifier, createVerifier, type VerifiedJwt, type VerifyOptions } from '../jose/verify.ts'
import { createRemoteKeys, type RemoteKeys, type RemoteKeysOptions, type RemoteKeysStatistics } from '../jwks/remote-keys.ts'
import { type ClaimReaders, createClaimReaders, type GrantRules } from './permissions.ts'

/** A trusted issuer of tokens: its name, its keys, and what its claims mean here. */
export interface TrustedIssuer extends GrantRules {
  /** The `iss` of their tokens, to the letter. */
  readonly name: string
  /** Their keys: PEM text, a JWK, a JWK Set, a shared secret, or keys that were imported. Give these or `jwksUrl`. */
  readonly keys?: KeyInput
  /** Where their keys are published as a JWK Set: an `https:` address, or `http:` on this machine. */
  readonly jwksUrl?: string
  /** Times and limits of that address. */
  readonly jwks?: RemoteKeyLimits
  /** Names that this service has in their tokens; at least one, since an issuer has other customers too. */
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

/** How the keys of an issuer are fetched, cached and kept; each has a default. */
export type RemoteKeyLimits = Pick<
  RemoteKeysOptions,
  'maxAgeSeconds' | 'staleSeconds' | 'cooldownSeconds' | 'timeoutMs' | 'bytesMax'
>

/** Rules that may change while they are used. */
export interface ChangingRules {
  /** A text is a name that tokens of your own keys may have in `iss`; an object is an issuer with keys of its own. */
  readonly issuers?: readonly (string | TrustedIssuer)[] | undefined
  /** Claims that your own tokens must have. */
  readonly requiredClaims?: readonly string[] | undefined
}

export interface IssuersOptions extends ChangingRules, Omit<VerifyOptions, 'issuers' | 'requiredClaims'> {
  readonly secret?: string | Uint8Array | undefined
  readonly keys?: KeyInput | undefined
  readonly algorithm?: Algorithm | undefined
  readonly schedule?: RemoteKeysOptions['schedule']
  readonly warn?: RemoteKeysOptions['warn']
}

/** How the tokens of one issuer are checked and read. */
export interface IssuerPolicy extends ClaimReaders {
  /** True where the keys are shared secrets. */
  readonly isSymmetric: boolean
  /** True for your own keys, where one of them can sign: who makes tokens with them is this server, or has its secret. */
  readonly isOwn: boolean
  /**
   * The verified token, or a promise where keys must be fetched first: ask again when it is settled. It never rejects.
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

/** Whose tokens are accepted: those of your own keys, and those of trusted issuers. */
export interface Issuers {
  /** True where keys are fetched, so that a token may have to wait for them. */
  readonly mayWait: boolean
  /**
   * The policy for a token, by its `iss`. That claim is not verified yet: it picks whose keys are tried, each of which belongs to one issuer
   * alone, and the policy then requires that very `iss` (RFC 8725 §3.8).
   * @throws VestalError TOKEN_MALFORMED, ISSUER_REFUSED
   */
  policyOf(token: string): IssuerPolicy
  /** Replaces your own keys. @throws KeyError when they cannot be used */
  replaceKeys(keys: KeyInput): void
  /** Checks new rules and fetches the keys of new issuers; nothing changes before the change is applied. @throws KeyError, TypeError */
  prepareRules(rules: ChangingRules): Promise<Change>
  remoteKeyStatistics(): ReadonlyMap<string, RemoteKeysStatistics>
  /** Stops fetching keys. */
  close(): void
}

/** Trusted issuers; with more the start fails. */
const ISSUERS_MAX = 64

/**
 * Prepares the rules of your own tokens and of all trusted issuers. `changed` is called when what was verified before counts no more.
 * @throws KeyError, TypeError when they cannot be used
 */
export function createIssuers(options: IssuersOptions, changed: () => void): Issuers {
  let own = ownKeysOf(options)
  let trust = compileTrust(options, { options, own, changed, before: NOTHING })
  return {
    mayWait: remotesOf(trust).length > 0,
    policyOf: (token) => trust.policyOf(token),
    replaceKeys(keys) {
      trust = { ...trust, policyOf: trust.choose(keys) }
      own = keys
      changed()
    },
    async prepareRules(rules) {
      const next = compileTrust(rules, { options, own, changed, before: trust })
      const missing = remotesOf(next).filter(([, remote]) => remote.current() === undefined)
      await Promise.all(missing.map(([, remote]) => remote.renew()))
      return {
        discard: () => closeRemotes(next, trust),
        apply() {
          // Chosen again: your own keys may have been replaced meanwhile.
          const chosen = { ...next, policyOf: next.choose(own) }
          closeRemotes(trust, next)
          trust = chosen
          changed()
        },
      }
    },
    remoteKeyStatistics: () => new Map(remotesOf(trust).map(([name, remote]) => [name, remote.statistics])),
    close: () => closeRemotes(trust, NOTHING),
  }
}

/** The keys that the options name; none where issuers with keys of their own are named. @throws TypeError */
function ownKeysOf({ secret, keys, issuers = [] }: IssuersOptions): KeyInput | undefined {
  if (keys !== undefined && secret !== undefined) throw new TypeError('give "secret" or "keys", not both')
  const input = keys ?? secret
  if (input !== undefined || issuers.some((issuer) => typeof issuer === 'object')) return input
  throw new TypeError('authentication needs a "secret" or "keys", or "issuers" with keys of their own')
}

type PolicyChoice = (token: string) => IssuerPolicy

/** Rules that were checked, with the keys that they count with. */
interface Trust {
  readonly issuers: ReadonlyMap<string, IssuerPolicy>
  readonly policyOf: PolicyChoice
  /** The choice with different keys of your own. @throws KeyError, TypeError */
  readonly choose: (own: KeyInput | undefined) => PolicyChoice
}

type IssuersByName = Pick<Trust, 'issuers'>

const NOTHING: IssuersByName = { issuers: new Map() }

interface TrustContext {
  readonly options: IssuersOptions
  readonly own: KeyInput | undefined
  readonly changed: () => void
  /** Keys at an address that are here already are taken over: they need not be fetched again, and count while it cannot be reached. */
  readonly before: IssuersByName
}

/** Checks rules; where they cannot be used, what was opened for them is closed. @throws KeyError, TypeError */
function compileTrust({ issuers: named = [], requiredClaims }: ChangingRules, context: TrustContext): Trust {
  const { options, own, before } = context
  const names = named.filter((issuer) => typeof issuer === 'string')
  const others = named.filter((issuer) => typeof issuer === 'object')
  checkNames([...new Set(names), ...others.map(({ name }) => name)], others.length)
  const issuers = new Map<string, IssuerPolicy>()
  const { algorithm, algorithms = algorithm && [algorithm], ...rules } = options
  const ownRules = { ...rules, algorithms, requiredClaims, issuers: names.length > 0 ? names : undefined }
  const readers = createClaimReaders({}, { interop: options.interop })
  const choose = (keys: KeyInput | undefined) =>
    choosePolicy(keys === undefined ? undefined : localPolicy(keys, ownRules, readers), issuers, options)
  try {
    for (const issuer of others) issuers.set(issuer.name, issuerPolicy(issuer, context, before.issuers.get(issuer.name)))
    return { issuers, choose, policyOf: choose(own) }
  } catch (error) {
    closeRemotes({ issuers }, before)
    throw error
  }
}

/** Two issuers never share a name, and your own tokens share none with an issuer's: one could be mistaken for the other. @throws TypeError */
function checkNames(names: readonly string[], others: number): void {
  if (others > ISSUERS_MAX) throw new TypeError(`at most ${ISSUERS_MAX} issuers are accepted`)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new TypeError(`two issuers have the name "${twice}"`)
}

/** @throws KeyError when shared secrets stand beside public keys */
function choosePolicy(
  own: IssuerPolicy | undefined,
  issuers: ReadonlyMap<string, IssuerPolicy>,
  { tokenBytesMax, interop }: IssuersOptions,
): PolicyChoice {
  const policies = [...(own === undefined ? [] : [own]), ...issuers.values()]
  if (new Set(policies.map(({ isSymmetric }) => isSymmetric)).size > 1) {
    throw new KeyError('shared secrets and public keys are mixed among the issuers; give each of them a key pair')
  }
  if (own !== undefined && issuers.size === 0) return () => own
  return (token) => {
    const payload = readStrictObject(bytesOfBase64url(splitCompact(token, { tokenBytesMax, interop }).payload))
    if (typeof payload === 'string') throw new VestalError('TOKEN_MALFORMED', { reason: `the payload is ${payload}` })
    const policy = (typeof payload.iss === 'string' ? issuers.get(payload.iss) : undefined) ?? own
    if (policy === undefined) throw new VestalError('ISSUER_REFUSED', { reason: 'no trusted issuer has the name in "iss"' })
    return policy
  }
}

/** The policy of keys that are here. */
function localPolicy(keys: KeyInput, rules: VerifyOptions, readers: ClaimReaders): IssuerPolicy {
  const pinned = rules.algorithms?.length === 1 ? rules.algorithms[0] : undefined
  const imported = importKeys(keys, { algorithm: pinned, interop: rules.interop })
  return {
    isSymmetric: imported.some(({ kind }) => kind === 'oct'),
    isOwn: imported.some(({ canSign }) => canSign),
    verify: createVerifier(imported, rules),
    ...readers,
    untilMs: () => Number.POSITIVE_INFINITY,
  }
}

/** @throws KeyError, TypeError when the keys or rules of an issuer cannot be used */
function issuerPolicy(issuer: TrustedIssuer, context: TrustContext, before: IssuerPolicy | undefined): IssuerPolicy {
  const { name, keys, jwksUrl, audiences } = issuer
  if (typeof name !== 'string' || name === '') throw new TypeError('an issuer needs a "name", the "iss" of its tokens')
  if (!Array.isArray(audiences) || audiences.length === 0) throw new TypeError(`the issuer "${name}" needs "audiences"`)
  if ((keys === undefined) === (jwksUrl === undefined)) throw new TypeError(`the issuer "${name}" needs "keys" or "jwksUrl"`)
  const rules = issuerRules(issuer, context.options)
  const verifierOf = createPublishedVerifier(rules)
  const readers = createClaimReaders(issuer)
  if (jwksUrl !== undefined) return remotePolicy(jwksUrl, { issuer, rules, readers, verifierOf, context, before })
  // The cast is what the check above establishes.
  const given = keys as KeyInput
  const published = publishedKeysIn(given)
  const isPrivate = (published ?? importKeys(given)).some(({ kind, canSign }) => kind !== 'oct' && canSign)
  // Whoever has it can sign in the issuer's name, so it belongs only to the issuer.
  if (isPrivate) throw new KeyError(`the key of the issuer "${name}" is a private one; ask for the public one`)
  if (published === undefined) return { ...localPolicy(given, rules, readers), isOwn: false }
  return {
    isSymmetric: false,
    isOwn: false,
    verify: verifierOf(published),
    ...readers,
    untilMs: () => Number.POSITIVE_INFINITY,
  }
}

/** The rules of an issuer's tokens. `interop` is for your own: an issuer's tokens are checked to the letter. */
function issuerRules(issuer: TrustedIssuer, options: IssuersOptions): VerifyOptions {
  const { name, audiences, audienceClaim, algorithms, requiredClaims, requiredValues } = issuer
  const { signatureBackend, now, leewaySeconds, tokenBytesMax } = options
  const { types = options.types, lifetimeSecondsMax = options.lifetimeSecondsMax } = issuer
  return {
    issuers: [name],
    audiences,
    audienceClaim,
    algorithms,
    requiredClaims: requiredClaims && ['exp', ...requiredClaims],
    requiredValues,
    types,
    lifetimeSecondsMax,
    signatureBackend,
    now,
    leewaySeconds,
    tokenBytesMax,
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

interface RemoteIssuer {
  readonly issuer: TrustedIssuer
  readonly rules: VerifyOptions
  readonly readers: ClaimReaders
  readonly verifierOf: (keys: readonly Key[]) => (token: string) => VerifiedJwt
  readonly context: TrustContext
  readonly before: IssuerPolicy | undefined
}

/** The policy of keys at an address. @throws TypeError when the address, its limits or the algorithms cannot be used */
function remotePolicy(jwksUrl: string, { issuer, rules, readers, verifierOf, context, before }: RemoteIssuer): IssuerPolicy {
  const { algorithms, now } = rules
  const { schedule, warn } = context.options
  if (algorithms?.some((algorithm) => ALGORITHMS[algorithm].kind === 'oct'))
    throw new TypeError('published keys cannot be for HMAC')
  const source = JSON.stringify([jwksUrl, issuer.jwks, algorithms])
  const known = before?.source === source ? before.remote : undefined
  const remote = known ?? createRemoteKeys(jwksUrl, context.changed, { ...issuer.jwks, algorithms, schedule, warn, now })
  return {
    isSymmetric: false,
    isOwn: false,
    ...readers,
    remote,
    source,
    untilMs: () => remote.untilMs(),
    verify: verifyRemotely(remote, verifierOf),
  }
}

/** Verifies with the keys that count at the time; where the token's key is not among them, they are fetched again, though not often. */
function verifyRemotely(remote: RemoteKeys, verifierOf: RemoteIssuer['verifierOf']): IssuerPolicy['verify'] {
  let known: { readonly keys: readonly Key[]; readonly verify: (token: string) => VerifiedJwt } | undefined
  return (token) => {
    const keys = remote.current()
    if (keys === undefined) return remote.renew() ?? unavailable(remote)
    if (known?.keys !== keys) known = { keys, verify: verifierOf(keys) }
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

/** The keys at addresses, by issuer. */
function remotesOf({ issuers }: IssuersByName): readonly (readonly [name: string, remote: RemoteKeys])[] {
  return [...issuers].flatMap(([name, { remote }]) => (remote === undefined ? [] : [[name, remote] as const]))
}

/** Stops fetching the keys that only the first one has. */
function closeRemotes(trust: IssuersByName, others: IssuersByName): void {
  const kept = new Set(remotesOf(others).map(([, remote]) => remote))
  for (const [, remote] of remotesOf(trust)) if (!kept.has(remote)) remote.close()
}
