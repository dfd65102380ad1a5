import type { ErrorCode, ErrorDetail, VestalError } from '../../core/errors.ts'

/** A language that clients of other servers speak. */
export type Dialect = 'openai' | 'tei' | 'cohere' | 'jina' | 'hugging-face' | 'kserve'

/** How a dialect answers a failure. */
export interface DialectFailure {
  readonly status: number
  readonly body: unknown
}

/** Routes of a dialect under `/models/<name>/`, by what follows the name. */
const UNDER_A_MODEL: Readonly<Record<string, Dialect>> = {
  embed: 'tei',
  embed_all: 'tei',
  embed_sparse: 'tei',
  rerank: 'tei',
  similarity: 'tei',
  tokenize: 'tei',
  decode: 'tei',
  info: 'tei',
  health: 'tei',
  'v1/embeddings': 'openai',
  'v1/models': 'openai',
  'v1/rerank': 'jina',
  'v2/embed': 'cohere',
  'v2/rerank': 'cohere',
}

/** The same where the model is named in the body. */
const GLOBAL: Readonly<Record<string, Dialect>> = {
  '/v1/embeddings': 'openai',
  '/v1/models': 'openai',
  '/v1/rerank': 'jina',
  '/v2/embed': 'cohere',
  '/v2/rerank': 'cohere',
}

const MODEL_PATH = /^\/models\/[^/]+\/?(.*)$/

/** Requests whose body says what the path does not. */
const spoken = new WeakMap<Request, Dialect>()

/** Says that a request speaks a dialect, so that its failures have that form. */
export function speak(dialect: Dialect, request: Request): void {
  spoken.set(request, dialect)
}

/**
 * The dialect of a request, which decides the form of its failures; undefined for all that speaks no other server's. It is known by the path
 * as far as it can be, so that a request without a token is answered in its own form too.
 */
export function dialectOf(request: Request, path: string): Dialect | undefined {
  return spoken.get(request) ?? dialectAt(request.method, path)
}

function dialectAt(method: string, path: string): Dialect | undefined {
  const plain = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  if (plain.startsWith('/v1/models/')) return method === 'POST' ? 'kserve' : 'openai'
  const whole = Object.hasOwn(GLOBAL, plain) ? GLOBAL[plain] : undefined
  if (whole !== undefined) return whole
  const [, rest] = MODEL_PATH.exec(plain) ?? []
  if (rest === undefined) return undefined
  if (rest === '') return method === 'POST' ? 'hugging-face' : undefined
  return Object.hasOwn(UNDER_A_MODEL, rest) ? UNDER_A_MODEL[rest] : undefined
}

/** A failure as the clients of a dialect read it. */
export function failureIn(dialect: Dialect, error: VestalError): DialectFailure {
  return FAILURES[dialect](error, textOf(error.detail))
}

/** There is no room for now; a client that comes again may find some. */
const OVERLOAD: ReadonlySet<ErrorCode> = new Set(['QUEUE_FULL', 'SUBJECT_LIMIT', 'MEMORY_LIMIT', 'SUBJECT_MEMORY_LIMIT'])
/** What computes is not there, or cannot compute this. */
const BACKEND: ReadonlySet<ErrorCode> = new Set([
  'TASK_MISMATCH',
  'INFERENCE_FAILED',
  'MODEL_UNAVAILABLE',
  'WORKER_LOST',
  'ENGINE_LOST',
  'UNSUPPORTED',
])

/** What is wrong with a body. */
const BODY: ReadonlySet<ErrorCode> = new Set(['BODY_INVALID', 'INPUT_INVALID', 'INPUT_TOO_LONG', 'TOKENIZING_FAILED'])

/** Every overload is a 429: the clients of these dialects wait after one as they do after a 503, and one of them asks on without a pause after a 503. */
function statusOf({ code, status }: VestalError): number {
  if (OVERLOAD.has(code)) return 429
  return code === 'TASK_MISMATCH' ? 404 : status
}

const FAILURES: Readonly<Record<Dialect, (error: VestalError, text: string) => DialectFailure>> = {
  openai: (error, message) => {
    const status = statusOf(error)
    const param = paramOf(error.detail)
    return { status, body: { error: { message, type: openAiType(status), param, code: openAiCode(error, status) } } }
  },
  tei: (error, text) => {
    const { status, type } = teiKind(error)
    return { status, body: { error: text, error_type: type } }
  },
  cohere: (error, message) => ({ status: statusOf(error), body: { message } }),
  jina: (error, detail) => ({ status: statusOf(error), body: { detail } }),
  // The JavaScript client asks again after a 503, at once and without end.
  'hugging-face': (error, text) => ({ status: withoutUnavailable(error), body: { error: text } }),
  kserve: ({ status }, error) => ({ status, body: { error } }),
}

function withoutUnavailable(error: VestalError): number {
  if (BACKEND.has(error.code)) return 424
  if (error.code === 'QUEUE_TIMEOUT') return 504
  const status = statusOf(error)
  return status === 503 ? 502 : status
}

function teiKind(error: VestalError): { readonly status: number; readonly type: string } {
  const { code } = error
  const status = statusOf(error)
  if (code === 'INPUT_EMPTY') return { status: 400, type: 'Empty' }
  if (BACKEND.has(code)) return { status: 424, type: 'Backend' }
  if (status === 429 || code === 'QUEUE_TIMEOUT') return { status: 429, type: 'Overloaded' }
  if (status === 503) return { status, type: 'Unhealthy' }
  if (status >= 500) return { status, type: 'Backend' }
  // Text Embeddings Inference tells a body that it cannot read, and one that it does not accept, alike.
  return { status: BODY.has(code) ? 422 : status, type: 'Validation' }
}

function openAiType(status: number): string {
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

function openAiCode({ code }: VestalError, status: number): string | null {
  if (status === 401) return 'invalid_api_key'
  if (status === 429) return 'rate_limit_exceeded'
  if (code === 'MODEL_UNKNOWN' || code === 'TASK_MISMATCH') return 'model_not_found'
  return code === 'PERMISSION_MISSING' ? 'insufficient_permissions' : null
}

/** The field that a failure is about, where it is about one. */
function paramOf(detail: ErrorDetail): string | null {
  if (typeof detail === 'string') return null
  const [first, ...others] = Object.keys(detail)
  return first === undefined || others.length > 0 ? null : first
}

function textOf(detail: ErrorDetail): string {
  if (typeof detail === 'string') return detail
  return Object.entries(detail)
    .map(([name, rule]) => `"${name}" ${rule}`)
    .join('; ')
}
