import type { AuthenticatedToken } from '../auth/authenticator.ts'
import { LEEWAY_SECONDS } from '../jose/claims.ts'
import type { Revocation } from './records.ts'

/** Seconds that a token made here can live: the longest that the settings and the command line allow. */
const OWN_TOKEN_SECONDS_MAX = 86_400
/** A token counts for up to 300 s more than it says (`leeway_seconds`), and a clock that was an hour ahead may be set back. */
const MARGIN_SECONDS = 300 + 3600
/** For what revokes tokens that have no end. */
const FOREVER_MS = Number.MAX_SAFE_INTEGER
const ENTRIES_MAX = 100_000

/** When the revocation of a token may be forgotten, in milliseconds since 1970: once the token has ended by itself, whenever that is. */
export function untilTokenEnds(exp: number | undefined): number {
  return exp === undefined ? FOREVER_MS : Math.ceil(exp + MARGIN_SECONDS) * 1000
}

/** When the revocation of a session may be forgotten: its tokens were all made here. */
export function untilOwnTokensEnd(nowMs: number): number {
  return nowMs + (OWN_TOKEN_SECONDS_MAX + MARGIN_SECONDS) * 1000
}

/**
 * When the revocation of a subject may be forgotten. Its tokens may have been made elsewhere with the same key, so only `tokenSecondsMax`, the
 * longest lifetime that is accepted, says when the last of them has ended.
 */
export function untilSubjectsTokensEnd(nowMs: number, tokenSecondsMax: number | undefined): number {
  return tokenSecondsMax === undefined
    ? FOREVER_MS
    : Math.max(untilOwnTokensEnd(nowMs), nowMs + (tokenSecondsMax + MARGIN_SECONDS) * 1000)
}

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
 * Prepares an empty list. Where more is revoked than it holds, it forgets all of it and rejects every local token that was issued up to
 * then: too much is rejected then, and never too little.
 */
export function createRevocationList({
  entriesMax = ENTRIES_MAX,
  leewaySeconds = LEEWAY_SECONDS,
  now = Date.now,
}: {
  readonly entriesMax?: number
  /** Seconds by which an accepted token's `iat` may be ahead of this clock; default 5. */
  readonly leewaySeconds?: number
  /** Clock in milliseconds since 1970. */
  readonly now?: () => number
} = {}): RevocationList {
  const entries = new Map<string, Revocation>()
  let rejectedUpToSeconds = Number.NEGATIVE_INFINITY

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
        rejectedUpToSeconds = Math.ceil(now() / 1000) + leewaySeconds
      }
      entries.set(key, known === undefined ? revocation : joined(known, revocation))
    },
    isRevoked({ payload, principal }) {
      if (!principal.isLocal) return false
      const { jti, sid, sub, epoch, iat } = payload
      if (rejectedUpToSeconds > 0 && !(typeof iat === 'number' && iat > rejectedUpToSeconds)) return true
      if (entries.size === 0) return false
      if (jti !== undefined && entries.has(keyOf('token', jti))) return true
      if (typeof sid === 'string' && entries.has(keyOf('session', sid))) return true
      const subject = sub === undefined ? undefined : entries.get(keyOf('subject', sub))
      if (subject === undefined) return false
      if (epoch !== undefined) return !(typeof epoch === 'number' && epoch >= subject.epoch)
      // Without an epoch, as of the command line: what was issued before, or does not say when.
      return !(typeof iat === 'number' && iat > subject.createdAt / 1000 + leewaySeconds)
    },
    prune,
    get size() {
      return entries.size
    },
  }
}

/** Two revocations of one thing: what either of them revokes, for as long as either of them lasts. */
function joined(one: Revocation, other: Revocation): Revocation {
  return {
    ...other,
    epoch: Math.max(one.epoch, other.epoch),
    createdAt: Math.max(one.createdAt, other.createdAt),
    until: Math.max(one.until, other.until),
  }
}

function keyOf(kind: Revocation['kind'], value: string): string {
  return `${kind} ${value}`
}
