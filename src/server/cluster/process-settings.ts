import { SettingsError } from '../../config/load.ts'
import { keyOf, type SettingName, type Settings } from '../../config/settings.ts'
import { usableCores } from '../../platform/cores.ts'

/** Limits of the whole server that each HTTP process counts by itself; the engine process counts those of predictions. */
const COUNTED = ['inputBytesMax'] as const
/** Limits of sign-ins. Redis, where it is set, counts these for all processes, like those of addresses and roles. */
const SIGN_IN = ['signInAttemptsMax', 'signInAddressAttemptsMax'] as const

/** How many HTTP processes the settings ask for. */
export function processCount({ processes }: Pick<Settings, 'processes'>, cores: number = usableCores()): number {
  return processes === 'auto' ? cores : processes
}

/** The settings of one of so many processes: its share of each limit that it counts by itself, so that all together keep the limit. */
export function shareLimits(settings: Settings, count: number): Settings {
  const share = (value: number) => Math.max(1, Math.floor(value / count))
  const shared = (names: readonly ((typeof COUNTED)[number] | (typeof SIGN_IN)[number])[]) =>
    Object.fromEntries(names.map((name) => [name, share(settings[name])]))
  const { addressRequestsPerMinute: address, subjectBytesMax, mediaProcessesMax } = settings
  const bytes = subjectBytesMax === undefined ? {} : { subjectBytesMax: share(subjectBytesMax) }
  const own = { ...bytes, mediaProcessesMax: share(mediaProcessesMax) }
  if (settings.redis !== undefined) return { ...settings, ...shared(COUNTED), ...own }
  return {
    ...settings,
    ...shared([...COUNTED, ...SIGN_IN]),
    ...own,
    ...(address !== undefined && { addressRequestsPerMinute: share(address) }),
    rateLimits: settings.rateLimits.map(({ role, ...limits }) => ({
      role,
      ...Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, share(value)])),
    })),
  }
}

/** Rejects settings that do not work with several processes. @throws SettingsError */
export function rejectClusterFaults(settings: Settings): void {
  const faults = clusterFaults(settings)
  if (faults.length > 0) throw new SettingsError(faults)
}

/** The settings that do not work with several processes. */
export function clusterFaults(settings: Settings, platform: string = process.platform): readonly string[] {
  const faults: string[] = []
  if (platform !== 'linux') faults.push('processes: several processes can share a port on Linux only; set it to 1')
  if (settings.unix !== undefined)
    faults.push('unix: only one process can listen on a Unix socket; set processes to 1, or listen on a port')
  return faults
}

/** Warnings about limits of which each process enforces its share. */
export function clusterWarnings(settings: Settings, count: number): readonly string[] {
  const { redis, accounts, addressRequestsPerMinute, rateLimits } = settings
  const warnings: string[] = []
  const shared = (name: SettingName) => `${keyOf(name)}: each of ${count} processes enforces its own share`
  const atLeastOne = (name: SettingName) => `${shared(name)}, which is at least 1, so the server allows ${count}`
  const redisHint = 'set VESTAL_REDIS to count for all processes'
  for (const name of COUNTED) if (settings[name] < count) warnings.push(atLeastOne(name))
  if (redis !== undefined) return warnings
  if (addressRequestsPerMinute !== undefined)
    warnings.push(`${shared('addressRequestsPerMinute')}, so an address with one connection gets less; ${redisHint}`)
  if (rateLimits.length > 0) warnings.push(`${shared('rateLimits')}, so a subject with one connection gets less; ${redisHint}`)
  if (accounts === 'on')
    for (const name of SIGN_IN) if (settings[name] < count) warnings.push(`${atLeastOne(name)}; ${redisHint}`)
  return warnings
}
