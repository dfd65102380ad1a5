/** What the store keeps, as plain data. Times are milliseconds since 1970. */

/** Somebody who may sign in. */
export interface Account {
  /** A UUID, the `sub` of the account's tokens. */
  readonly id: string
  /** Name or email, normalised; no two accounts share one. */
  readonly name: string
  /** What `Bun.password` made of the password; null where none is set. */
  readonly passwordHash: string | null
  /** True for a password that signs in once and is then gone. */
  readonly isPasswordOnce: boolean
  /** Permissions beside those of the roles. */
  readonly permissions: readonly string[]
  /** Names of roles, sorted. */
  readonly roles: readonly string[]
  /** Raised when everything that was issued for the account must die; tokens carry the one they were issued under. */
  readonly epoch: number
  /** Raised by each change that an administrator could overwrite; the entity tag of the account. */
  readonly version: number
  readonly disabledAt: number | null
  readonly createdAt: number
  readonly lastSignInAt: number | null
}

/** A name for a set of permissions. */
export interface Role {
  readonly name: string
  readonly description: string
  readonly permissions: readonly string[]
  readonly version: number
  readonly createdAt: number
}

/** A sign-in that lasts: its refresh tokens follow one another, one generation at a time. */
export interface Session {
  /** A UUID, the `sid` of the session's access tokens. */
  readonly id: string
  readonly accountId: string
  /** Generation of the refresh token that is valid; 0 where the session has none. */
  readonly generation: number
  /** The valid refresh token, encrypted under its parent, so that who has the parent can be given it again; null before the first. */
  readonly sealedToken: string | null
  readonly createdAt: number
  readonly refreshedAt: number
  /** When the session ends however much it is used. */
  readonly expiresAt: number
  /** Client that the session was made for; null for a person's own. */
  readonly clientId: string | null
  /** Address and program that signed in, for the list of sessions. */
  readonly address: string
  readonly userAgent: string
}

/** A refresh token as the store knows it: by its hash. */
export interface RefreshTokenRecord {
  readonly sessionId: string
  readonly generation: number
}

/** A key of a program; it is an OAuth client as well. */
export interface ApiKey {
  readonly id: string
  readonly name: string
  /** SHA-256 of the whole key. */
  readonly hash: string
  readonly permissions: readonly string[]
  readonly version: number
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly lastUsedAt: number | null
  readonly revokedAt: number | null
}

/** What must no longer be accepted, until every token that it could concern has expired. All of it is about tokens made here. */
export interface Revocation {
  /** `token`: one `jti`. `session`: one `sid`. `subject`: all of a `sub` that carry an older epoch. `api-keys`: the keys changed. */
  readonly kind: 'token' | 'session' | 'subject' | 'api-keys'
  readonly value: string
  /** The oldest epoch that is still accepted, for `subject`; for `api-keys` a number that changes with them; 0 for the rest. */
  readonly epoch: number
  readonly createdAt: number
  /** When it may be forgotten. */
  readonly until: number
}

/** One line of the audit log that was kept in the database. */
export interface AuditRecord {
  readonly id: string
  readonly at: number
  /** The line, as JSON. */
  readonly line: string
}
