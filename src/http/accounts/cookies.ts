import { VestalError } from '../../core/errors.ts'

/** Names of the two cookies of a session, and whether they are only for HTTPS. */
export interface SessionCookies {
  readonly access: string
  readonly refresh: string
  /** `Secure`, and names that begin with `__Host-`: no other host of the domain can plant them. */
  readonly isSecure: boolean
}

/** Bytes of a cookie that browsers keep, name and attributes counted (RFC 6265 §6.1). */
const COOKIE_BYTES_MAX = 4096

/** The names of a session's cookies: as they are set on a loopback address in development mode, and with `__Host-` elsewhere. */
export function sessionCookies({ access, refresh, isSecure }: SessionCookies): SessionCookies {
  const named = (name: string) => (isSecure && !name.startsWith('__Host-') ? `__Host-${name}` : name)
  return { access: named(access), refresh: named(refresh), isSecure }
}

/** `Set-Cookie` for a session. A page's script can read neither cookie, and another site's page can send the refresh token nowhere. */
export function setCookies(
  { access, refresh, isSecure }: SessionCookies,
  {
    token,
    refreshToken,
    accessSeconds,
    refreshSeconds,
  }: { token: string; refreshToken: string; accessSeconds: number; refreshSeconds: number },
): readonly string[] {
  const attributes = `; Path=/; HttpOnly${isSecure ? '; Secure' : ''}`
  const cookies = [
    `${access}=${token}; Max-Age=${accessSeconds}; SameSite=Lax${attributes}`,
    `${refresh}=${refreshToken}; Max-Age=${refreshSeconds}; SameSite=Strict${attributes}`,
  ]
  if (cookies.some((cookie) => cookie.length > COOKIE_BYTES_MAX))
    throw new VestalError('UNSUPPORTED', { detail: 'The token is too long for a cookie: the account has too many permissions' })
  return cookies
}

/** `Set-Cookie` that takes a session's cookies away. */
export function clearCookies({ access, refresh, isSecure }: SessionCookies): readonly string[] {
  const attributes = `; Path=/; HttpOnly${isSecure ? '; Secure' : ''}`
  return [`${access}=; Max-Age=0; SameSite=Lax${attributes}`, `${refresh}=; Max-Age=0; SameSite=Strict${attributes}`]
}
