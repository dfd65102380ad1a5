import { type Holder, VestalError } from '../core/errors.ts'
import type { JsonObject } from './strict-json.ts'

/** The registered claims of RFC 7519 §4.1, and the application's own beside them (by custom under `data`). Times are seconds since 1970. */
export interface JwtPayload extends JsonObject {
  readonly iss?: string
  readonly sub?: string
  readonly aud?: string | readonly string[]
  readonly exp?: number
  readonly nbf?: number
  readonly iat?: number
  readonly jti?: string
}

export interface ClaimRules {
  /** Accepted issuers; any when absent. A token without `iss` is then rejected. */
  readonly issuers?: readonly string[] | undefined
  /**
   * Names of this service; a token must then have one of them in `aud`. Where it is absent a token needs no `aud`, and one that has it
   * is rejected unless it names `vestal`, which access tokens made here name where no audience is configured (RFC 7519 §4.1.3).
   */
  readonly audiences?: readonly string[] | undefined
  /** The claim that names for whom the token is; default `aud`. Some issuers write `client_id` in its place. An `aud` is checked too. */
  readonly audienceClaim?: string | undefined
  /** Claims that must be there; default `exp`. */
  readonly requiredClaims?: readonly string[] | undefined
  /** Claims that must be there with this one value, such as `token_use: 'access'`; none by default. */
  readonly requiredValues?: Readonly<Record<string, string>> | undefined
  /** Seconds by which clocks may differ, for `exp`, `nbf` and `iat`; default 5. */
  readonly leewaySeconds?: number | undefined
  /** Longest time from `iat` to `exp`, in seconds; none by default. Both claims must then be there. */
  readonly lifetimeSecondsMax?: number | undefined
  /** `flama` takes a claim that is null as absent and does not ask for `exp`. */
  readonly interop?: 'flama' | undefined
}

export const LEEWAY_SECONDS = 5
/** The last second of the year 9999: later times are mistakes, or milliseconds. */
const SECONDS_MAX = 253_402_300_799
/** Characters of `iss`, `sub` and `jti`: they end in logs and in lists of what is revoked. */
const CLAIM_TEXT_MAX = 255
/** Claims that must be there by default. */
/** What access tokens that are made here have in `aud` where no audience is configured: RFC 9068 §2.2 asks for one in each. */
export const OWN_AUDIENCE = 'vestal'

const EXPIRY = ['exp'] as const
const NONE = [] as const
const TEXTS = ['iss', 'sub', 'jti'] as const

/**
 * Checks the registered claims: types first, then times, issuer and audience.
 * @param nowSeconds the time to check against, in seconds since 1970; fractions count.
 * @throws VestalError CLAIM_INVALID, CLAIM_MISSING, TOKEN_EXPIRED, TOKEN_NOT_YET_VALID, TOKEN_ISSUED_IN_FUTURE,
 * TOKEN_LIFETIME_TOO_LONG, ISSUER_REFUSED, AUDIENCE_REFUSED
 */
export function checkClaims(payload: JsonObject, rules: ClaimRules, nowSeconds: number): JwtPayload {
  const isLoose = rules.interop === 'flama'
  for (const name of rules.requiredClaims ?? (isLoose ? NONE : EXPIRY)) {
    if (!Object.hasOwn(payload, name) || isAbsent(payload[name], isLoose))
      throw rejection('CLAIM_MISSING', `the claim "${name}" is missing`)
  }
  const exp = time(payload.exp, 'exp', isLoose)
  const nbf = time(payload.nbf, 'nbf', isLoose)
  const iat = time(payload.iat, 'iat', isLoose)
  for (const name of TEXTS) text(payload[name], name, isLoose)
  checkTimes({ exp, nbf, iat }, rules, nowSeconds)
  const { issuers, audiences, audienceClaim = 'aud', requiredValues } = rules
  if (issuers !== undefined && !issuers.includes(payload.iss as string))
    throw rejection('ISSUER_REFUSED', 'the issuer is not accepted')
  const audience = Object.hasOwn(payload, audienceClaim) ? payload[audienceClaim] : undefined
  if (!isAbsent(audience, isLoose)) checkAudience(audience, audienceClaim, audiences)
  else if (audiences !== undefined) throw rejection('AUDIENCE_REFUSED', 'the token has no audience, and one is asked for')
  if (audienceClaim !== 'aud' && !isAbsent(payload.aud, isLoose)) checkAudience(payload.aud, 'aud', audiences)
  if (requiredValues !== undefined) checkValues(payload, requiredValues)
  // The cast is what the checks above establish.
  return payload as JwtPayload
}

/** The principal that a token's claims name, in a form that a log may hold. Only for payloads with a valid signature: unsigned claims prove nothing. */
export function holderOf(payload: JsonObject): Holder {
  const { jti, exp } = payload
  const names = namesIn(payload)
  return { ...(names && { names }), ...(isShortText(jti) && { tokenId: jti }), ...(isTime(exp) && { expiresAtSeconds: exp }) }
}

/** Issuer and subject; undefined where one of them is no text that a log may hold. A claim that is null is absent, as Flama writes it. */
function namesIn({ iss, sub }: JsonObject): Holder['names'] {
  const [issuer, subject] = [iss ?? undefined, sub ?? undefined]
  const isNamed = (issuer === undefined || isShortText(issuer)) && (subject === undefined || isShortText(subject))
  return isNamed ? { issuer, subject } : undefined
}

interface Times {
  readonly exp: number | undefined
  readonly nbf: number | undefined
  readonly iat: number | undefined
}

function checkTimes({ exp, nbf, iat }: Times, rules: ClaimRules, nowSeconds: number): void {
  const leeway = rules.leewaySeconds ?? LEEWAY_SECONDS
  // "on or after which the JWT MUST NOT be accepted": RFC 7519 §4.1.4.
  if (exp !== undefined && exp + leeway <= nowSeconds) throw rejection('TOKEN_EXPIRED', 'the token has expired')
  if (nbf !== undefined && nbf > nowSeconds + leeway) throw rejection('TOKEN_NOT_YET_VALID', 'the token is not valid yet')
  if (iat !== undefined && iat > nowSeconds + leeway)
    throw rejection('TOKEN_ISSUED_IN_FUTURE', 'the token was issued in the future')
  if (exp !== undefined && ((iat !== undefined && exp < iat) || (nbf !== undefined && exp < nbf)))
    throw rejection('CLAIM_INVALID', 'the token ends before it begins')
  if (rules.lifetimeSecondsMax === undefined) return
  if (exp === undefined || iat === undefined) throw rejection('CLAIM_MISSING', 'a lifetime limit needs both "exp" and "iat"')
  if (exp - iat > rules.lifetimeSecondsMax) throw rejection('TOKEN_LIFETIME_TOO_LONG', 'the token lives too long')
}

function checkAudience(aud: unknown, claim: string, audiences: readonly string[] | undefined): void {
  const named = typeof aud === 'string' ? [aud] : aud
  if (!Array.isArray(named) || named.length === 0 || !named.every((name) => typeof name === 'string' && name !== '')) {
    throw rejection('CLAIM_INVALID', `the claim "${claim}" is neither a string nor a list of strings`)
  }
  if ((audiences ?? [OWN_AUDIENCE]).some((audience) => named.includes(audience))) return
  const reason =
    audiences === undefined
      ? 'the token is for an audience, and none is configured here'
      : 'the token is for a different audience'
  throw rejection('AUDIENCE_REFUSED', reason)
}

function checkValues(payload: JsonObject, values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Object.hasOwn(payload, name) || payload[name] !== value)
      throw rejection('CLAIM_INVALID', `the claim "${name}" has not the value that is asked for`)
  }
}

/** Where it is loose a claim that is null is absent too, as Flama writes those that are not set. */
function isAbsent(value: unknown, isLoose: boolean): boolean {
  return value === undefined || (value === null && isLoose)
}

function time(value: unknown, name: string, isLoose: boolean): number | undefined {
  if (isAbsent(value, isLoose)) return undefined
  if (!isTime(value)) {
    throw rejection('CLAIM_INVALID', `the claim "${name}" is not a number of seconds between 1970 and 9999`)
  }
  return value
}

/** From 1970 to 9999. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= SECONDS_MAX
}

function text(value: unknown, name: string, isLoose: boolean): void {
  if (isAbsent(value, isLoose)) return
  if (typeof value !== 'string' || value === '') throw rejection('CLAIM_INVALID', `the claim "${name}" is not a string`)
  if (!isShortText(value)) throw rejection('CLAIM_INVALID', `the claim "${name}" is too long, or has a control character`)
}

function isShortText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= CLAIM_TEXT_MAX && !/\p{Cc}/u.test(value)
}

function rejection(code: ConstructorParameters<typeof VestalError>[0], reason: string): VestalError {
  return new VestalError(code, { reason })
}
