import { closeSync, openSync } from 'node:fs'
import { SettingsError } from '../config/load.ts'
import type { SettingName, Settings } from '../config/settings.ts'
import { VestalError } from '../core/errors.ts'
import type { ChangingApp, Reloading } from '../http/reload.ts'
import type { Engine } from '../inference/engine.ts'
import type { Logger } from '../telemetry/log/logger.ts'
import type { ServedAccounts } from './accounts.ts'
import { authenticationOf } from './authentication.ts'
import { loadIssuers, type RequestHeaders } from './issuers.ts'
import type { LiveKeys } from './live-keys.ts'
import type { Reload, ReloadPart } from './reload.ts'

interface Parts {
  readonly keys: LiveKeys
  readonly engine: Engine
  readonly logger: Logger
  readonly accounts?: ServedAccounts
}

/** Adds what a server consists of, beside its app, to a reload. */
export function subscribeParts(reload: Reload, { keys, engine, logger, accounts }: Parts): void {
  reload.subscribe(() => keys.prepare())
  subscribeEngine(reload, { engine, logger })
  if (accounts !== undefined) reload.subscribe(whenApplied(accounts.change))
}

/** Adds what every process with an engine has of it. */
export function subscribeEngine(reload: Reload, { engine, logger }: Pick<Parts, 'engine' | 'logger'>): void {
  reload.subscribe(whenApplied(({ logLevel }) => logger.setLevel(logLevel)))
  reload.subscribe(
    whenApplied(({ requestsMax, subjectRequestsMax, inputBytesMax: bytesMax, subjectBytesMax }) =>
      engine.limit({ requestsMax, subjectRequestsMax, bytesMax, subjectBytesMax }),
    ),
  )
}

/** A part that takes whatever the settings' own rules allow. */
function whenApplied(take: (next: Settings) => void): ReloadPart {
  return (next) => ({ apply: () => take(next), discard: () => undefined })
}

const FRONT: readonly SettingName[] = ['allowedHosts', 'corsOrigins', 'trustedProxies', 'urlBytesMax', 'addressRequestsPerMinute']

interface ReloadingParts {
  readonly keys: LiveKeys
  readonly ask: Reloading['reload']
  /** Headers of a key fetch made for the current request. */
  readonly requestHeaders: RequestHeaders | undefined
}

/** The reload as an app takes it: its route asks for one, and it takes issuers, limits and what stands before its routes. */
export function reloadingOf(reload: Reload, { keys, ask, requestHeaders }: ReloadingParts): Reloading {
  return {
    reload: ask,
    subscribe: (prepare) => reload.subscribe((next, changed) => prepare(changingApp(next, changed, { keys, requestHeaders }))),
  }
}

/** Limits whose settings are what they were keep what they counted. */
function changingApp(
  next: Settings,
  changed: readonly SettingName[],
  { keys, requestHeaders }: Omit<ReloadingParts, 'ask'>,
): ChangingApp {
  const issuers = loadIssuers(next, requestHeaders)
  const { keys: own } = keys.current()
  if (issuers.length === 0 && own.length === 0)
    throw new SettingsError(['issuers: none is left, and there is no key of one’s own'])
  const { issuers: named, requiredClaims } = authenticationOf(next, { keys: own, issuers })
  return {
    rules: { ...(named && { issuers: named }), ...(requiredClaims && { requiredClaims }) },
    operations: {
      accessLog: next.accessLog,
      ...(FRONT.some((name) => changed.includes(name)) && { front: next }),
      ...(changed.includes('rateLimits') && { rateLimits: next.rateLimits }),
    },
  }
}

/**
 * Calls back on SIGHUP. Where the process runs in a terminal that was closed, the same signal means that, and
 * the process stops instead.
 */
export function onReloadSignal(reload: () => Promise<unknown>): void {
  const hasTerminal = process.stdin.isTTY === true
  process.on('SIGHUP', () => {
    if (hasTerminal && !isTerminalThere()) process.kill(process.pid, 'SIGTERM')
    else reloadUnasked(reload)
  })
}

/** Reloads the settings where no caller awaits the outcome: the reload logs a failure itself. */
export function reloadUnasked(reload: () => Promise<unknown>): void {
  reload().catch((error: unknown) => {
    if (!(error instanceof VestalError)) throw error
  })
}

function isTerminalThere(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}
