import type { JwkSet, Key } from '../jose/keys.ts'

/** The keys that a server signs with, which may change while it runs. */
export interface OwnKeys {
  /** What may be published of them now. */
  readonly published: () => JwkSet
  /** Called with the new keys, which are in use when it returns; if it throws, the old ones stay. */
  readonly subscribe: (listener: (keys: readonly Key[]) => void) => void
}
