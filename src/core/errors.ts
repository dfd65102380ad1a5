import type { Principal } from './principal.ts'

/** Details that a client may see: a text, or one text for each field. */
export type ErrorDetail = string | Readonly<Record<string, string>>

interface Row {
  readonly status: number
  readonly detail: string
}

/**
 * Every failure that a caller can cause: its HTTP status and the text the client sees unless the thrower gives a better one.
 * The 401 rows share one text on purpose: which check rejected a token is for the log, and for who has a token whose signature is right
 * (auth/challenge.ts), not for a client that made one up.
 */
const CATALOGUE = {
  TOKEN_MISSING: { status: 401, detail: 'Unauthorized' },
  TOKEN_TOO_LONG: { status: 401, detail: 'Unauthorized' },
  TOKEN_MALFORMED: { status: 401, detail: 'Unauthorized' },
  TOKEN_ENCRYPTED: { status: 401, detail: 'Unauthorized' },
  DECRYPTION_FAILED: { status: 401, detail: 'Unauthorized' },
  TOKEN_TYPE_REFUSED: { status: 401, detail: 'Unauthorized' },
  HEADER_PARAMETER_REFUSED: { status: 401, detail: 'Unauthorized' },
  ALGORITHM_REFUSED: { status: 401, detail: 'Unauthorized' },
  KEY_UNKNOWN: { status: 401, detail: 'Unauthorized' },
  SIGNATURE_INVALID: { status: 401, detail: 'Unauthorized' },
  CLAIM_MISSING: { status: 401, detail: 'Unauthorized' },
  CLAIM_INVALID: { status: 401, detail: 'Unauthorized' },
  TOKEN_EXPIRED: { status: 401, detail: 'Unauthorized' },
  TOKEN_NOT_YET_VALID: { status: 401, detail: 'Unauthorized' },
  TOKEN_ISSUED_IN_FUTURE: { status: 401, detail: 'Unauthorized' },
  TOKEN_LIFETIME_TOO_LONG: { status: 401, detail: 'Unauthorized' },
  ISSUER_REFUSED: { status: 401, detail: 'Unauthorized' },
  AUDIENCE_REFUSED: { status: 401, detail: 'Unauthorized' },
  TOKEN_REVOKED: { status: 401, detail: 'Unauthorized' },
  KEYS_UNAVAILABLE: { status: 503, detail: 'The keys of the token’s issuer are unavailable; try again later' },
  AUTHORIZATION_MALFORMED: { status: 400, detail: 'The Authorization header must be one scheme, a space and one token' },
  COOKIE_AMBIGUOUS: { status: 400, detail: 'The token cookie was sent more than once' },
  PERMISSION_MISSING: { status: 403, detail: 'Insufficient permissions' },
  CROSS_SITE_REFUSED: { status: 403, detail: 'A token cookie is not accepted from another site' },
  SIGN_IN_REFUSED: { status: 401, detail: 'The name or the password is wrong' },
  REFRESH_TOKEN_REFUSED: { status: 401, detail: 'The refresh token is not accepted; sign in again' },
  API_KEY_REFUSED: { status: 401, detail: 'Unauthorized' },
  CLIENT_REFUSED: { status: 401, detail: 'The client is unknown, or its secret is wrong' },
  GRANT_REFUSED: { status: 400, detail: 'The name, password or refresh token is not accepted' },
  GRANT_UNSUPPORTED: { status: 400, detail: 'The grant type must be password, refresh_token or client_credentials' },
  SCOPE_REFUSED: { status: 400, detail: 'The scope is more than is granted' },
  REVOCATION_REFUSED: { status: 400, detail: 'The token cannot be revoked here' },
  SIGN_IN_THROTTLED: { status: 429, detail: 'Too many attempts; try again later' },
  SIGN_IN_BUSY: { status: 503, detail: 'Too many sign-ins at once; try again' },
  STORE_UNAVAILABLE: { status: 503, detail: 'The accounts cannot be reached; try again' },
  ATTEMPTS_UNKNOWN: { status: 503, detail: 'Attempts to sign in cannot be counted, since Redis cannot be used; try again' },
  RECORD_UNKNOWN: { status: 404, detail: 'Not Found' },
  NAME_TAKEN: { status: 409, detail: 'The name is taken' },
  LAST_ADMINISTRATOR: {
    status: 409,
    detail: 'This would leave no enabled account that is granted everything, or that may write accounts',
  },
  VERSION_CONFLICT: { status: 412, detail: 'It was changed by another request; read it again' },
  VERSION_NEEDED: { status: 428, detail: 'Send If-Match with the ETag of what you read' },
  BODY_INVALID: { status: 400, detail: 'The body does not match what this route accepts' },
  URL_TOO_LONG: { status: 414, detail: 'The URL is longer than this server accepts' },
  HOST_MALFORMED: { status: 400, detail: 'The request must name one host, by a name or an address' },
  HOST_REFUSED: { status: 421, detail: 'This server does not answer to that host name' },
  RATE_LIMITED: { status: 429, detail: 'Too many requests; try again later' },
  BODY_TIMEOUT: { status: 408, detail: 'The body did not arrive in time' },
  CODING_UNSUPPORTED: { status: 415, detail: 'The content encoding is not supported; gzip and deflate are' },
  BODY_TOO_LARGE: { status: 413, detail: 'The body is larger than this server accepts' },
  NOT_FOUND: { status: 404, detail: 'Not Found' },
  METHOD_NOT_ALLOWED: { status: 405, detail: 'Method Not Allowed' },
  UPGRADE_REQUIRED: { status: 426, detail: 'This path is for a WebSocket' },
  MODEL_UNKNOWN: { status: 404, detail: 'Request for unknown model' },
  MODEL_UNAVAILABLE: { status: 503, detail: 'The model is not ready' },
  MODEL_CONTROL_OFF: {
    status: 503,
    detail: 'explicit model load / unload is not allowed if polling is enabled; it needs --model-control explicit',
  },
  MODEL_LOAD_FAILED: { status: 422, detail: 'failed to load the model' },
  RELOAD_REFUSED: { status: 422, detail: 'The settings are invalid, so the old ones stay' },
  INPUT_EMPTY: { status: 400, detail: 'The input is empty' },
  INPUT_INVALID: { status: 400, detail: 'The input does not match what the model accepts' },
  INPUT_TOO_LONG: { status: 400, detail: 'The text has more tokens than the model takes, and the request asks not to cut it' },
  INPUTS_TOO_MANY: { status: 413, detail: 'The request has more texts, or more tokens in sum, than this server takes at once' },
  TOKENIZING_FAILED: { status: 400, detail: 'The tokenizer of the model cannot read this text' },
  TASK_MISMATCH: { status: 404, detail: 'The model is for a different task' },
  MEDIA_UNREADABLE: { status: 422, detail: 'The picture cannot be decoded within the limits of this server' },
  INFERENCE_FAILED: { status: 400, detail: 'The model could not compute this input' },
  REQUEST_REFUSED: { status: 422, detail: 'The model rejects this request' },
  CODE_FAILED: { status: 500, detail: 'The code of the model failed; the log of the server says where' },
  UNSUPPORTED: { status: 501, detail: 'Not supported by this server' },
  QUEUE_FULL: { status: 503, detail: 'Exceeds maximum queue size' },
  SUBJECT_LIMIT: { status: 429, detail: 'Too many requests of this subject at once' },
  MEMORY_LIMIT: { status: 503, detail: 'The server holds as many bytes for requests as input_bytes_max allows; try again' },
  SUBJECT_MEMORY_LIMIT: {
    status: 429,
    detail:
      'The requests and unread answers of this subject hold as many bytes as subject_bytes_max allows; let some finish first',
  },
  QUEUE_TIMEOUT: { status: 503, detail: 'Request timeout expired' },
  REQUEST_TIMEOUT: { status: 504, detail: 'Request timeout expired' },
  WORKER_LOST: { status: 503, detail: 'The worker that computed this request stopped; send it again' },
  ENGINE_LOST: { status: 503, detail: 'The engine process that computes predictions stopped and starts again; send it again' },
  REQUEST_ABORTED: { status: 499, detail: 'The client closed the request' },
  SERVER_STOPPING: { status: 503, detail: 'Server is stopping' },
  INTERNAL: { status: 500, detail: 'Internal Server Error' },
} as const satisfies Record<string, Row>

/** The codes of `VestalError`; docs/reference/errors.md has each with its status and text. */
export type ErrorCode = keyof typeof CATALOGUE

/** The catalogue as data, for the documentation and the test that compares the two. */
export const ERROR_CATALOGUE: Readonly<Record<ErrorCode, Row>> = CATALOGUE

export interface VestalErrorOptions {
  /** The client sees this in place of the catalogue's text. Never holds a token, a key or a path. */
  readonly detail?: ErrorDetail
  /** In place of the catalogue's status, where the code has several. */
  readonly status?: number
  /** For the log only: which check failed, and why. Never holds a token or a key. */
  readonly reason?: string
  /** Response headers, such as `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>
  /** The principal of a rejected token whose signature is valid; an unsigned claim proves nothing. For the logs only. */
  readonly holder?: Holder | undefined
  readonly cause?: unknown
}

/** Whose token it is, as far as its claims say so. */
export interface Holder {
  /** Absent where one of the two claims is malformed. */
  readonly names?: Pick<Principal, 'issuer' | 'subject'> | undefined
  readonly tokenId?: string | undefined
  /** `exp` of the token, in seconds since 1970. */
  readonly expiresAtSeconds?: number | undefined
  /** What the authenticator makes of the names. */
  readonly principal?: Principal | undefined
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({})

/** A failure that a caller caused: a stable code, an HTTP status and a text that is safe to send. */
export class VestalError extends Error {
  override readonly name = 'VestalError'
  readonly code: ErrorCode
  readonly status: number
  readonly detail: ErrorDetail
  readonly headers: Readonly<Record<string, string>>
  readonly holder: Holder | undefined

  constructor(code: ErrorCode, options: VestalErrorOptions = {}) {
    const row = CATALOGUE[code]
    const detail = options.detail ?? row.detail
    // The code says where it was thrown, and a flood of rejections must be cheap: without a stack it takes a third of the time.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(options.reason ?? (typeof detail === 'string' ? detail : JSON.stringify(detail)), { cause: options.cause })
    Error.stackTraceLimit = stackTraceLimit
    this.code = code
    this.status = options.status ?? row.status
    this.detail = detail
    this.headers = options.headers ?? NO_HEADERS
    this.holder = options.holder
  }
}
