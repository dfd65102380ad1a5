import { VestalError } from '../../core/errors.ts'
import { after, type Maybe } from '../../core/maybe.ts'
import { hostOf } from '../address.ts'
import { answerError, type ErrorAnswer } from '../errors.ts'
import { SECURITY_HEADERS } from '../json.ts'
import { type AddressOf, type Front, isHostlessHealthCheck, type RequestRecord } from '../request-record.ts'
import { createCors } from './cors.ts'
import { applyTo, createQuota, limited, type RateLimitsOptions, rateLimitHeaders } from './rate-limits.ts'

export interface FrontOptions {
  /** Names that this server answers to, without a port; default any. */
  readonly allowedHosts?: readonly string[]
  /** Origins whose pages may ask, each with its scheme; default none. */
  readonly corsOrigins?: readonly string[]
  /** Addresses whose `X-Forwarded-For` is believed; default none. */
  readonly trustedProxies?: readonly string[]
  /** Longest URL; default 8192. */
  readonly urlBytesMax?: number
  /** Requests a minute from one address; default without a limit. */
  readonly addressRequestsPerMinute?: number | undefined
  readonly now?: () => number
  /** Whether the server listens with TLS; default false. */
  readonly isTls?: boolean
}

/** The other end of a request's connection; undefined where there is none to know. */
export type PeerOf = (request: Request) => string | undefined

const URL_BYTES_MAX = 8192
/** Where the host of `https://host/` begins. */
const SCHEME_END = 8
/** Elysia looks for the path from here on: a host of one letter or two would move it, and no name on the internet is as short. */
const PATH_MIN = 11

const SECURITY_HEADER_ENTRIES = Object.entries(SECURITY_HEADERS)

/** A name as DNS and URLs have it, an IPv4 address, or an IPv6 address in brackets; a port may follow. Percent-encoding is in none of them. */
const HOST = /^(?:[\w-]+(?:\.[\w-]+)*\.?|\[[\da-f:.]+\])(?::\d{0,5})?$/i
/** Values of `Host` that passed, all forgotten where there are more: a client sends the same one again and again. */
const KNOWN_HOSTS_MAX = 100
const HOST_LENGTH_MAX = 261

/**
 * Prepares the check of `Host`: it rejects two hosts (RFC 9112 §3.2), none, and what is no name or address. Bun takes some of these for
 * part of the URL, and for others gives only the target, where Elysia would look for the path in its midst.
 */
function createHostCheck(): (request: Request) => void {
  const known = new Set<string>()
  return ({ url, headers }) => {
    const host = headers.get('host')
    if (url.startsWith('http')) {
      // Absent in a request that was made in memory, whose URL was parsed.
      if (host === null || known.has(host)) return
      if (host.length <= HOST_LENGTH_MAX && HOST.test(host) && URL.canParse(`http://${host}/`)) {
        if (known.size >= KNOWN_HOSTS_MAX) known.clear()
        known.add(host)
        return
      }
    }
    throw new VestalError('HOST_MALFORMED')
  }
}

/** Whether percent-encoding is what it should be; the router would give a handler null for a parameter where it is not. */
function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

/** Prepares the front of one app. */
export function createFront(
  options: FrontOptions,
  addressOf: AddressOf,
  {
    shared,
    refused,
    answer = answerError,
  }: Pick<RateLimitsOptions, 'shared' | 'refused'> & { readonly answer?: ErrorAnswer } = {},
): Front {
  const { allowedHosts = [], corsOrigins = [], urlBytesMax = URL_BYTES_MAX, addressRequestsPerMinute, isTls = false } = options
  const hosts = new Set(allowedHosts.map((host) => host.toLowerCase()))
  const cors = createCors(corsOrigins)
  const limiter =
    addressRequestsPerMinute === undefined
      ? undefined
      : createQuota({ name: 'address', perMinute: addressRequestsPerMinute, now: options.now, shared })
  const checkHost = createHostCheck()
  const check = (request: Request, record: RequestRecord): Maybe<void> => {
    if (request.url.length > urlBytesMax) throw new VestalError('URL_TOO_LONG')
    if (!isHostlessHealthCheck(request)) {
      checkHost(request)
      if (isTls && request.url.indexOf('/', SCHEME_END) < PATH_MIN) throw new VestalError('HOST_REFUSED')
      if (hosts.size > 0 && !hosts.has(hostOf(request).toLowerCase())) throw new VestalError('HOST_REFUSED')
    }
    if (request.url.includes('%') && !isDecodable(record.pathname)) throw new VestalError('NOT_FOUND')
    if (limiter === undefined) return
    return after(applyTo('address', limiter, addressOf(request, record)), (applied) => {
      record.limit = applied
      if (applied.state.isAllowed) return
      refused?.('address')
      throw limited(applied)
    })
  }
  const rejected = (error: unknown, request: Request, record: RequestRecord): Response => {
    if (!(error instanceof VestalError)) throw error
    record.code = error.code
    record.reason = error.message
    return answer(error, request, record.id)
  }
  return {
    before(request, record) {
      const goOn = () => cors.preflight(request, record.route.methods)
      try {
        const checked = check(request, record)
        if (checked instanceof Promise) return checked.then(goOn, (error: unknown) => rejected(error, request, record))
      } catch (error) {
        return rejected(error, request, record)
      }
      return goOn()
    },
    after(request, record, { headers }) {
      // A response of `json.ts` has them already.
      if (headers.get('cross-origin-resource-policy') !== SECURITY_HEADERS['cross-origin-resource-policy']) {
        for (const [name, value] of SECURITY_HEADER_ENTRIES) headers.set(name, value)
      }
      cors.allow(request, headers)
      if (record.limit !== undefined && !headers.has('ratelimit')) {
        for (const [name, value] of Object.entries(rateLimitHeaders(record.limit))) headers.set(name, value)
      }
    },
  }
}
