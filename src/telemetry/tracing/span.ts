/** What a span may say of itself. There is no place for a header, a body, a query or a token. */
export type Attributes = Readonly<Record<string, string | number | undefined>>

/** A piece of work, with its begin and its end. */
export interface Span {
  readonly name: string
  readonly kind: 'server' | 'internal'
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string | undefined
  readonly traceState: string | undefined
  /** Milliseconds since 1970, with their fractions. */
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  /** True where our side failed. */
  readonly hasFailed: boolean
}
