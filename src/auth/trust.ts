import { VestalError } from '../core/errors.ts'
import { bytesOfBase64url } from '../jose/base64url.ts'
import { splitCompact } from '../jose/compact.ts'
import { KeyError } from '../jose/key-error.ts'
import type { KeyInput } from '../jose/key-set.ts'
import { readStrictObject } from '../jose/strict-json.ts'
import type { VerifyOptions } from '../jose/verify.ts'
import { createClaimReaders } from './claim-mapping.ts'
import {
  closeRemotes,
  compileIssuers,
  type IssuerPolicy,
  localPolicy,
  orClose,
  type SharedRules,
  type TrustedIssuer,
} from './trusted-issuer.ts'

/** What of the rules may change while they are used. */
export interface ChangingRules {
  /** A text is a name that tokens of one's own keys may have in `iss`; an object is an issuer with keys of its own. */
  readonly issuers?: readonly (string | TrustedIssuer)[]
  /** Claims that one's own tokens must have. */
  readonly requiredClaims?: readonly string[]
}

/** Whose tokens count: those of one's own keys, and those of issuers. */
export interface Trust {
  readonly issuers: ReadonlyMap<string, IssuerPolicy>
  /** Gives the choice of a policy, with these keys as one's own. @throws KeyError, TypeError */
  readonly choose: (own: KeyInput | undefined) => (token: string) => IssuerPolicy
}

/**
 * Prepares one's own rules and those of all issuers; keys that were fetched `before` are taken over.
 * @throws KeyError, TypeError when they cannot be used
 */
export function compileTrust(
  { issuers: named = [], requiredClaims }: ChangingRules,
  shared: SharedRules,
  before?: ReadonlyMap<string, IssuerPolicy>,
): Trust {
  const names = named.filter((issuer) => typeof issuer === 'string')
  const others = named.filter((issuer) => typeof issuer === 'object')
  const issuers = compileIssuers(others, shared, before)
  orClose(
    () => refuseSharedNames(names, issuers),
    () => closeRemotes(issuers, before),
  )
  const { requiredClaims: _, ...rules } = shared
  const own = {
    ...rules,
    ...(requiredClaims !== undefined && { requiredClaims }),
    ...(names.length > 0 && { issuers: names }),
  }
  return {
    issuers,
    choose: (keys) => choosePolicy(keys === undefined ? undefined : ownPolicy(keys, own), issuers, shared),
  }
}

function ownPolicy(keys: KeyInput, rules: VerifyOptions): IssuerPolicy {
  return localPolicy(keys, rules, createClaimReaders({}, rules.interop === undefined ? {} : { interop: rules.interop }))
}

/**
 * One's own tokens and another issuer's never have one name: what asks whose a token is would take one for the other.
 * @throws TypeError
 */
function refuseSharedNames(own: readonly string[], issuers: ReadonlyMap<string, IssuerPolicy>): void {
  const shared = own.find((name) => issuers.has(name))
  if (shared !== undefined) throw new TypeError(`two issuers have the name "${shared}": one's own, and another`)
}

/**
 * Prepares the choice of a policy by a token's `iss`. Nobody has checked that claim yet: it picks whose keys are tried, each of which
 * belongs to one issuer alone, and the policy then asks for that very `iss` (RFC 8725 §3.8).
 * @throws KeyError when shared secrets stand beside public keys
 */
function choosePolicy(
  own: IssuerPolicy | undefined,
  issuers: ReadonlyMap<string, IssuerPolicy>,
  { tokenBytesMax, interop }: Pick<VerifyOptions, 'tokenBytesMax' | 'interop'>,
): (token: string) => IssuerPolicy {
  const policies = [...(own === undefined ? [] : [own]), ...issuers.values()]
  if (new Set(policies.map(({ isSymmetric }) => isSymmetric)).size > 1) {
    throw new KeyError('shared secrets and public keys are mixed among the issuers; give each of them a key pair')
  }
  if (own !== undefined && issuers.size === 0) return () => own
  const options = { ...(tokenBytesMax !== undefined && { tokenBytesMax }), ...(interop && { interop }) }
  return (token) => {
    const payload = readStrictObject(bytesOfBase64url(splitCompact(token, options).payload))
    if (typeof payload === 'string') throw new VestalError('TOKEN_MALFORMED', { reason: `the payload is ${payload}` })
    const policy = (typeof payload.iss === 'string' ? issuers.get(payload.iss) : undefined) ?? own
    if (policy === undefined) throw new VestalError('ISSUER_REFUSED', { reason: 'no trusted issuer has the name in "iss"' })
    return policy
  }
}
