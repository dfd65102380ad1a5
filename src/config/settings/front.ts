import { bytes, integer, listOf, type Reader } from '../readers.ts'
import { readTables, type TableField, type TableOf } from '../tables.ts'
import { list, optional, single, tables } from './row.ts'

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
const RATE_LIMIT_FIELDS = {
  role: {
    kind: 'text',
    isNeeded: true,
    read: role,
    help: 'Role of the token; `default` is for tokens with none of the others.',
  },
  requestsPerMinute: { kind: 'number', read: count, help: 'Requests a minute of one subject.' },
  rowsPerMinute: { kind: 'number', read: count, help: 'Rows computed a minute for one subject.' },
  concurrent: { kind: 'number', read: count, help: 'Concurrent requests of one subject.' },
} as const satisfies Record<string, TableField>

type RateLimitRow = TableOf<typeof RATE_LIMIT_FIELDS>

/** Who may ask, and how often. */
export const FRONT = {
  allowedHosts: list(listOf(host, 64), [], {
    shownDefault: 'any',
    value: 'NAME',
    help: 'Host names that this server answers to; a request for any other is rejected with 421. Repeatable.',
    isReloadable: true,
  }),
  corsOrigins: list(listOf(origin, 64), [], {
    value: 'ORIGIN',
    help: 'Origins whose pages may send requests with a token in `Authorization`, such as https://app.example.org. Repeatable.',
    isReloadable: true,
  }),
  urlBytesMax: single(bytes(256, 65_536), 8192, {
    help: 'Longest URL; a longer one is rejected with 414.',
    isReloadable: true,
  }),
  addressRequestsPerMinute: optional(count, {
    value: 'N',
    help: 'Requests a minute from one address; more are rejected with 429. Behind a proxy set `trusted_proxies` too.',
    isReloadable: true,
  }),
  rateLimits: tables((given, fault) => readTables<RateLimitRow>(RATE_LIMIT_FIELDS, given, { fault, tablesMax: 64 }), {
    default: [] as readonly RateLimitRow[],
    fields: RATE_LIMIT_FIELDS,
    help: 'Rate limits by role: requests, rows and concurrent requests of a subject; more are rejected with 429.',
    isReloadable: true,
  }),
}
