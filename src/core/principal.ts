/**
 * Who a request is from: an issuer and a subject, never only a subject. Two issuers may use the same `sub` for two people, so whatever is
 * counted, limited, revoked or logged for a caller uses `key`.
 */
export interface Principal {
  /** True for tokens and API keys that this server made: an account, an API key, `vestal token`. */
  readonly isLocal: boolean
  /** `iss`, where the token has one. */
  readonly issuer: string | undefined
  /** `sub`, or `key:<id>` for an API key; undefined where the token has none. */
  readonly subject: string | undefined
  /** A text that no other principal has, whatever its issuer and its subject contain. */
  readonly key: string
}

/**
 * Makes a principal. The key of a local one is its subject (an account's id, `key:<id>`, `command-line`), that of another issuer is
 * `<issuer> <subject>`. All tokens of one issuer that have no subject are one principal.
 */
export function createPrincipal({ isLocal, issuer, subject }: Omit<Principal, 'key'>): Principal {
  const who = subject === undefined ? '(no subject)' : escaped(subject)
  const key = isLocal ? who : `${issuer === undefined ? '(no issuer)' : escaped(issuer)} ${who}`
  return Object.freeze({ isLocal, issuer, subject, key })
}

/** The key of a client without a token, made from its address; no principal has such a key. */
export function keyOfAddress(address: string): string {
  return `(address) ${address}`
}

/** A part of a key holds no space and no parenthesis, so that none of it can be taken for another part, or for the absence of one. */
function escaped(part: string): string {
  return part.replace(/[% (]/g, (character) => `%${character.charCodeAt(0).toString(16)}`)
}
