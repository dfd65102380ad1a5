import type { TrustedIssuer } from '../auth/issuers.ts'
import { SettingsError } from '../config/load.ts'
import type { IssuerSettings } from '../config/settings/issuers.ts'
import type { Settings } from '../config/settings.ts'
import { type Algorithm, isAlgorithm } from '../jose/algorithms.ts'
import { KeyError } from '../jose/key-error.ts'
import { importKeys, type KeyInput } from '../jose/key-set.ts'
import { isPem, type Key } from '../jose/keys.ts'
import { type PublishedKeys, readKeySet } from '../jwks/read-key-set.ts'
import { readSmallFile } from '../platform/small-file.ts'

/** Headers of a call made for the current request. */
export type RequestHeaders = () => Readonly<Record<string, string>>

/**
 * The issuers that the settings name: the tables of vestal.toml, or the one of `--jwks-url`.
 * @throws SettingsError saying what is missing, or what is wrong with a key file
 */
export function loadIssuers(settings: Settings, requestHeaders?: RequestHeaders): readonly TrustedIssuer[] {
  const { issuers, jwksUrl } = settings
  const named = jwksUrl === undefined ? issuers : [...issuers, simpleIssuer(settings, jwksUrl)]
  const faults = named.flatMap(({ name }, index) => {
    const isTwice = named.findIndex((other) => other.name === name) !== index
    // An issuer with the server's own name could issue tokens for its accounts.
    const isOwn = jwksUrl === undefined && name === settings.issuer
    return isTwice || isOwn ? [`issuers: two have the name ${JSON.stringify(name)}`] : []
  })
  if (faults.length > 0) throw new SettingsError(faults)
  return named.map((issuer) => trustedIssuer(issuer, settings, requestHeaders))
}

/** One issuer without a file: its name and audience are those of the settings. */
function simpleIssuer(settings: Settings, jwksUrl: string): IssuerSettings {
  const { issuer, audience, permissionClaim, algorithm, secret, key, keyFile } = settings
  const faults: string[] = []
  if (issuer === undefined) faults.push('jwks_url: needs the name of the issuer of these keys; set --issuer')
  if (audience.length === 0) faults.push('jwks_url: needs the audience that its tokens have for this server; set --audience')
  if (secret !== undefined || key !== undefined || keyFile !== undefined)
    faults.push('jwks_url: the server also has its own key; configure the other issuer as [[issuers]] in vestal.toml')
  if (faults.length > 0) throw new SettingsError(faults)
  const claims = permissionClaim.length > 0 ? { permissionClaims: permissionClaim } : {}
  const pinned = algorithm === undefined ? {} : { algorithms: [algorithm] }
  return { name: issuer ?? '', audiences: audience, jwksUrl, ...claims, ...pinned }
}

function trustedIssuer(issuer: IssuerSettings, settings: Settings, requestHeaders?: RequestHeaders): TrustedIssuer {
  const { keyFile, jwksUrl, tokenTypes, tokenSecondsMax, jwksMaxAgeSeconds, jwksStaleSeconds, algorithms, ...rest } = issuer
  if ((keyFile === undefined) === (jwksUrl === undefined))
    throw new SettingsError([`issuers: ${JSON.stringify(issuer.name)} needs one of jwks_url and key_file`])
  const accepted = (algorithms ?? []).filter(isAlgorithm)
  const jwks = {
    maxAgeSeconds: jwksMaxAgeSeconds ?? settings.jwksMaxAgeSeconds,
    staleSeconds: jwksStaleSeconds ?? settings.jwksStaleSeconds,
    ...(requestHeaders && { requestHeaders }),
  }
  return {
    ...rest,
    ...(accepted.length > 0 && { algorithms: accepted }),
    ...(tokenTypes !== undefined && { types: tokenTypes }),
    ...(tokenSecondsMax !== undefined && { lifetimeSecondsMax: tokenSecondsMax }),
    ...(keyFile === undefined ? { jwksUrl: jwksUrl ?? '', jwks } : { keys: readIssuerKeys(keyFile, accepted) }),
  }
}

/** The operator can correct a file, so keys that are ignored in a published set end the start here. */
function keysOfSet({ keys, exposed, beyondLimits }: PublishedKeys): readonly Key[] {
  if (exposed > 0) throw new KeyError('the set holds a private or shared key; use the public keys only')
  if (beyondLimits > 0) throw new KeyError('the set has more keys than are accepted: 256 members, 64 keys, 4 of one "kid"')
  return keys
}

/** Each key has one algorithm; keys of a set that are for other uses are ignored, as in a published set. */
function readIssuerKeys(path: string, accepted: readonly Algorithm[]): KeyInput {
  const bytes = readSmallFile(path)
  const text = bytes.toString('utf8').trim()
  const [algorithm, second] = accepted
  const options = { isOneAlgorithm: true, ...(algorithm !== undefined && second === undefined && { algorithm }) }
  try {
    if (isPem(text)) return importKeys(text, { ...options, isPublicOnly: true })
    if (!text.startsWith('{')) return importKeys(text, options)
    if (/"keys"\s*:/.test(text)) return keysOfSet(readKeySet(bytes, ...(accepted.length > 0 ? [accepted] : [])))
    return importKeys(JSON.parse(text) as KeyInput, options)
  } catch (error) {
    if (error instanceof KeyError) throw new SettingsError([`${path}: ${error.message}`])
    if (error instanceof SyntaxError) throw new SettingsError([`${path}: begins as JSON and is not valid JSON`])
    throw error
  }
}
