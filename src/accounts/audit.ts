/** Where a request came from, for the list of sessions, the throttle and the audit log. */
export interface Origin {
  /** The client's address, or `unknown` where there is no connection. */
  readonly address: string
  readonly userAgent: string
  readonly requestId?: string
}

/** Everything that is noted. */
export const AUDIT_EVENTS = [
  'sign-in',
  'sign-in-refused',
  'sign-in-throttled',
  'token-refreshed',
  'refresh-refused',
  'refresh-reused',
  'signed-out',
  'signed-out-everywhere',
  'password-changed',
  'token-revoked',
  'account-created',
  'account-changed',
  'account-deleted',
  'role-created',
  'role-changed',
  'role-deleted',
  'api-key-created',
  'api-key-changed',
  'api-key-revoked',
  'client-token',
  'client-refused',
  'api-key-refused',
  'token-refused',
  'cross-site-refused',
  'permission-refused',
  'keys-changed',
  'key-generated',
  'key-rotated',
  'key-retired',
  'key-revoked',
  'audit-lost',
  'settings-reloaded',
  'settings-refused',
  'keys-refused',
  'model-loaded',
  'model-load-failed',
  'model-load-denied',
  'model-unloaded',
  'model-unload-failed',
  'model-unload-denied',
  'model-worker-ended',
] as const

export type AuditEventName = (typeof AUDIT_EVENTS)[number]

/** One thing that happened. It never holds a token, a key or a password; a token is named by its id. */
export interface AuditEvent {
  readonly event: AuditEventName
  /** Who did it, as the key of the principal (core/principal.ts), or `command-line`, `server`. Absent where the principal is unknown. */
  readonly actor?: string
  /** Whom or what it was done to. */
  readonly subject?: string
  /** The name that was tried, normalised and cut. */
  readonly name?: string
  readonly sessionId?: string
  readonly tokenId?: string
  readonly reason?: string
  /** The route that was asked for, with the names of its parameters in place of their values. */
  readonly route?: string
  /** How many such events were not logged one by one. */
  readonly count?: number
  readonly origin?: Origin
}

/** Takes note of what happened; it does not wait and does not fail. */
export type Audit = (event: AuditEvent) => void

/** What is asked of the log. */
export interface AuditQuery {
  /** Names of events; any where it is absent. */
  readonly events?: readonly string[]
  /** An account, a session, a key, a name or an address that did it, or whom it was done to. */
  readonly subject?: string
  /** Milliseconds since 1970, from which on. */
  readonly since?: number
  /** Milliseconds since 1970, before which. */
  readonly until?: number
  readonly limit: number
  /** Where the page before ended, as it said. */
  readonly after?: string
}

/** Events as their lines have them, newest first. There may be more where `next` is there, also after a page that is not full. */
export interface AuditPage {
  readonly events: readonly object[]
  readonly next?: string
}

/** Reads the log. @throws VestalError BODY_INVALID for a place that the log did not give */
export type AuditReader = (query: AuditQuery) => Promise<AuditPage>

/** A line of the log, with the time in UTC first. JSON escapes what could break the line. */
export function auditLine({ origin, name, ...event }: AuditEvent, nowMs: number): string {
  return JSON.stringify({
    time: new Date(nowMs).toISOString(),
    ...event,
    ...(name !== undefined && { name: name.slice(0, 64) }),
    ...(origin && {
      address: origin.address,
      userAgent: origin.userAgent,
      ...(origin.requestId !== undefined && { requestId: origin.requestId }),
    }),
  })
}
