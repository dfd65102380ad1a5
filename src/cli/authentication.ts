import type { TrustedIssuer } from '../auth/trusted-issuer.ts'
import type { Settings } from '../config/settings.ts'
import type { AuthenticationOptions } from '../http/authentication.ts'
import type { Key } from '../jwt/keys.ts'

/** Whose keys count: one's own, and those of others. */
export interface Trust {
  readonly keys: readonly Key[]
  readonly issuers: readonly TrustedIssuer[]
}

/** Who may, as the settings have it. */
export function authenticationOf(settings: Settings, { keys, issuers }: Trust): AuthenticationOptions {
  const { issuer, jwksUrl, audience, requiredClaim, tokenSecondsMax, interop } = settings
  // With a published key set the name is the other issuer's, and none of one's own.
  const own = issuer === undefined || jwksUrl !== undefined ? [] : [issuer]
  return {
    ...(keys.length > 0 && { keys }),
    issuers: [...own, ...issuers],
    engine: settings.engine,
    headerKey: settings.headerKey,
    headerPrefix: settings.headerPrefix,
    cookieKey: settings.cookieKey,
    leewaySeconds: settings.leewaySeconds,
    tokenBytesMax: settings.tokenBytesMax,
    cacheEntriesMax: settings.tokenCacheMax,
    types: settings.tokenType,
    ...(audience.length > 0 && { audiences: audience }),
    ...(requiredClaim.length > 0 && { requiredClaims: interop === 'flama' ? requiredClaim : ['exp', ...requiredClaim] }),
    ...(tokenSecondsMax !== undefined && { lifetimeSecondsMax: tokenSecondsMax }),
    ...(interop && { interop }),
  }
}
