import type { Change } from '../core/change.ts'
import { type Holder, VestalError } from '../core/errors.ts'
import { after, type Maybe, orElse } from '../core/maybe.ts'
import { createPrincipal, type Principal } from '../core/principal.ts'
import type { CacheStatistics } from '../core/sieve-cache.ts'
import type { Algorithm } from '../jose/algorithms.ts'
import { holderOf } from '../jose/claims.ts'
import { createDecryptor, isEncrypted } from '../jose/decrypt.ts'
import type { DecryptionKeyInput } from '../jose/decryption-key.ts'
import type { KeyInput } from '../jose/key-set.ts'
import type { VerifiedJwt, VerifyOptions } from '../jose/verify.ts'
import type { RemoteKeysStatistics } from '../jwks/remote-keys.ts'
import { challengeOf, scopeOf, withChallenge } from './challenge.ts'
import { type CredentialOptions, createCredentialReader } from './credentials.ts'
import { type ChangingRules, createIssuers, type IssuerPolicy, type TrustedIssuer } from './issuers.ts'
import { compileGrants, type PermissionCheck } from './permissions.ts'
import { createTokenCache, type TokenCacheOptions } from './token-cache.ts'

/** Which tokens are accepted, and where a request carries them. */
export interface AuthenticationOptions extends CredentialOptions, TokenCacheOptions, Omit<VerifyOptions, 'issuers'> {
  /** A shared secret, as text or bytes. Give this or `keys`. */
  readonly secret?: string | Uint8Array | undefined
  /** PEM text, a JWK, a JWK Set, or keys that were imported. Give this or `secret`. */
  readonly keys?: KeyInput | undefined
  /** The one accepted algorithm; default HS256 for a secret, what the key says for the rest. */
  readonly algorithm?: Algorithm | undefined
  /** A text is a name that tokens of your own keys may have in `iss`; an object is an issuer with keys of its own. */
  readonly issuers?: readonly (string | TrustedIssuer)[] | undefined
  /** `iss` of the tokens that are made here: with it, a token of your own keys is local. Default: tokens made here have none. */
  readonly localIssuer?: string | undefined
  /** Names the protected space in `WWW-Authenticate` (RFC 9110 §11.5); default `vestal`. */
  readonly realm?: string | undefined
  /** Decrypts encrypted tokens, which are rejected without it: the PEM of a private key, or a JWK. */
  readonly decryptionKey?: DecryptionKeyInput | undefined
  /** Called with each request's token, cached or not; true rejects it. It must answer at once. */
  readonly isRevoked?: ((token: AuthenticatedToken) => boolean) | undefined
  /** Called when an issuer's keys cannot be fetched, and when they can again; default writes to the standard error. */
  readonly warn?: ((message: string) => void) | undefined
  /** Runs work later and returns how to cancel it; default a timer that keeps no process alive. */
  readonly schedule?: ((work: () => void, delayMs: number) => () => void) | undefined
}

/** The options of a library user, and what a server adds to the chain. */
export interface AuthenticatorOptions extends AuthenticationOptions {
  /** Accepts API keys as well: in `X-API-Key`, or in `Authorization: Bearer`. */
  readonly apiKeys?: ApiKeys | undefined
  /** Rejects permissions, by throwing, while it is unknown what was revoked. */
  readonly checkFreshness?: ((required: readonly string[]) => void) | undefined
  /** Stands around the authentication of each request. */
  readonly watch?: AuthenticationWatch | undefined
}

export interface ApiKeys {
  /** @throws VestalError API_KEY_REFUSED */
  find(text: string): { readonly token: AuthenticatedToken }
}

/** Records, counts, traces and limits authentication. */
export interface AuthenticationWatch {
  /** True where it may have to wait. */
  readonly mayWait: boolean
  /** Authenticates a request; it may reject what was accepted, and never accepts what was rejected. */
  around(request: Request, authenticate: Authenticator['authenticate']): Maybe<AuthenticatedToken>
}

/** Tells who a request is from, and whether they may. */
export interface Authenticator {
  /** True where a request may have to wait: for an issuer's keys, a decryption, or a limit that processes share. */
  readonly mayWait: boolean
  /**
   * The verified token of a request; a promise only where `mayWait`. A cached token is frozen: the same text gives the same object again.
   * @throws VestalError with status 400, 401, 403 or 503, and a `WWW-Authenticate` header where RFC 6750 §3 asks for one
   */
  authenticate(request: Request): Maybe<AuthenticatedToken>
  /**
   * Passes when the token grants all of the permissions.
   * @throws VestalError PERMISSION_MISSING, STORE_UNAVAILABLE
   */
  authorize(token: AuthenticatedToken, required: readonly string[]): void
  /**
   * The verified token of a text that no request carries as its credential, such as one to introspect. Any text may be given.
   * @throws VestalError as `authenticate` does; TOKEN_MALFORMED where the text can be no token
   */
  verifyText(text: string): Promise<AuthenticatedToken>
  /** Replaces your own keys; what was verified before is forgotten at once. */
  replaceKeys(keys: KeyInput): void
  /**
   * Checks rules that are to replace those of the options, and waits until the keys of new issuers were asked for. Where they are applied,
   * what was verified before is forgotten at once. Issuers that stay keep the keys that were fetched.
   * @throws KeyError, TypeError when they cannot be used
   */
  prepareRules(rules: ChangingRules): Promise<Change>
  readonly cacheStatistics: CacheStatistics
  /** Statistics of the keys that are fetched, by issuer. */
  readonly remoteKeyStatistics: ReadonlyMap<string, RemoteKeysStatistics>
  /** Stops fetching keys. */
  close(): void
}

/** A verified token with its caller and permissions: the `token` of a handler. */
export interface AuthenticatedToken extends VerifiedJwt {
  /** Who the caller is. Made once for a verified token, not for each request. */
  readonly principal: Principal
  /** Answers whether the token grants all of these permissions. */
  readonly allows: PermissionCheck
  /** Roles that the token has here, for limits by role: those of its issuer's mapping, whatever else its claims name. */
  readonly roles: readonly string[]
}

/** Times that one token waits for keys: for an issuer's first set, and for a newer one with its key. */
const KEY_WAITS_MAX = 2

/**
 * Builds the chain credential → token or API key → principal → revoked? → permissions. Keys, credentials and rules are prepared once, so that
 * a request costs only its own work. A step that must wait gives a promise, and the rest follows it.
 * @throws KeyError, TypeError when keys or options cannot be used
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { realm = 'vestal', headerPrefix = 'Bearer', apiKeys, isRevoked, checkFreshness, watch, decryptionKey } = options
  const challenge = challengeOf(realm, headerPrefix)
  const credentials = createCredentialReader(options)
  const cache = createTokenCache<AuthenticatedToken>(options)
  const decrypt = decryptionKey === undefined ? undefined : createDecryptor(decryptionKey, options)
  const issuers = createIssuers(options, () => cache.clear())
  const mayWait = issuers.mayWait || decrypt !== undefined || watch?.mayWait === true

  const identify = (request: Request): Maybe<AuthenticatedToken> => {
    const key = apiKeys && credentials.apiKey(request)
    if (apiKeys !== undefined && key !== undefined) return apiKeys.find(key).token
    const header = credentials.header(request)
    const cached = header === null ? undefined : cache.recall(header)
    if (cached !== undefined) return rejectRevoked(cached)
    const text = header === null ? credentials.tokenOfCookie(request) : credentials.tokenOfHeader(header)
    if (text === undefined) throw new VestalError('TOKEN_MISSING', { reason: 'no token was sent' })
    return identifyToken(text, header, mayWait ? KEY_WAITS_MAX : 0)
  }

  const identifyToken = (text: string, header: string | null, waitsMax: number): Maybe<AuthenticatedToken> => {
    const canonical = credentials.canonical(text, header)
    const cached = header === canonical ? undefined : cache.recall(canonical)
    if (cached !== undefined) return rejectRevoked(cached)
    const signed = decrypt !== undefined && isEncrypted(text) ? decrypt(text) : text
    return after(
      after(signed, (token) => verify(token, canonical, waitsMax)),
      rejectRevoked,
    )
  }

  const verify = (signed: string, canonical: string, waitsMax: number): Maybe<AuthenticatedToken> => {
    // Chosen anew after each wait: keys and rules may be different by then, and the cache was cleared with the old ones.
    const policy = issuers.policyOf(signed)
    const verified = verifiedBy(policy, signed)
    if (!(verified instanceof Promise)) {
      const token = tokenOf(verified, policy)
      cache.remember(canonical, token, policy.untilMs())
      return token
    }
    if (waitsMax > 0) return verified.then(() => verify(signed, canonical, waitsMax - 1))
    const headers = { 'retry-after': '1' }
    throw new VestalError('KEYS_UNAVAILABLE', { reason: 'the keys are still being fetched', headers })
  }

  const rejectRevoked = (token: AuthenticatedToken): AuthenticatedToken => {
    if (isRevoked?.(token) !== true) return token
    const holder = { ...holderOf(token.payload), principal: token.principal }
    throw new VestalError('TOKEN_REVOKED', { reason: 'the token is revoked', holder })
  }

  const tokenOf = ({ header, payload }: VerifiedJwt, policy: IssuerPolicy): AuthenticatedToken => {
    const { iss, sub } = payload
    const grants = policy.grantsOf(payload)
    return {
      header,
      payload,
      // Where claims may be null, a null one is absent.
      principal: principalOf(policy, { issuer: iss ?? undefined, subject: sub ?? undefined }),
      allows: compileGrants(grants),
      roles: policy.rolesOf(payload, grants),
    }
  }

  /** What the issuer's policy says of a token; a rejection of one whose signature is right names its principal. */
  const verifiedBy = (policy: IssuerPolicy, signed: string): VerifiedJwt | Promise<void> => {
    try {
      return policy.verify(signed)
    } catch (error) {
      if (!(error instanceof VestalError) || error.holder?.names === undefined) throw error
      const { code, message: reason, holder } = error
      throw new VestalError(code, { reason, holder: { ...holder, principal: principalOf(policy, error.holder.names) } })
    }
  }

  const principalOf = ({ isOwn }: IssuerPolicy, { issuer, subject }: Names): Principal =>
    createPrincipal({ isLocal: isOwn && issuer === options.localIssuer, issuer, subject })

  const challenged = (error: unknown): never => {
    throw error instanceof VestalError ? withChallenge(error, challenge) : error
  }
  const authenticate = (request: Request) => orElse(request, identify, challenged)
  return {
    mayWait,
    authenticate: watch === undefined ? authenticate : (request) => watch.around(request, authenticate),
    authorize(token, required) {
      checkFreshness?.(required)
      if (token.allows(required)) return
      const header = `${challenge}, error="insufficient_scope"${scopeOf(required)}`
      throw new VestalError('PERMISSION_MISSING', {
        reason: `needs ${required.join(', ')}`,
        headers: { 'www-authenticate': header },
      })
    },
    verifyText: async (text) => orElse(text, (token) => identifyToken(token, null, KEY_WAITS_MAX), challenged),
    replaceKeys: issuers.replaceKeys,
    prepareRules: issuers.prepareRules,
    get cacheStatistics() {
      return cache.statistics
    },
    get remoteKeyStatistics() {
      return issuers.remoteKeyStatistics()
    },
    close: issuers.close,
  }
}

type Names = NonNullable<Holder['names']>
