import { ACCOUNTS } from './settings/accounts.ts'
import { CLAIMS } from './settings/claims.ts'
import { ENGINE } from './settings/engine.ts'
import { FRONT } from './settings/front.ts'
import { ISSUERS } from './settings/issuers.ts'
import { MODELS } from './settings/models.ts'
import { NETWORK } from './settings/network.ts'
import { OPERATIONS } from './settings/operations.ts'
import { PROCESSES } from './settings/processes.ts'
import type { SettingRow } from './settings/row.ts'
import { SERVER } from './settings/server.ts'
import { TOKENS } from './settings/tokens.ts'
import { TRACING } from './settings/tracing.ts'

/** Every setting there is. Its names elsewhere follow: `bodyBytesMax` is `--body-bytes-max`, `VESTAL_BODY_BYTES_MAX`, `body_bytes_max`. */
const TABLE = {
  ...SERVER,
  ...NETWORK,
  ...MODELS,
  ...ENGINE,
  ...TOKENS,
  ...CLAIMS,
  ...ISSUERS,
  ...ACCOUNTS,
  ...OPERATIONS,
  ...TRACING,
  ...FRONT,
  ...PROCESSES,
}

export type SettingName = keyof typeof TABLE

/** What the server runs with. */
export type Settings = { readonly [Name in SettingName]: (typeof TABLE)[Name]['default'] }

/** The table of settings, for loading, help and documentation. */
export const SETTINGS: Readonly<Record<SettingName, SettingRow>> = TABLE

export const SETTING_NAMES = Object.keys(TABLE) as readonly SettingName[]

/** Settings that a running server takes when it reads them again. */
export const RELOADABLE: ReadonlySet<SettingName> = new Set(SETTING_NAMES.filter((name) => SETTINGS[name].isReloadable === true))

/** `bodyBytesMax` → `--body-bytes-max`. */
export function flagOf(setting: string): string {
  return `--${words(setting).join('-')}`
}

/** `bodyBytesMax` → `VESTAL_BODY_BYTES_MAX`. */
export function variableOf(setting: string): string {
  return `VESTAL_${words(setting).join('_').toUpperCase()}`
}

/** `bodyBytesMax` → `body_bytes_max`, its key in vestal.toml. */
export function keyOf(setting: string): string {
  return words(setting).join('_')
}

function words(setting: string): readonly string[] {
  return setting.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).split(' ')
}
