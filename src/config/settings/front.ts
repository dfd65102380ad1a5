import { integer, listOf, type Reader } from '../readers.ts'
import { readTables, type TableField, type TableOf } from '../tables.ts'
import { list, single, tables } from './row.ts'

const host: Reader<string> = (text) => {
  if (/^[a-z0-9.-]{1,253}$|^\[[0-9a-f:.]+\]$/i.test(text)) return text.toLowerCase()
  throw new RangeError('must be a name or an address, without a scheme and a port')
}
const origin: Reader<string> = (text) => {
  if (URL.canParse(text) && new URL(text).origin === text) return text
  throw new RangeError('must be an origin such as https://app.example.org, without a path')
}
const role: Reader<string> = (text) => {
  if (/^[\w.-]{1,64}$/.test(text)) return text
  throw new RangeError('must be letters, digits and "_", ".", "-", at most 64')
}
const count = integer(1, 1_000_000_000)

/** What a table `[[rate_limits]]` holds. */
export const RATE_LIMIT_FIELDS = {
  role: {
    kind: 'text',
    isNeeded: true,
    read: role,
    help: 'A role of the token; `default` is for tokens with none of the others.',
  },
  requestsPerMinute: { kind: 'number', read: count, help: 'Requests a minute of one subject.' },
  rowsPerMinute: { kind: 'number', read: count, help: 'Rows a minute that one subject may have computed.' },
  concurrent: { kind: 'number', read: count, help: 'Requests of one subject at once.' },
} as const satisfies Record<string, TableField>

type RateLimitRow = TableOf<typeof RATE_LIMIT_FIELDS>

/** Who may ask, and how often. */
export const FRONT = {
  allowedHosts: list(listOf(host, 64), {
    default: [] as readonly string[],
    shownDefault: 'any',
    value: 'NAME',
    help: 'Names that this server answers to; a request for another is refused with 421. May be given several times.',
  }),
  corsOrigins: list(listOf(origin, 64), {
    default: [] as readonly string[],
    shownDefault: 'none',
    value: 'ORIGIN',
    help: 'Origins whose pages may ask with a token in `Authorization`, such as https://app.example.org. May be given several times.',
  }),
  urlBytesMax: single(integer(256, 65_536), {
    default: 8192,
    value: 'BYTES',
    help: 'Longest URL; a longer one is refused with 414.',
  }),
  addressRequestsPerMinute: single<number | undefined>(count, {
    default: undefined,
    value: 'N',
    help: 'Requests a minute from one address; more are refused with 429. Behind a proxy set `trusted_proxies` too.',
  }),
  rateLimits: tables((given, fault) => readTables<RateLimitRow>(RATE_LIMIT_FIELDS, given, { fault, tablesMax: 64 }), {
    default: [] as readonly RateLimitRow[],
    shownDefault: 'none',
    fields: RATE_LIMIT_FIELDS,
    help: 'Requests, rows and requests at once of a subject, by role; more are refused with 429.',
  }),
}
