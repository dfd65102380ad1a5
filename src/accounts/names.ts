/** Characters of a name after it was normalised. An email address has at most 254 (RFC 5321 §4.5.3.1.3). */
const NAME_LENGTH_MAX = 254
/** A character that is not seen, or that separates words. */
const HIDDEN = /[\p{C}\p{Z}]/u
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const ROLE = /^[a-z0-9][a-z0-9._-]{0,63}$/
/** Segments of a permission: anything that is seen, and neither a comma nor a quote; `scope` of OAuth may then carry it. */
const PERMISSION = /^[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]{1,128}$/

/** The one spelling of a name or email under which an account is kept: compatibility forms and capitals make no difference. */
export function normaliseName(name: string): string {
  return name.trim().normalize('NFKC').toLowerCase()
}

/** What is wrong with a name that was normalised; undefined where nothing is. A UUID would be taken for an account's id. */
export function nameFault(name: string): string | undefined {
  if (name.length === 0 || name.length > NAME_LENGTH_MAX) return `must be a string of 1 to ${NAME_LENGTH_MAX} characters`
  if (HIDDEN.test(name)) return 'must have no spaces and no control characters'
  return UUID.test(name) ? 'must not be a UUID' : undefined
}

/** True for the text of a UUID. */
export function isUuid(text: string): boolean {
  return UUID.test(text)
}

/** True for the name of a role. */
export function isRoleName(text: string): boolean {
  return ROLE.test(text)
}

/** True for what may be granted: `model:iris:predict`, `model:*:read`, `*`. */
export function isPermission(text: string): boolean {
  return PERMISSION.test(text)
}
