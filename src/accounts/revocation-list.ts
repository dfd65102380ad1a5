import type { AuthenticatedToken } from '../auth/authenticator.ts'
import type { Revocation } from './records.ts'

/** Seconds that any token made here can live: the longest that the settings and the command line allow, and the leeway. */
export const TOKEN_SECONDS_MAX = 86_400 + 300
const ENTRIES_MAX = 100_000

/** What this process knows to be revoked. Asked of every request, so it waits for nothing. */
export interface RevocationList {
  add(revocation: Revocation): void
  /** True where the token's id, its session or its subject's epoch is revoked. Tokens of other issuers are revoked there: their ids are not ours. */
  isRevoked(token: Pick<AuthenticatedToken, 'payload' | 'principal'>): boolean
  /** Forgets what can concern no token any more. */
  prune(): void
  readonly size: number
}

/**
 * Prepares an empty list. Where more is revoked than it holds, it forgets all of it and refuses every token that was issued up to
 * then: too much is refused then, and never too little.
 */
export function createRevocationList({
  entriesMax = ENTRIES_MAX,
  now = Date.now,
}: {
  readonly entriesMax?: number
  /** Clock in milliseconds since 1970. */
  readonly now?: () => number
} = {}): RevocationList {
  const entries = new Map<string, Revocation>()
  let refusedUpToSeconds = Number.NEGATIVE_INFINITY

  function prune(): void {
    for (const [key, { until }] of entries) if (until <= now()) entries.delete(key)
  }

  return {
    add(revocation) {
      const key = keyOf(revocation.kind, revocation.value)
      const known = entries.get(key)
      if (known === undefined && entries.size >= entriesMax) prune()
      if (known === undefined && entries.size >= entriesMax) {
        entries.clear()
        refusedUpToSeconds = Math.floor(now() / 1000)
      }
      entries.set(key, { ...revocation, epoch: Math.max(revocation.epoch, known?.epoch ?? 0) })
    },
    isRevoked({ payload, principal }) {
      if (!principal.isLocal) return false
      const { jti, sid, sub, epoch, iat } = payload
      if (refusedUpToSeconds > 0 && !(typeof iat === 'number' && iat > refusedUpToSeconds)) return true
      if (entries.size === 0) return false
      if (jti !== undefined && entries.has(keyOf('token', jti))) return true
      if (typeof sid === 'string' && entries.has(keyOf('session', sid))) return true
      const subject = sub === undefined ? undefined : entries.get(keyOf('subject', sub))
      // A token without an epoch, such as one of the command line, is older than any.
      return subject !== undefined && !(typeof epoch === 'number' && epoch >= subject.epoch)
    },
    prune,
    get size() {
      return entries.size
    },
  }
}

function keyOf(kind: Revocation['kind'], value: string): string {
  return `${kind} ${value}`
}
