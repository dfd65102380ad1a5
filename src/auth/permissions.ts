import type { JsonObject } from '../jose/strict-json.ts'

/** Segments of a permission are joined with this: `model:iris:predict`. */
const SEPARATOR = ':'
/** A grant's stand-in for one whole segment; a grant that is nothing else covers everything. */
const WILDCARD = '*'

export interface GrantOptions {
  /** `flama` reads `permissions` and `roles` at the top of the claims too, as Flama moves them into `data`. */
  readonly interop?: 'flama' | undefined
}

/**
 * The permissions that a token's claims grant: `data.permissions` (a list) and every list in `data.roles` (an object of lists).
 * Whatever has another shape grants nothing; it is never an error.
 */
export function grantsOf(claims: JsonObject, options: GrantOptions = {}): readonly string[] {
  const { data } = claims
  const grants = isObject(data) ? grantsIn(data) : []
  return options.interop === 'flama' ? [...grants, ...grantsIn(claims)] : grants
}

/** The roles that claims hold, each with what it grants: the members of `data.roles`, and for Flama of `roles` too. */
function rolesIn({ data, roles }: JsonObject, options: GrantOptions = {}): JsonObject {
  const own = isObject(data) && isObject(data.roles) ? data.roles : {}
  return options.interop === 'flama' && isObject(roles) ? { ...roles, ...own } : own
}

function grantsIn({ permissions, roles }: JsonObject): readonly string[] {
  const grants = textsIn(permissions)
  if (!isObject(roles)) return grants
  const all = [...grants]
  for (const role of Object.values(roles)) all.push(...textsIn(role))
  return all
}

function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Answers whether all of the required permissions are granted. */
export type PermissionCheck = (required: readonly string[]) => boolean

/**
 * Prepares the check of required permissions against grants. A grant covers a permission when they are equal, when it is `*`, or when
 * it has as many segments and each of them is `*` or equal. A requirement is exact: a `*` in it is a character like any other.
 */
export function compileGrants(grants: readonly string[]): PermissionCheck {
  if (grants.includes(WILDCARD)) return () => true
  const exact = grants.length > SEARCHED_MAX ? new Set(grants) : undefined
  // Taken apart when a permission is not granted by name, which for many tokens is never.
  let patterns: readonly Pattern[] | undefined
  return (required) => {
    for (const permission of required) {
      const isNamed = exact === undefined ? grants.includes(permission) : exact.has(permission)
      if (isNamed) continue
      patterns ??= patternsIn(grants)
      if (!isMatched(permission, patterns)) return false
    }
    return true
  }
}

/** The segments of a grant that has a wildcard. */
type Pattern = readonly string[]

function patternsIn(grants: readonly string[]): readonly Pattern[] {
  return grants.filter((grant) => grant.includes(WILDCARD)).map((grant) => grant.split(SEPARATOR))
}

function isMatched(permission: string, patterns: readonly Pattern[]): boolean {
  const asked = permission.split(SEPARATOR)
  return patterns.some((pattern) => matches(pattern, asked))
}

/** Grants that are looked through one by one; of more a set is made. */
const SEARCHED_MAX = 16

function matches(pattern: Pattern, asked: readonly string[]): boolean {
  return pattern.length === asked.length && pattern.every((segment, index) => segment === WILDCARD || segment === asked[index])
}

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
    if (list !== undefined && !isList) throw new TypeError(`"${name}" is a list of strings`)
  }
}
