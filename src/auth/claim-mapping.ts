import type { JsonObject } from '../jose/strict-json.ts'
import { compileGrants, type GrantOptions, grantsOf, rolesIn } from './permissions.ts'

/** How the claims of an issuer become permissions. */
export interface GrantRules {
  /**
   * Claims that name permissions, such as `scope`, `permissions` or `realm_access.roles`: a text is split at its spaces (RFC 6749 §3.3),
   * a list is taken item by item. A dot is a step into an object, unless a claim has the whole name. Default: `data`, as Vestal writes it.
   */
  readonly permissionClaims?: readonly string[]
  /** What a value of those claims stands for, such as a group; where this is given, a value that is not in it grants nothing. */
  readonly grants?: Readonly<Record<string, readonly string[]>>
  /** What this issuer may grant at most, with `*` for a segment; a grant beyond it is dropped. Default: everything. */
  readonly mayGrant?: readonly string[]
}

/** Gives the permissions that claims grant. Whatever has another shape than expected grants nothing; it is never an error. */
export type GrantReader = (claims: JsonObject) => readonly string[]

/** Gives the roles that claims name, for limits by role, of the claims and of what they grant. */
export type RoleReader = (claims: JsonObject, grants: readonly string[]) => readonly string[]

/** How the claims of one issuer are read. */
export interface ClaimReaders {
  readonly grantsOf: GrantReader
  readonly rolesOf: RoleReader
}

/**
 * Prepares the reading of permissions from an issuer's claims.
 * @throws TypeError when a rule cannot be used
 */
export function createGrantReader(rules: GrantRules, options?: GrantOptions): GrantReader {
  return createClaimReaders(rules, options).grantsOf
}

/**
 * Prepares the reading of permissions and roles from an issuer's claims. Where `permissionClaims` say which claims count, what they grant is
 * all that there is, and a role is a grant of its name. Otherwise roles are those of `data.roles`; of an issuer that may not grant everything,
 * those that grant something.
 * @throws TypeError when a rule cannot be used
 */
export function createClaimReaders(rules: GrantRules, options?: GrantOptions): ClaimReaders {
  checkRules(rules)
  const { permissionClaims, grants, mayGrant } = rules
  const table = grants === undefined ? undefined : new Map(Object.entries(grants))
  const isWithin = mayGrant === undefined ? undefined : compileGrants(mayGrant)
  const granted = (values: readonly string[]): readonly string[] => {
    const translated = table === undefined ? values : values.flatMap((value) => table.get(value) ?? [])
    return isWithin === undefined ? translated : translated.filter((grant) => isWithin([grant]))
  }
  if (permissionClaims !== undefined) {
    const read: GrantReader = (claims) => permissionClaims.flatMap((name) => textsOf(claimAt(claims, name)))
    return { grantsOf: (claims) => granted(read(claims)), rolesOf: (_claims, own) => own }
  }
  const grantsSomething = (list: unknown) => Array.isArray(list) && granted(textsOf(list)).length > 0
  const isLimited = table !== undefined || isWithin !== undefined
  return {
    grantsOf: isLimited ? (claims) => granted(grantsOf(claims, options)) : (claims) => grantsOf(claims, options),
    rolesOf: (claims) => {
      const roles = rolesIn(claims, options)
      const names = Object.keys(roles)
      return isLimited ? names.filter((name) => grantsSomething(roles[name])) : names
    },
  }
}

/** The claim of that whole name, or what the steps between its dots lead to. */
function claimAt(claims: JsonObject, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  let value: unknown = claims
  for (const step of name.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, step)) return undefined
    // The cast is what the check above establishes.
    value = (value as JsonObject)[step]
  }
  return value
}

function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return value.split(' ').filter((text) => text !== '')
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

function checkRules({ permissionClaims, grants, mayGrant }: GrantRules): void {
  for (const [name, list] of Object.entries({ permissionClaims, mayGrant, ...grants })) {
    const isList = Array.isArray(list) && list.every((item) => typeof item === 'string' && item !== '')
    if (list !== undefined && !isList) throw new TypeError(`"${name}" is a list of texts`)
  }
}
