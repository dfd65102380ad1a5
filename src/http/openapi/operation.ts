import type { TObject } from '@sinclair/typebox'
import { openApiOf } from '../../schema/open-api.ts'
import type { SchemaName } from './schemas.ts'

/** The answer of an operation when all goes well. */
interface Answer {
  readonly description: string
  /** A name in the document's schemas; absent where the answer has no body. */
  readonly schema?: SchemaName
  readonly example?: unknown
  /** The one media type of the answer; default `application/json`. */
  readonly contentType?: string
  /** Default 200. */
  readonly status?: number
}

interface Body {
  readonly schema: SchemaName
  /** Bodies to try, by name. */
  readonly examples: Readonly<Record<string, unknown>>
  /** True when the request may come without a body. */
  readonly isOptional?: boolean
  /** The one media type of the body; default `application/json`. */
  readonly contentType?: string
}

/** A header or a part of the query that a request may have. */
export interface Parameter {
  readonly name: string
  readonly in: 'header' | 'query'
  readonly description: string
  readonly schema: object
  /** True where a request without it fails; default false. */
  readonly required?: boolean
}

export interface Operation {
  readonly tag: string
  readonly summary: string
  readonly description?: string
  /** What a token must grant; an empty text asks for any valid token, and none at all makes the route open. */
  readonly permission?: string
  readonly parameters?: readonly Parameter[]
  readonly body?: Body
  /** Absent where a request always fails. */
  readonly answer?: Answer
  /** Statuses of failures beside those that every route with a permission has. */
  readonly failures?: readonly FailureStatus[]
  /** Under `/v2` a failure is `{"error"}`. */
  readonly isOpenInference?: boolean
  /** Under `/oauth/` it is `{"error", "error_description"}`. */
  readonly isOauth?: boolean
  /** Of a dialect: the one form of its failures; some have a status of its own. */
  readonly failure?: SchemaName
}

const FAILURES = {
  400: ['BadRequest', 'The request is not what this route takes; the text names the field and the rule'],
  401: ['Unauthorized', 'No valid token was sent; `WWW-Authenticate` says whether one was missing or refused (RFC 6750 §3)'],
  403: ['Forbidden', 'The token does not grant the permission'],
  404: ['NotFound', 'There is no such model or version'],
  408: ['TooSlow', 'The body did not arrive in time; the connection is closed'],
  409: ['Conflict', 'Another has the name, or the last enabled administrator would be lost'],
  412: ['Changed', 'It was changed since it was read; `If-Match` names a version that is no longer the current one'],
  413: ['TooLarge', 'The body is larger than this route takes, or expands to more'],
  415: ['UnsupportedCoding', 'The content encoding of the body is not supported; `Accept-Encoding` lists those that are'],
  422: ['LoadFailed', 'The model, or the settings, cannot be loaded; the text says why, and what served keeps serving'],
  426: ['UpgradeRequired', 'The request does not ask for a WebSocket'],
  428: ['VersionNeeded', 'A change needs `If-Match` with the `ETag` of what was read'],
  429: ['TooMany', 'Too many requests, attempts or bytes at once; `Retry-After` says when to try again'],
  501: ['Unsupported', 'The request asks for something that this server does not do'],
  503: [
    'Unavailable',
    'The model is not ready, the queue is full or the server is stopping; `Retry-After` says when to try again',
  ],
  504: ['TimedOut', 'The time that the request gave itself was over'],
} as const

export type FailureStatus = keyof typeof FAILURES

/** Version that a change is for. */
export const IF_MATCH: Parameter = {
  name: 'If-Match',
  in: 'header',
  description: 'The `ETag` of what was read, with its quotes, or `*` for any version',
  schema: { type: 'string' },
  required: true,
}

/** How long the caller waits. */
export const TIMEOUT: Parameter = {
  name: 'Vestal-Timeout-Ms',
  in: 'header',
  description: 'Milliseconds to wait and run; a request that takes longer is answered with 503 or 504',
  schema: { type: 'number', minimum: 0, exclusiveMinimum: true },
}

/** The query of a list, from the schema that the route reads it by. */
export function parametersOf({ properties }: TObject): readonly Parameter[] {
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...schema } = openApiOf(property)
    return { name, in: 'query', description: String(description), schema }
  })
}

/** The documentation of a route, in the form that OpenAPI 3.0 gives an operation. */
export function operation(options: Operation) {
  const { tag, summary, description, permission, parameters, body, answer, failures = [] } = options
  const isOpen = permission === undefined
  const all: readonly FailureStatus[] = isOpen ? [429, ...failures] : [400, 401, 403, 429, ...failures]
  // A body that may be too large may also be too slow.
  // Whatever reads a body may meet each of these.
  const statuses: readonly FailureStatus[] = all.includes(413) ? [...new Set([408, 415, 429, 503, ...all] as const)] : all
  const asks = isOpen
    ? 'Open to everybody.'
    : permission === ''
      ? 'Asks for a valid token.'
      : `Asks for the permission \`${permission}\`.`
  return {
    tags: [tag],
    summary,
    description: description === undefined ? asks : `${description} ${asks}`,
    // One scheme: clients that are generated from several send a token for each, or one without its `Bearer`.
    security: isOpen ? [] : [{ bearer: [] }],
    ...(parameters && { parameters: parameters.map((parameter) => ({ ...parameter })) }),
    ...(body && { requestBody: requestBody(body) }),
    responses: {
      ...(answer && { [answer.status ?? 200]: { description: answer.description, ...answerContent(answer) } }),
      ...Object.fromEntries([...new Set(statuses)].sort().map((status) => [status, failure(status, options)])),
      ...(options.failure && { default: response('Another failure', options.failure) }),
    },
  }
}

function requestBody({ schema, examples, isOptional = false, contentType = 'application/json' }: Body) {
  const values = Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]))
  return {
    required: !isOptional,
    content: { [contentType]: { schema: reference(schema), examples: values } },
  }
}

function answerContent({ schema, example, contentType = 'application/json' }: Answer) {
  if (schema === undefined) return {}
  return { content: { [contentType]: { schema: reference(schema), example } } }
}

function reference(name: string) {
  return { $ref: `#/components/schemas/${name}` }
}

function failure(status: FailureStatus, { isOpenInference = false, isOauth = false, failure: own }: Operation) {
  if (own !== undefined) return response(FAILURES[status][1], own)
  const form = isOpenInference ? 'OpenInference' : isOauth ? 'Oauth' : ''
  return { $ref: `#/components/responses/${form}${FAILURES[status][0]}` }
}

/** Responses defined in the document's components, by their status. */
export function failureReferences(statuses: readonly FailureStatus[]) {
  return Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/${FAILURES[status][0]}` }]))
}

/** The responses that `operation` refers to, for the document's components. */
export function failureResponses() {
  const entries = Object.entries(FAILURES).flatMap(([status, [name, description]]) => [
    [name, response(description, 'Failure', { status_code: Number(status), detail: description, error: null })],
    [`Oauth${name}`, response(description, 'OauthFailure', { error: 'invalid_request', error_description: description })],
    [`OpenInference${name}`, response(description, 'OpenInferenceFailure', { error: description })],
  ])
  return Object.fromEntries(entries) as Readonly<Record<string, ReturnType<typeof response>>>
}

function response(description: string, schema: string, example?: unknown) {
  return {
    description,
    content: { 'application/json': { schema: reference(schema), ...(example !== undefined && { example }) } },
  }
}
