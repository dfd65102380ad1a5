import { SettingsError } from '../../config/load.ts'
import { keyOf, type SettingName, type Settings } from '../../config/settings.ts'

/** Limits of the whole server that each process counts by itself; those of predictions are counted by the engine process. */
const COUNTED = ['inputBytesMax'] as const
/** Limits of sign-ins, which Redis counts for all processes where there is one; so it does with those of addresses and roles. */
const SIGN_IN = ['signInAttemptsMax', 'signInAddressAttemptsMax'] as const

/** What one of so many processes runs with: its share of each limit that it counts by itself, so that all together keep it. */
export function shareOf(settings: Settings, count: number): Settings {
  const share = (value: number) => Math.max(1, Math.floor(value / count))
  const shared = (names: readonly ((typeof COUNTED)[number] | (typeof SIGN_IN)[number])[]) =>
    Object.fromEntries(names.map((name) => [name, share(settings[name])]))
  const { addressRequestsPerMinute: address, subjectBytesMax } = settings
  const bytes = subjectBytesMax === undefined ? {} : { subjectBytesMax: share(subjectBytesMax) }
  if (settings.redis !== undefined) return { ...settings, ...shared(COUNTED), ...bytes }
  return {
    ...settings,
    ...shared([...COUNTED, ...SIGN_IN]),
    ...bytes,
    ...(address !== undefined && { addressRequestsPerMinute: share(address) }),
    rateLimits: settings.rateLimits.map(({ role, ...limits }) => ({
      role,
      ...Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, share(value)])),
    })),
  }
}

/** Refuses settings that several processes cannot keep together. @throws SettingsError */
export function refuseForSeveral(settings: Settings): void {
  const faults = faultsForSeveral(settings)
  if (faults.length > 0) throw new SettingsError(faults)
}

/** What of the settings several processes cannot keep together. */
export function faultsForSeveral(settings: Settings, platform: string = process.platform): readonly string[] {
  const faults: string[] = []
  if (platform !== 'linux') faults.push('processes: several share a port on Linux alone; 1 serves here')
  if (settings.unix !== undefined) faults.push('unix: one process alone listens on a unix socket; with several take a port')
  return faults
}

/** What should be known of settings that each process keeps its share of. */
export function warningsForSeveral(settings: Settings, count: number): readonly string[] {
  const { redis, accounts, addressRequestsPerMinute, rateLimits } = settings
  const warnings: string[] = []
  const said = (name: SettingName) => `${keyOf(name)}: each of ${count} processes counts its own share`
  const least = (name: SettingName) => `${said(name)}, which is 1 at least: ${count} in all`
  for (const name of COUNTED) if (settings[name] < count) warnings.push(least(name))
  if (redis !== undefined) return warnings
  if (addressRequestsPerMinute !== undefined)
    warnings.push(`${said('addressRequestsPerMinute')}, so an address has less with one connection; VESTAL_REDIS counts for all`)
  if (rateLimits.length > 0)
    warnings.push(`${said('rateLimits')}, so a subject has less with one connection; VESTAL_REDIS counts for all`)
  if (accounts === 'on')
    for (const name of SIGN_IN) if (settings[name] < count) warnings.push(`${least(name)}; VESTAL_REDIS counts for all`)
  return warnings
}
