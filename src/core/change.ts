/** A change that was checked and is ready: it cannot fail any more, and nothing of it counts before it is applied. */
export interface Change {
  /** Takes it from now on. */
  readonly apply: () => void
  /** Gives it up. */
  readonly discard: () => void
}

/** Several changes as one. */
export function joinChanges(changes: readonly Change[]): Change {
  return {
    apply: () => {
      for (const { apply } of changes) apply()
    },
    discard: () => {
      for (const { discard } of changes) discard()
    },
  }
}
