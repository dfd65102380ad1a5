import { SETTING_NAMES, type SettingName, type Settings } from './settings.ts'

/** Settings that a running server applies when it reloads. */
export const RELOADABLE = [
  'logLevel',
  'accessLog',
  'issuers',
  'permissionClaim',
  'jwksMaxAgeSeconds',
  'jwksStaleSeconds',
  'requiredClaim',
  'allowedHosts',
  'corsOrigins',
  'trustedProxies',
  'urlBytesMax',
  'addressRequestsPerMinute',
  'rateLimits',
  'requestsMax',
  'subjectRequestsMax',
  'inputBytesMax',
  'subjectBytesMax',
  'signInAttemptsMax',
  'signInAddressAttemptsMax',
] as const satisfies readonly SettingName[]

export interface Difference {
  /** What runs with the new values of reloadable settings, and the old ones of the rest. */
  readonly settings: Settings
  /** Reloadable settings that are others. */
  readonly changed: readonly SettingName[]
  /** Settings that are others, and count after a restart. */
  readonly needsRestart: readonly SettingName[]
}

/** Tells what of new settings can be taken up now. */
export function differenceOf(current: Settings, next: Settings): Difference {
  const different = SETTING_NAMES.filter((name) => !Bun.deepEquals(current[name], next[name]))
  const isReloadable = (name: SettingName) => RELOADABLE.some((other) => other === name)
  const changed = different.filter(isReloadable)
  const taken = Object.fromEntries(changed.map((name) => [name, next[name]]))
  return { settings: { ...current, ...taken }, changed, needsRestart: different.filter((name) => !isReloadable(name)) }
}
