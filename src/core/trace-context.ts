/** Which trace a request is part of, and under which span: what `traceparent` says (W3C Trace Context). */
export interface TraceContext {
  /** 32 lower-case hexadecimal digits, not all of them 0. */
  readonly traceId: string
  /** 16 of them. */
  readonly spanId: string
  /** Whether the caller records the trace. */
  readonly isSampled: boolean
}

const TRACE_PARENT = /^([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const LENGTH_MAX = 512
const MEMBERS_MAX = 32
/** A member of `tracestate` (§3.3.1.3.1): a key, perhaps with its vendor, and a printable value. */
const MEMBER =
  /^[a-z0-9][a-z0-9_\-*/]{0,240}(?:@[a-z][a-z0-9_\-*/]{0,13})?=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/** Reads `traceparent` (§3.2.2): of a version after ours only what ours has too; undefined where it is none. */
export function readTraceParent(header: string | null): TraceContext | undefined {
  if (header === null || header.length > LENGTH_MAX) return undefined
  const [, version, traceId, spanId, flags, rest] = TRACE_PARENT.exec(header) ?? []
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined) return undefined
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

/** Reads `tracestate` (§3.3.1), which is passed on as it came; undefined where it is none, or too long. */
export function readTraceState(header: string | null): string | undefined {
  if (header === null || header.length > LENGTH_MAX) return undefined
  const members = header.split(',').map((member) => member.trim())
  const given = members.filter((member) => member !== '')
  const keys = new Set(given.map((member) => member.slice(0, member.indexOf('='))))
  const isRight = given.length <= MEMBERS_MAX && keys.size === given.length && given.every((member) => MEMBER.test(member))
  return isRight && given.length > 0 ? given.join(',') : undefined
}

/** The `traceparent` of a call that is made under this span. */
export function traceParentOf({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-0${isSampled ? 1 : 0}`
}
