import type { AuthenticationOptions } from '../auth/authenticator.ts'
import type { TrustedIssuer } from '../auth/issuers.ts'
import { SettingsError } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { type DecryptionKeyInput, importDecryptionKey } from '../jose/decryption-key.ts'
import { KeyError } from '../jose/key-error.ts'
import type { Key } from '../jose/keys.ts'
import { readSmallFile } from '../platform/small-file.ts'

/** The keys that verify tokens: your own, and those of trusted issuers. */
export interface Trust {
  readonly keys: readonly Key[]
  readonly issuers: readonly TrustedIssuer[]
}

/**
 * The options of authentication in the settings.
 * @throws SettingsError where the decryption key cannot be used
 */
export function authenticationOf(settings: Settings, { keys, issuers }: Trust): AuthenticationOptions {
  const { issuer, jwksUrl, audience, requiredClaim, tokenSecondsMax, interop, decryptionKeyFile } = settings
  // With a published key set the issuer name is that issuer's.
  const own = issuer === undefined || jwksUrl !== undefined ? [] : [issuer]
  return {
    ...(keys.length > 0 && { keys }),
    issuers: [...own, ...issuers],
    signatureBackend: settings.signatureBackend,
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
    ...(decryptionKeyFile !== undefined && { decryptionKey: readDecryptionKey(decryptionKeyFile) }),
  }
}

function readDecryptionKey(path: string): DecryptionKeyInput {
  const text = readSmallFile(path).toString('utf8').trim()
  try {
    // The cast: the import rejects what is no JWK.
    const input = text.startsWith('{') ? (JSON.parse(text) as DecryptionKeyInput) : text
    importDecryptionKey(input)
    return input
  } catch (error) {
    if (error instanceof KeyError) throw new SettingsError([`${path}: ${error.message}`])
    if (error instanceof SyntaxError) throw new SettingsError([`${path}: begins as JSON and is not valid JSON`])
    throw error
  }
}
