import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Load, LoadResult, Target } from '../load/load.ts'
import { bearer, type UserPlace } from '../servers/as-users.ts'
import { BODY, isSeven } from '../serving-servers/digits.ts'

/** What is asked of both commits, in turns. */
export interface Row {
  readonly id: 'one' | 'infer' | 'rows' | 'public' | 'protected' | 'fresh' | 'json' | 'binary'
  readonly name: string
  readonly connections: number
  readonly target: Omit<Target, 'url'> & { readonly path: string }
  /** Whether an answer is right. */
  readonly isRight: (bytes: Uint8Array) => boolean
  /** Called before each pair of runs: what is asked must be new to both. */
  readonly renew?: (seconds: number) => void
  /** Requests that a run may make at most, so that none comes again. */
  readonly requestsMax?: (seconds: number) => number
}

const INFER = '/v2/models/digits/infer'
const ELEMENTS = 2_000_000
const PIXELS = 3 * 224 * 224
/** More than a server answers in a second. */
const FRESH_A_SECOND = 60_000

const json = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString())
const hasTitle = (bytes: Uint8Array) => typeof (json(bytes) as { title?: unknown }).title === 'string'

/** The rows, for servers of a place. */
export function rowsOf(place: UserPlace): readonly Row[] {
  const authorization = bearer()
  const withJson = { authorization, 'content-type': 'application/json' }
  const one = { path: INFER, method: 'POST', headers: withJson, body: BODY } as const
  const isRight = (bytes: Uint8Array) => isSeven(json(bytes))
  return [
    { id: 'one', name: 'one caller, one row', connections: 1, target: one, isRight },
    { id: 'infer', name: '64 callers, one row', connections: 64, target: one, isRight },
    {
      id: 'rows',
      name: '8 callers, 32 rows',
      connections: 8,
      target: manyRows(withJson),
      isRight: (bytes) => outputOf(bytes).length === 32,
    },
    {
      id: 'public',
      name: 'public route',
      connections: 64,
      target: { path: '/public/info/', method: 'GET', headers: {} },
      isRight: hasTitle,
    },
    {
      id: 'protected',
      name: 'protected route, cached token',
      connections: 64,
      target: { path: '/private/info/', method: 'GET', headers: { authorization } },
      isRight: hasTitle,
    },
    freshTokens(place),
    {
      id: 'json',
      name: 'a picture as JSON, 3 MB',
      connections: 2,
      target: { path: '/v2/models/picture/infer', method: 'POST', headers: withJson, body: picture() },
      isRight: (bytes) => JSON.stringify(json(bytes)).includes('"shape":[1,3,1,1]'),
    },
    {
      id: 'binary',
      name: '8 MB in binary, both ways',
      connections: 2,
      target: { path: '/v2/models/same/infer', method: 'POST', ...binary(authorization) },
      isRight: (bytes) => bytes.length > ELEMENTS * 4,
    },
  ]
}

const outputOf = (bytes: Uint8Array) => (json(bytes) as { output: unknown[] }).output

function manyRows(headers: Readonly<Record<string, string>>): Row['target'] {
  const rows = Array.from({ length: 32 }, (_, row) => Array.from({ length: 64 }, (_each, at) => (row * at) % 17))
  return { path: '/models/digits/predict/', method: 'POST', headers, body: JSON.stringify({ input: rows }) }
}

function freshTokens(place: UserPlace): Row {
  const file = join(place.folder, 'tokens')
  let made = 0
  return {
    id: 'fresh',
    name: 'protected route, every token new',
    connections: 64,
    target: { path: '/private/info/', method: 'GET', headers: {}, tokens: { kind: 'list', file, first: 0 } },
    isRight: hasTitle,
    renew: (seconds) => {
      const next = () => {
        made += 1
        return bearer({ jti: `token-${made}` }).slice('Bearer '.length)
      }
      writeFileSync(file, Array.from({ length: FRESH_A_SECOND * seconds }, next).join('\n'))
    },
    requestsMax: (seconds) => FRESH_A_SECOND * seconds,
  }
}

/** A request with a picture of 224×224 as numbers, 3 MB of them. */
export function picture(): string {
  // Doubles as Python writes them: 20 characters for each, as pixels that were scaled and shifted have.
  const data = Array.from({ length: PIXELS }, (_, index) => Math.sin(index) * 2)
  return JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 3, 224, 224], data }] })
}

function binary(authorization: string): Pick<Target, 'headers' | 'body'> {
  const input = { name: 'x', datatype: 'FP32', shape: [ELEMENTS], parameters: { binary_data_size: ELEMENTS * 4 } }
  const head = (id: string) => Buffer.from(JSON.stringify({ id, inputs: [input], parameters: { binary_data_output: true } }))
  const padded = head('a'.repeat((8 - (head('').length % 8)) % 8))
  const data = Float32Array.from({ length: ELEMENTS }, (_, index) => Math.sin(index))
  return {
    headers: { authorization, 'inference-header-content-length': String(padded.length), 'accept-encoding': 'identity' },
    body: new Uint8Array(Buffer.concat([padded, new Uint8Array(data.buffer)])),
  }
}

/** How a row is put to a server. */
export function loadOf({ target: { path, ...target }, connections }: Row, base: string, seconds: number): [Target, Load] {
  return [
    { ...target, url: base + path },
    { seconds, connections, isPinned: false },
  ]
}

/** Whether a run says something: no request failed, and none came twice that must be new. */
export function isSound({ requestsMax }: Row, { requests, failures }: LoadResult, seconds: number): boolean {
  return requests > 0 && failures === 0 && requests <= (requestsMax?.(seconds) ?? Infinity)
}
