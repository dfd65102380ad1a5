import type { JwkSet, Key } from '../jose/keys.ts'

/** The keys that a server signs with, which may change while it runs. */
export interface OwnKeys {
  /** What may be published of them now. */
  readonly published: () => JwkSet
  /** Hears of other keys, and takes them before it returns; by throwing it refuses them, and the old ones stay. */
  readonly subscribe: (listener: (keys: readonly Key[]) => void) => void
}
