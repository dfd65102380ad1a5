import type { Static, TObject } from '@sinclair/typebox'
import type { Page } from '../../accounts/store.ts'
import { VestalError } from '../../core/errors.ts'
import { didYouMean } from '../../core/nearest.ts'
import { matches, ruleOf } from '../../schema/check.ts'
import { fieldFault } from './fields.ts'
import { PageQuery } from './schemas.ts'

/** Rows of a page by default. */
const LIMIT = 50
const CURSOR_LENGTH_MAX = 1024

/**
 * Reads which page a request asks for, and its filters.
 * @throws VestalError BODY_INVALID for a parameter that is not known, is given twice or is wrong
 */
export function readQuery<S extends TObject>(
  request: Request,
  schema: S,
): { readonly page: Page; readonly filter: { readonly [Name in keyof Static<S>]?: string } } {
  const given = new Map<string, string>()
  for (const [name, value] of new URL(request.url).searchParams) {
    if (!Object.hasOwn(schema.properties, name))
      throw fieldFault(name.slice(0, 64), `is not a parameter of this list${didYouMean(name, Object.keys(schema.properties))}`)
    if (given.has(name) || value.length > CURSOR_LENGTH_MAX || value.includes('\0'))
      throw fieldFault(name, 'must be given once, and be short')
    given.set(name, value)
  }
  const filter = Object.fromEntries(given)
  const { limit = String(LIMIT), cursor } = filter
  const rule = PageQuery.properties.limit
  if (!/^\d{1,3}$/.test(limit) || !matches(rule, Number(limit))) throw fieldFault('limit', ruleOf(rule))
  const after = cursor === undefined ? undefined : placeIn(cursor)
  // The cast: each name is one of the schema's.
  return {
    page: { limit: Number(limit), ...(after !== undefined && { after }) },
    filter: filter as Partial<Record<keyof Static<S>, string>>,
  }
}

/** A filter that is true or false. */
export function yesOrNo(name: string, text: string | undefined): boolean | undefined {
  if (text === undefined || text === 'true' || text === 'false') return text === undefined ? undefined : text === 'true'
  throw fieldFault(name, 'must be true or false')
}

/** The cursor of the next page; null where this one was not full. */
export function nextCursor(rows: number, { limit }: Page, last: string | undefined): string | null {
  return rows < limit ? null : cursorOf(last)
}

/** The cursor of a place; null where there is none. */
export function cursorOf(place: string | undefined): string | null {
  return place === undefined ? null : Buffer.from(place).toString('base64url')
}

/** A time of RFC 3339 in milliseconds since 1970: clients write UTC as `Z` or as `+00:00`. */
export function timeIn(name: string, text: string, rule = 'must be a time such as 2027-01-01T00:00:00Z'): number {
  const time = /^\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:\d{2})$/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw fieldFault(name, rule)
  return time
}

function placeIn(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString('utf8')
  if (Buffer.from(text).toString('base64url') !== cursor || text.includes('\0'))
    throw fieldFault('cursor', 'must be one that this list gave')
  return text
}

/** The entity tag of a version. */
export function tagOf(version: number): { readonly etag: string } {
  return { etag: `"${version}"` }
}

/**
 * The version that the caller read, from `If-Match`; undefined for `*`, which takes any.
 * @throws VestalError VERSION_NEEDED, VERSION_CONFLICT
 */
export function versionIn(request: Request): number | undefined {
  const header = request.headers.get('if-match')?.trim()
  if (header === undefined || header === '') throw new VestalError('VERSION_NEEDED')
  if (header === '*') return undefined
  const version = /^"(\d{1,15})"$/.exec(header)?.[1]
  if (version === undefined) throw new VestalError('VERSION_CONFLICT')
  return Number(version)
}
