/** What pages of other origins may do. */
export interface Cors {
  /** The answer to a preflight of an allowed origin, which `allow` completes; undefined where the request is none. */
  preflight(request: Request, methods: readonly string[]): Response | undefined
  /** Lets an allowed origin read the response, that to a preflight too. */
  allow(request: Request, headers: Headers): void
}

const REQUEST_HEADERS =
  'authorization, content-type, if-match, inference-header-content-length, x-request-id, traceparent, tracestate, vestal-timeout-ms'
const RESPONSE_HEADERS =
  'x-request-id, retry-after, ratelimit, ratelimit-policy, inference-header-content-length, www-authenticate, etag'
const MAX_AGE_SECONDS = 600

/**
 * Prepares the allow-list: closed where it is empty, and each origin is named to the letter. Credentials are not allowed, so a cookie
 * stays with its own site; a page sends its token in `Authorization`.
 */
export function createCors(origins: readonly string[]): Cors {
  const allowed = new Set(origins)
  const isAny = allowed.size > 0
  const originOf = (request: Request): string | undefined => {
    const origin = isAny ? request.headers.get('origin') : null
    return origin !== null && allowed.has(origin) ? origin : undefined
  }
  return {
    preflight(request, methods) {
      if (request.method !== 'OPTIONS' || !request.headers.has('access-control-request-method')) return undefined
      if (originOf(request) === undefined) return undefined
      return new Response(null, {
        status: 204,
        headers: {
          'access-control-allow-methods': methods.join(', '),
          'access-control-allow-headers': REQUEST_HEADERS,
          'access-control-max-age': String(MAX_AGE_SECONDS),
        },
      })
    },
    allow(request, headers) {
      if (!isAny) return
      headers.append('vary', 'Origin')
      const origin = originOf(request)
      if (origin === undefined) return
      headers.set('access-control-allow-origin', origin)
      headers.set('access-control-expose-headers', RESPONSE_HEADERS)
    },
  }
}
