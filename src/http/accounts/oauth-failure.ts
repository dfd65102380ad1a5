import type { ErrorCode, VestalError } from '../../core/errors.ts'

/** The words of RFC 6749 §5.2, RFC 6750 §3.1 and RFC 7009 §2.2.1 for our codes; the rest follow from the status. */
const WORDS: Readonly<Partial<Record<ErrorCode, string>>> = {
  CLIENT_REFUSED: 'invalid_client',
  GRANT_REFUSED: 'invalid_grant',
  GRANT_UNSUPPORTED: 'unsupported_grant_type',
  SCOPE_REFUSED: 'invalid_scope',
  REVOCATION_REFUSED: 'unsupported_token_type',
  PERMISSION_MISSING: 'insufficient_scope',
}

/** The body of a failure under `/oauth/`, as OAuth clients read it. */
export function oauthFailure({ code, status, detail }: VestalError): {
  readonly error: string
  readonly error_description: string
} {
  const text =
    typeof detail === 'string'
      ? detail
      : Object.entries(detail)
          .map(([name, rule]) => `${name} ${rule}`)
          .join('; ')
  // §5.2 allows printable ASCII without quotes and backslashes.
  return { error: WORDS[code] ?? wordOf(status), error_description: text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, "'") }
}

function wordOf(status: number): string {
  if (status === 401) return 'invalid_token'
  if (status === 429 || status === 503) return 'temporarily_unavailable'
  return status >= 500 ? 'server_error' : 'invalid_request'
}
