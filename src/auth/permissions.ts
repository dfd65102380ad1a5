import type { JsonObject } from '../jwt/strict-json.ts'

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

function grantsIn({ permissions, roles }: JsonObject): readonly string[] {
  const direct = textsIn(permissions)
  return isObject(roles) ? [...direct, ...Object.values(roles).flatMap(textsIn)] : direct
}

function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** True when the grants cover ALL required permissions. */
export function isAllowed(grants: readonly string[], required: readonly string[]): boolean {
  return required.every((permission) => grants.some((grant) => covers(grant, permission)))
}

/**
 * True when a grant covers a required permission: they are equal, the grant is `*`, or it has as many segments and each of them is
 * `*` or equal. A requirement is exact: a `*` in it is a character like any other.
 */
export function covers(grant: string, permission: string): boolean {
  if (grant === permission || grant === WILDCARD) return true
  if (!grant.includes(WILDCARD)) return false
  const granted = grant.split(SEPARATOR)
  const asked = permission.split(SEPARATOR)
  return granted.length === asked.length && granted.every((segment, index) => segment === WILDCARD || segment === asked[index])
}
