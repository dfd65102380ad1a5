import { Elysia } from 'elysia'
import { VestalError } from '../core/errors.ts'
import { oauthFailure } from './accounts/oauth-failure.ts'
import { pathOf } from './address.ts'
import { dialectOf, failureIn } from './dialects/failures.ts'
import type { RouteTable } from './route-table.ts'
import { prefersHtml } from './web-page.ts'

export interface ErrorsOptions {
  /** Called with each of our own bugs, in full; the client sees no detail. */
  readonly report: (error: unknown, request: Request) => void
  /** Which methods a path has, for the 405 of RFC 9110 §15.5.6. */
  readonly routes: RouteTable
  /** Called for every failure before it is answered. */
  readonly refused?: (error: VestalError, request: Request) => void
  /** Answers a failure; default always JSON. */
  readonly respond?: (error: VestalError, request: Request) => Response
}

/**
 * Answers every failure of the app, so it is used first. A `VestalError` is shown to the client; anything else is reported and
 * answered as a 500 without a word of what happened.
 */
export function errors({ report, routes, refused, respond = answerError }: ErrorsOptions) {
  const answer = (error: VestalError, { request, set }: Failed): Response => {
    refused?.(error, request)
    // The answer has its status. Elysia would make another of it, with a stream for its body, where it finds one here too.
    set.status = 200
    return respond(error, request)
  }
  return new Elysia({ name: 'errors' }).onError({ as: 'global' }, ({ code, error, request, set }) => {
    const failed = { request, set }
    const cause = vestalErrorIn(error)
    if (cause !== undefined) return answer(cause, failed)
    if (code === 'NOT_FOUND') return answer(notFound(routes(pathOf(request))?.methods ?? [], request.method), failed)
    if (code === 'PARSE') return answer(new VestalError('BODY_INVALID', { cause: error }), failed)
    if (code === 'VALIDATION' && error.type !== 'response') return answer(invalid(error), failed)
    report(error, request)
    return answer(new VestalError('INTERNAL'), failed)
  })
}

interface Failed {
  readonly request: Request
  readonly set: { status?: number | string }
}

/** The `VestalError` that was thrown: Elysia wraps what a parser throws. */
export function vestalErrorIn(error: unknown): VestalError | undefined {
  if (error instanceof VestalError) return error
  return error instanceof Error && error.cause instanceof VestalError ? error.cause : undefined
}

/**
 * The response for a failure: in the form and with the status of its dialect, `{"error"}` under `/v2`, where Open Inference Protocol clients
 * read it, and three keys elsewhere.
 * `Content-Type` is exactly `application/json`: KServe's client reads the text only then.
 */
export function answerError(error: VestalError, request: Request): Response {
  const path = pathOf(request)
  const dialect = dialectOf(request, path)
  const { status, body } = dialect === undefined ? { status: error.status, body: bodyOf(error, path) } : failureIn(dialect, error)
  return new Response(JSON.stringify(body), { status, headers: headersOf(error.headers) })
}

/** Answers a failure with a page where a browser opens an address, and with JSON for everyone else. */
export function createErrorAnswer(pageOf: (error: VestalError, id: string) => Response): ErrorAnswer {
  return (error, request, id) => {
    const isOpened = request.method === 'GET' || request.method === 'HEAD'
    return isOpened && prefersHtml(request) ? pageOf(error, id) : answerError(error, request)
  }
}

/** Answers a failure of a request, which the log has under an id. */
export type ErrorAnswer = (error: VestalError, request: Request, id: string) => Response

function bodyOf(error: VestalError, path: string): unknown {
  const { status, detail } = error
  if (path.startsWith('/oauth/')) return oauthFailure(error)
  if (path === '/v2' || path.startsWith('/v2/')) return { error: typeof detail === 'string' ? detail : JSON.stringify(detail) }
  return { status_code: status, detail, error: null }
}

/** Headers by those of the failure: those of an error code are the same object each time, and building them is half of the answer. */
const knownHeaders = new WeakMap<VestalError['headers'], Headers>()

function headersOf(more: VestalError['headers']): Headers {
  const known = knownHeaders.get(more) ?? new Headers({ ...ERROR_HEADERS, ...more })
  knownHeaders.set(more, known)
  return known
}

const ERROR_HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

/** A method that the path has was not found for another reason: a fragment in the target, which Elysia takes for a part of the path. */
function notFound(methods: readonly string[], method: string): VestalError {
  return methods.length === 0 || methods.includes(method)
    ? new VestalError('NOT_FOUND')
    : new VestalError('METHOD_NOT_ALLOWED', { headers: { allow: methods.join(', ') } })
}

/** A schema's error, shown only as the place: the value may be secret. */
function invalid(error: { readonly type: string; readonly valueError?: { readonly path: string } | undefined }): VestalError {
  const path = error.valueError?.path ?? ''
  return new VestalError('BODY_INVALID', { detail: { [`${error.type}${path}`]: 'is not what this route takes' }, cause: error })
}

/** Writes a bug of ours to the standard error, in full. */
export function reportToStandardError(error: unknown, request: Request): void {
  console.error(`${request.method} ${pathOf(request)} failed:`, error)
}
