import type { JsonObject } from '../jose/strict-json.ts'

/** Segments of a permission are joined with this: `model:iris:predict`. */
const SEPARATOR = ':'
/** A grant's stand-in for one whole segment; a grant that is nothing else covers everything. */
const WILDCARD = '*'

export interface GrantOptions {
  /** `flama` reads `permissions` and `roles` at the top of the claims too, as Flama moves them into `data`. */
  readonly interop?: 'flama'
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
export function rolesIn({ data, roles }: JsonObject, options: GrantOptions = {}): JsonObject {
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
