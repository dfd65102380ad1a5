import { OWN_CLIENT } from '../accounts/issue.ts'
import type { Settings } from '../config/settings.ts'
import { OWN_AUDIENCE } from '../jose/claims.ts'
import type { Key } from '../jose/keys.ts'
import { signJwt } from '../jose/sign.ts'

export interface TokenClaims {
  readonly sub: string
  readonly data: { readonly permissions: readonly string[]; readonly roles?: Readonly<Record<string, readonly string[]>> }
}

/** Makes a token that a server with these settings accepts. */
export function sign(
  claims: TokenClaims,
  key: Key,
  { settings, lifetimeSeconds }: { readonly settings: Settings; readonly lifetimeSeconds: number },
): string {
  const { issuer, audience, tokenType, interop, signatureBackend } = settings
  // RFC 9068 §2.1 names access tokens; Flama names none.
  const isProfiled = tokenType.includes('at+jwt') && interop === undefined
  const aud = audience.length > 0 ? audience : isProfiled ? OWN_AUDIENCE : undefined
  const payload = {
    ...(isProfiled && { client_id: OWN_CLIENT }),
    ...claims,
    ...(issuer !== undefined && { iss: issuer }),
    ...(aud !== undefined && { aud }),
  }
  return signJwt(payload, key, { lifetimeSeconds, type: isProfiled ? 'at+jwt' : (tokenType[0] ?? 'JWT'), signatureBackend })
}
