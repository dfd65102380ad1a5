import type { Change } from '../core/change.ts'
import { type Holder, VestalError } from '../core/errors.ts'
import { createPrincipal, type Principal } from '../core/principal.ts'
import type { CacheStatistics } from '../core/sieve-cache.ts'
import { holderOf } from '../jose/claims.ts'
import { createDecryptor } from '../jose/decrypt.ts'
import type { DecryptionKeyInput } from '../jose/decryption-key.ts'
import type { KeyInput } from '../jose/key-set.ts'
import type { VerifiedJwt, VerifyOptions } from '../jose/verify.ts'
import type { RemoteKeysStatistics } from '../jwks/remote-keys.ts'
import { challengeHeaders, challengeOf, scopeOf, withChallenge } from './challenge.ts'
import { type CredentialOptions, createCredentialReader } from './credentials.ts'
import { createJweDecrypter } from './jwe-decrypter.ts'
import { compileGrants, type PermissionCheck } from './permissions.ts'
import { type ChangingRules, compileTrust } from './trust.ts'
import { closeRemotes, orClose, remotesOf, type SharedRules, type TrustedIssuer } from './trusted-issuer.ts'
import { createVerifiedTokens, type VerifiedTokensOptions } from './verified-tokens.ts'

export interface AuthenticatorOptions extends CredentialOptions, VerifiedTokensOptions, Omit<VerifyOptions, 'issuers'> {
  /** A text is a name that tokens of one's own keys may have in `iss`; an object is an issuer with keys of its own. */
  readonly issuers?: readonly (string | TrustedIssuer)[]
  /** `iss` of the tokens that are made here: with it, a token of one's own keys is local. Default: tokens made here have none. */
  readonly localIssuer?: string | undefined
  /** Names the protected space in `WWW-Authenticate` (RFC 9110 §11.5); default `vestal`. */
  readonly realm?: string
  /** Opens encrypted tokens, which are refused without it: the PEM of a private key, or a JWK. */
  readonly decryptionKey?: DecryptionKeyInput
  /** Asked of each request's token, remembered or not: true refuses it. It must answer at once. */
  readonly isRevoked?: (token: AuthenticatedToken) => boolean
  /** Hears that the keys of an issuer cannot be fetched, and that they can again; default writes it to the standard error. */
  readonly warn?: (message: string) => void
  /** Runs work later and returns how to give it up; default a timer that keeps no process alive. */
  readonly schedule?: (work: () => void, delayMs: number) => () => void
}

/** Says who a request is from, and whether they may. */
export interface Authenticator {
  /** True where a token may have to wait, for an issuer's keys or its decryption: `authenticateOrWait` is then the one to call. */
  readonly mayWait: boolean
  /**
   * The verified token of a request, at once. One that is remembered is frozen: the same token gives the same object again.
   * @throws VestalError with status 400, 401, 403 or 503, and a `WWW-Authenticate` header where RFC 6750 §3 asks for one
   */
  authenticate(request: Request): AuthenticatedToken
  /** As `authenticate`, and waits where it must; it gives a promise only then, and refuses through it. */
  authenticateOrWait(request: Request): AuthenticatedToken | Promise<AuthenticatedToken>
  /**
   * Passes when the token grants all of the permissions.
   * @throws VestalError PERMISSION_MISSING
   */
  authorize(token: AuthenticatedToken, required: readonly string[]): void
  /** Takes other keys of one's own from now on; what was verified before is forgotten at once. */
  replaceKeys(keys: KeyInput): void
  /** What the cache of verified tokens has done. */
  readonly cacheStatistics: CacheStatistics
  /** What the remote keys have done, by issuer. */
  readonly remoteKeyStatistics: ReadonlyMap<string, RemoteKeysStatistics>
  /** Fetches no keys any more. */
  close(): void
}

export interface AuthenticatedToken extends VerifiedJwt {
  /** Who the caller is. Made once for a verified token, not for each request. */
  readonly principal: Principal
  /** Answers whether the token grants all of these permissions. */
  readonly allows: PermissionCheck
  /** Roles that the token has here, for limits by role: those of its issuer's mapping, whatever else its claims name. */
  readonly roles: readonly string[]
}

/** Other rules, checked and ready. */
export interface RulesChange extends Change {
  /** Settles once the keys of new issuers were asked for: those who come right after the change need not wait for them. */
  readonly fetched: Promise<unknown>
}

/** An authenticator whose rules may change. */
export interface ChangingAuthenticator extends Authenticator {
  /**
   * The verified token of a text that no request carries as its credential, such as one that is asked about. Any text may be given.
   * @throws VestalError as `authenticateOrWait` does; TOKEN_MALFORMED where the text can be no token
   */
  verifyText(text: string): Promise<AuthenticatedToken>
  /**
   * Checks other rules in the place of those of the options. Where they are applied, what was verified before is forgotten at once. Issuers
   * that stay keep the keys that were fetched.
   * @throws KeyError, TypeError when they cannot be used
   */
  prepareRules(rules: ChangingRules): RulesChange
}

type Names = NonNullable<Holder['names']>

/** A token that stands alone, in the place of the request that carries one. */
class TokenText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** Where a token is read from. */
type Source = Request | TokenText

/** Waits that one token may need; each of them changes what the next attempt finds. */
const WAITS_MAX = 3

/**
 * Prepares keys, credentials and rules once, so that a request costs only its own work.
 * @param keys one's own; undefined where every token is an issuer's of the options
 * @throws KeyError, TypeError when keys or options cannot be used
 */
export function createAuthenticator(keys: KeyInput | undefined, options: AuthenticatorOptions = {}): ChangingAuthenticator {
  const { realm = 'vestal', headerPrefix = 'Bearer', isRevoked, localIssuer, now = Date.now } = options
  const challenge = challengeOf(realm, headerPrefix)
  const reader = createCredentialReader(options)
  const tokens = createVerifiedTokens<AuthenticatedToken>(options)
  const { issuers: _, ...rules } = options
  const shared: SharedRules = { ...rules, now, keysChanged: () => tokens.clear() }
  let own = keys
  let trust = compileTrust(options, shared)
  let policyOf = orClose(
    () => trust.choose(own),
    () => closeRemotes(trust.issuers),
  )
  const close = () => closeRemotes(trust.issuers)
  const { decryptionKey } = options
  const open =
    decryptionKey === undefined
      ? (_: Source, text: string) => text
      : orClose(() => createJweDecrypter(createDecryptor(decryptionKey, rules)), close)

  const verifyAndRemember = (text: string, header: string, source: Source): AuthenticatedToken | Promise<void> => {
    const signed = open(source, text)
    if (typeof signed !== 'string') return signed
    const policy = policyOf(signed)
    const principalOf = ({ issuer, subject }: Names) =>
      createPrincipal({ isLocal: policy.isOwn && issuer === localIssuer, issuer, subject })
    const verified = namingHolders(() => policy.verify(signed), principalOf)
    if (verified instanceof Promise) return verified
    const { header: jose, payload } = verified
    const { iss, sub } = payload
    // Where claims may be null, a null one is absent.
    const principal = principalOf({ issuer: iss ?? undefined, subject: sub ?? undefined })
    const grants = policy.grantsOf(payload)
    const token = {
      header: jose,
      payload,
      principal,
      allows: compileGrants(grants),
      roles: policy.rolesOf(payload, grants),
    }
    tokens.remember(header, token, policy.untilMs())
    return token
  }
  const identify = (request: Request): AuthenticatedToken | Promise<void> | undefined => {
    const header = reader.header(request)
    if (header !== null) {
      const known = tokens.recall(header)
      if (known !== undefined) return known
    }
    const text = header === null ? reader.tokenOfCookie(request) : reader.tokenOfHeader(header)
    if (text === undefined) return undefined
    const canonical = reader.canonical(text, header)
    return (header === canonical ? undefined : tokens.recall(canonical)) ?? verifyAndRemember(text, canonical, request)
  }
  const identifyText = (source: TokenText): AuthenticatedToken | Promise<void> => {
    const { text } = source
    const canonical = reader.canonical(text, null)
    return tokens.recall(canonical) ?? verifyAndRemember(text, canonical, source)
  }
  const attempt = (source: Source): AuthenticatedToken | Promise<void> => {
    let token: AuthenticatedToken | Promise<void> | undefined
    try {
      token = source instanceof TokenText ? identifyText(source) : identify(source)
      if (token !== undefined && !(token instanceof Promise) && isRevoked?.(token) === true)
        throw new VestalError('TOKEN_REVOKED', {
          reason: 'the token is revoked',
          holder: { ...holderOf(token.payload), principal: token.principal },
        })
    } catch (error) {
      throw error instanceof VestalError ? withChallenge(error, challenge) : error
    }
    if (token === undefined)
      throw new VestalError('TOKEN_MISSING', { reason: 'no token was sent', headers: challengeHeaders(challenge) })
    return token
  }
  const waitAndAttempt = async (source: Source, first: Promise<void>): Promise<AuthenticatedToken> => {
    let found: AuthenticatedToken | Promise<void> = first
    for (let waits = 0; waits < WAITS_MAX && found instanceof Promise; waits += 1) {
      await found
      found = attempt(source)
    }
    return atOnce(found)
  }
  return {
    mayWait: remotesOf(trust.issuers).length > 0 || decryptionKey !== undefined,
    authenticate: (request) => atOnce(attempt(request)),
    authenticateOrWait(request) {
      const found = attempt(request)
      return found instanceof Promise ? waitAndAttempt(request, found) : found
    },
    async verifyText(text) {
      const source = new TokenText(text)
      const found = attempt(source)
      return found instanceof Promise ? waitAndAttempt(source, found) : found
    },
    authorize(token, required) {
      if (token.allows(required)) return
      const header = `${challenge}, error="insufficient_scope"${scopeOf(required)}`
      throw new VestalError('PERMISSION_MISSING', {
        reason: `needs ${required.join(', ')}`,
        headers: { 'www-authenticate': header },
      })
    },
    replaceKeys(next) {
      policyOf = trust.choose(next)
      own = next
      tokens.clear()
    },
    prepareRules(changed) {
      const prepared = compileTrust(changed, shared, trust.issuers)
      const discard = () => closeRemotes(prepared.issuers, trust.issuers)
      orClose(() => prepared.choose(own), discard)
      const missing = remotesOf(prepared.issuers).filter(([, remote]) => remote.current() === undefined)
      return {
        fetched: Promise.all(missing.map(([, remote]) => remote.renew())),
        discard,
        apply() {
          // Chosen again: one's own keys may be others by now.
          policyOf = prepared.choose(own)
          closeRemotes(trust.issuers, prepared.issuers)
          trust = prepared
          tokens.clear()
        },
      }
    },
    get cacheStatistics() {
      return tokens.statistics
    },
    get remoteKeyStatistics() {
      return new Map(remotesOf(trust.issuers).map(([name, remote]) => [name, remote.statistics]))
    },
    close,
  }
}

/** Does work; a token that it rejects although its signature is right is said to be its principal's. */
function namingHolders<T>(work: () => T, principalOf: (names: Names) => Principal): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof VestalError) || error.holder === undefined) throw error
    const { code, message: reason, holder } = error
    const principal = holder.names && principalOf(holder.names)
    throw new VestalError(code, { reason, holder: { ...holder, principal } })
  }
}

/** The token, where nothing must be waited for. */
function atOnce(found: AuthenticatedToken | Promise<void>): AuthenticatedToken {
  if (!(found instanceof Promise)) return found
  throw new VestalError('KEYS_UNAVAILABLE', { reason: 'the keys are still being fetched', headers: { 'retry-after': '1' } })
}
