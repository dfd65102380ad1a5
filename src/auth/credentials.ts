import { VestalError } from '../core/errors.ts'

export interface CredentialOptions {
  /** Request header that carries the token; default `Authorization`. */
  readonly headerKey?: string
  /** Scheme before the token, compared without regard to case (RFC 9110 §11.1); default `Bearer`. Empty: the header is only the token. */
  readonly headerPrefix?: string
  /** Cookie that carries the token when the header is absent; default `access_token`. Empty: no cookie is read. */
  readonly cookieKey?: string
}

/** Where a request carries its credential: a token, or an API key. */
export interface CredentialReader {
  /**
   * The text of an API key, in `X-API-Key` or `Authorization: Bearer`. Undefined where there is none.
   * @throws VestalError AUTHORIZATION_MALFORMED where both headers are there
   */
  apiKey(request: Request): string | undefined
  /** The header as it came, or null. */
  header(request: Request): string | null
  /**
   * The token in a header's value.
   * @throws VestalError AUTHORIZATION_MALFORMED
   */
  tokenOfHeader(value: string): string
  /**
   * The token of the cookie; to be asked only where the header is absent. Undefined where there is none.
   * @throws VestalError COOKIE_AMBIGUOUS, CROSS_SITE_REFUSED
   */
  tokenOfCookie(request: Request): string | undefined
  /** The header's value that clients write for a token: the same for all ways to send it. It is the header as it came where that is so. */
  canonical(token: string, header: string | null): string
}

/** `b64token` of RFC 6750 §2.1; `=` may stand inside too, for tokens that are padded part by part. */
const TOKEN = '[\\w.~+/=-]+'
const ALONE = new RegExp(`^${TOKEN}$`)
/** `tchar` of RFC 9110 §5.6.2: what names of headers, cookies and schemes are made of. */
const NAME = /^[!#$%&'*+.^`|~\w-]+$/
/** What begins as API keys do is one; JSON Web Tokens begin with a brace in base64url. */
const BEARER_KEY = /^bearer +(vst_\S*)$/i
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Prepares the reading of a request's token: from the header or, only when that is absent, from the cookie.
 * @throws TypeError when an option cannot be used
 */
export function createCredentialReader(options: CredentialOptions = {}): CredentialReader {
  const { headerKey = 'Authorization', headerPrefix = 'Bearer', cookieKey = 'access_token' } = options
  if (!NAME.test(headerKey)) throw new TypeError('"headerKey" is not the name of a header')
  if (headerPrefix !== '' && !NAME.test(headerPrefix)) throw new TypeError('"headerPrefix" is not an authentication scheme')
  if (cookieKey !== '' && !NAME.test(cookieKey)) throw new TypeError('"cookieKey" is not the name of a cookie')
  const scheme = headerPrefix.replace(/[^\w]/g, '\\$&')
  const form = new RegExp(headerPrefix === '' ? `^(${TOKEN})$` : `^${scheme} +(${TOKEN})$`, 'i')
  const start = headerPrefix === '' ? '' : `${headerPrefix} `
  return {
    apiKey({ headers }) {
      const authorization = headers.get('authorization')
      const key = headers.get('x-api-key')
      if (key === null) return authorization === null ? undefined : BEARER_KEY.exec(authorization)?.[1]
      if (authorization === null) return key
      throw new VestalError('AUTHORIZATION_MALFORMED', { detail: 'Send Authorization or X-API-Key, not both' })
    },
    header: ({ headers }) => headers.get(headerKey),
    tokenOfHeader(value) {
      // What nearly all clients write, to the letter, needs no more than a cut.
      const rest = start !== '' && value.startsWith(start) ? value.slice(start.length) : ''
      const token = ALONE.test(rest) ? rest : form.exec(value)?.[1]
      if (token === undefined)
        throw new VestalError('AUTHORIZATION_MALFORMED', { reason: 'the header is not a scheme and one token' })
      return token
    },
    tokenOfCookie(request) {
      const cookies = cookieKey === '' ? null : request.headers.get('cookie')
      const token = cookies === null ? '' : cookieToken(cookies, cookieKey)
      if (token === '') return undefined
      if (isCrossSite(request)) throw new VestalError('CROSS_SITE_REFUSED')
      return token
    },
    canonical(token, header) {
      // Of the same length and beginning, since the token is its end: putting the two together would copy them.
      const isWritten = header !== null && header.length === start.length + token.length && header.startsWith(start)
      return isWritten ? header : start + token
    },
  }
}

/** The cookie of that name, or an empty text. The same cookie twice with different values is an attempt to plant one. */
function cookieToken(header: string, name: string): string {
  let token: string | undefined
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals === -1 || trimmed(pair.slice(0, equals)) !== name) continue
    const value = trimmed(pair.slice(equals + 1))
    if (token !== undefined && value !== token) throw new VestalError('COOKIE_AMBIGUOUS')
    token = value
  }
  return token ?? ''
}

/** Without the white space of HTTP at its ends (RFC 9110 §5.6.3); `trim` would take a no-break space off too. */
function trimmed(text: string): string {
  let [start, end] = [0, text.length]
  while (start < end && isSpace(text, start)) start += 1
  while (end > start && isSpace(text, end - 1)) end -= 1
  return text.slice(start, end)
}

function isSpace(text: string, index: number): boolean {
  return text[index] === ' ' || text[index] === '\t'
}

/**
 * True when a page of a different site may have sent this request with the user's cookie: it changes something, or opens a WebSocket, and
 * neither Fetch Metadata nor, in browsers without it, `Origin` says that it is from here. A client that is no browser has no cookies of
 * a user's; where it uses them all the same, it sends `Sec-Fetch-Site: none`.
 */
export function isCrossSite(request: Request): boolean {
  const { headers } = request
  if (SAFE_METHODS.has(request.method) && headers.get('upgrade') === null) return false
  const site = headers.get('sec-fetch-site')
  if (site !== null) return site !== 'same-origin' && site !== 'none'
  const origin = headers.get('origin')
  return origin === null || hostOf(origin) !== headers.get('host')
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
