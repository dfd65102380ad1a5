import { type Static, Type } from '@sinclair/typebox'
import { checkToml, table, tomlFault } from '../../schema/toml-file.ts'

/** What a caller can do with a model. */
export type ModelAction = 'predict' | 'read' | 'admin'

/** The permission that each action on a model requires. */
export type ModelPermissions = Readonly<Record<ModelAction, string>>

/** Permissions of a model whose own cannot be read: only a grant of `*` covers them. */
export const CLOSED: ModelPermissions = { predict: '*', read: '*', admin: '*' }

const KEY = 'permissions'
const Permission = Type.Optional(
  Type.String({ pattern: '^[^\\s"\\\\*]+$', rule: 'must be a string without spaces, quotes and *' }),
)
/** `[permissions]` of model.toml. */
export const Permissions = table({ predict: Permission, read: Permission, admin: Permission })
/** Letters by which a misspelt `permissions` may differ and still be recognised. */
const TYPO_EDITS_MAX = 3

/** Those of a model that names none of its own. */
export function defaultPermissions(name: string): ModelPermissions {
  return { predict: `model:${name}:predict`, read: `model:${name}:read`, admin: `model:${name}:admin` }
}

/**
 * The permissions in the text of a `model.toml`, whatever else is wrong in it. Where the text or its `[permissions]` cannot be read,
 * or looks as if it names them under a misspelt key, the model is closed.
 */
export function permissionsIn(text: string, name: string): ModelPermissions {
  try {
    const file: object = Bun.TOML.parse(text)
    const given: unknown = Object.entries(file).find(([key]) => key === KEY)?.[1]
    const own = given === undefined ? {} : readPermissions(checkToml(Permissions, given, { file: 'model.toml', path: KEY }))
    if (!Object.hasOwn(file, KEY) && Object.keys(file).some(isMisspelt)) return CLOSED
    return { ...defaultPermissions(name), ...own }
  } catch {
    // The model's definition reports what is wrong, which only the holder of `*` may see.
    return CLOSED
  }
}

/** The permissions of `[permissions]`, once it was checked. @throws Error naming the key and the rule */
export function readPermissions(permissions: Static<typeof Permissions> = {}): Partial<ModelPermissions> {
  const { admin } = permissions
  // These two endings count as administrative, and are denied first where revocations are unknown.
  if (admin !== undefined && !/:(?:admin|write)$/.test(admin))
    throw tomlFault('model.toml', `${KEY}.admin`, 'must end with :admin or :write')
  return permissions
}

function isMisspelt(key: string): boolean {
  return editsBetween(key.toLowerCase(), KEY) <= TYPO_EDITS_MAX
}

/** Letters to add, drop or change to make one text of the other; any large number for texts of very different lengths. */
function editsBetween(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > TYPO_EDITS_MAX) return Number.POSITIVE_INFINITY
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (const [index, letter] of [...one].entries()) {
    const next = [index + 1]
    for (let place = 1; place <= other.length; place += 1) {
      const changed = (row[place - 1] ?? 0) + Number(letter !== other[place - 1])
      next.push(Math.min((row[place] ?? 0) + 1, (next[place - 1] ?? 0) + 1, changed))
    }
    row = next
  }
  return row[other.length] ?? 0
}
