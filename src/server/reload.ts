import { closeSync, openSync } from 'node:fs'
import type { Audit } from '../accounts/audit.ts'
import { SettingsError } from '../config/load.ts'
import { keyOf, RELOADABLE, SETTING_NAMES, type SettingName, type Settings } from '../config/settings.ts'
import { type Change, joinChanges } from '../core/change.ts'
import { VestalError } from '../core/errors.ts'
import type { ChangingApp, Reloaded, ReloadedBy, Reloading } from '../http/reload.ts'
import type { Engine } from '../inference/engine.ts'
import { KeyError } from '../jose/key-error.ts'
import type { Logger } from '../telemetry/log/logger.ts'
import { authenticationOf } from './authentication.ts'
import { loadIssuers, type RequestHeaders } from './issuers.ts'
import type { LiveKeys } from './live-keys.ts'

/** A part of the server that takes settings: checks them, and gives the change to make. @throws SettingsError, KeyError, TypeError */
export type ReloadPart = (next: Settings, changed: readonly SettingName[]) => Change | Promise<Change>

/** Settings that every part accepts. */
export interface PreparedReload extends Change {
  readonly reloaded: Reloaded
}

/** Where a reload is reported. */
export interface ReloadLogs {
  readonly logger: Logger
  readonly audit?: Audit | undefined
}

/** Reloads the settings of a running server: reads them, has each part prepare its change, and applies all changes or none. */
export interface Reload {
  /** Adds a part. */
  readonly subscribe: (part: ReloadPart) => void
  /** Reads the settings and has every part check them; nothing changes yet. @throws SettingsError with every fault */
  readonly prepare: () => Promise<PreparedReload>
  /** Prepares, applies and reports, one reload after the other. @throws VestalError RELOAD_REFUSED with every fault */
  readonly reload: Reloading['reload']
}

/**
 * Prepares reloads of what runs with `settings`; an in-flight request keeps those that it began with.
 * @param read reads the settings from where the start read them
 */
export function createReload(settings: Settings, read: () => Settings, logs: ReloadLogs): Reload {
  const parts: ReloadPart[] = []
  let current = settings
  const prepare = async (): Promise<PreparedReload> => {
    const next = read()
    const different = SETTING_NAMES.filter((name) => !Bun.deepEquals(current[name], next[name]))
    const changed = different.filter((name) => RELOADABLE.has(name))
    // The rest counts after a restart, so it stays as it is.
    const taken = { ...current, ...Object.fromEntries(changed.map((name) => [name, next[name]])) }
    const { apply, discard } = await prepareAll(parts, taken, changed)
    const needsRestart = different.filter((name) => !RELOADABLE.has(name)).map(keyOf)
    return {
      reloaded: { changed: changed.map(keyOf), needsRestart },
      discard,
      apply() {
        apply()
        current = taken
      },
    }
  }
  return { subscribe: (part) => void parts.push(part), prepare, reload: inTurn(reloadWith(prepare, logs)) }
}

/** Has every part prepare, so that all faults are reported at once; where one has a fault, every change is discarded. */
async function prepareAll(parts: readonly ReloadPart[], settings: Settings, changed: readonly SettingName[]): Promise<Change> {
  const changes: Change[] = []
  const faults: string[] = []
  const prepared = joinChanges(changes)
  for (const part of parts) {
    try {
      changes.push(await part(settings, changed))
    } catch (error) {
      if (error instanceof SettingsError) faults.push(...error.faults)
      else if (error instanceof KeyError || error instanceof TypeError) faults.push(error.message)
      else {
        // Our own bug: what the other parts opened is closed all the same.
        prepared.discard()
        throw error
      }
    }
  }
  if (faults.length === 0) return prepared
  prepared.discard()
  throw new SettingsError(faults)
}

/** A reload that is reported in the log and the audit log. */
export function reloadWith(
  prepare: () => Promise<Pick<PreparedReload, 'apply' | 'reloaded'>>,
  { logger, audit }: ReloadLogs,
): Reloading['reload'] {
  return async (by: ReloadedBy) => {
    try {
      const { apply, reloaded } = await prepare()
      apply()
      logger.info(`settings reloaded: ${sentenceOf(reloaded)}`, { subject: by.actor })
      audit?.({ event: 'settings-reloaded', ...by, reason: sentenceOf(reloaded) })
      return reloaded
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error
      for (const fault of error.faults)
        logger.error(`the settings cannot be used, so the old ones stay: ${withoutFolders(fault)}`)
      const detail = rulesBySetting(error)
      // The names of the settings: a value may be what is not for a log.
      audit?.({ event: 'settings-refused', ...by, reason: Object.keys(detail).join(', ') })
      throw new VestalError('RELOAD_REFUSED', { detail })
    }
  }
}

function sentenceOf({ changed, needsRestart }: Reloaded): string {
  const what = changed.length === 0 ? 'nothing changed' : `${changed.join(', ')} changed`
  return needsRestart.length === 0 ? what : `${what}; after a restart also ${needsRestart.join(', ')}`
}

/** The faults by the setting that each is about, as a client may see them: a fault is `<setting>: <rule>`. */
function rulesBySetting({ faults }: SettingsError): Readonly<Record<string, string>> {
  const rules: Record<string, string> = {}
  for (const fault of faults.map(withoutFolders)) {
    const end = fault.indexOf(': ')
    const [name, rule] = end === -1 ? ['settings', fault] : [fault.slice(0, end), fault.slice(end + 2)]
    rules[name] = rules[name] === undefined ? rule : `${rules[name]}; ${rule}`
  }
  return rules
}

/** A text with the names of files, and without the folders that they are in. */
export function withoutFolders(text: string): string {
  return text.replaceAll(/(^|[\s"'(=])(?:~|\.{1,2})?(?:\/[\w.@+-]+)+\/([\w.@+-]+)/g, '$1$2')
}

/** One call after the other: two that ran at once could each undo what the other took. */
function inTurn<A, T>(work: (given: A) => Promise<T>): (given: A) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (given) => {
    const result = last.then(() => work(given))
    last = result.catch(() => undefined)
    return result
  }
}

/** A part that takes whatever the settings' own rules allow. */
export function partOf(apply: (next: Settings) => void): ReloadPart {
  return (next) => ({ apply: () => apply(next), discard: () => undefined })
}

/** Adds what every process with an engine has. */
export function subscribeEngine(reload: Reload, { engine, logger }: { readonly engine: Engine; readonly logger: Logger }): void {
  reload.subscribe(partOf(({ logLevel }) => logger.setLevel(logLevel)))
  reload.subscribe(
    partOf(({ requestsMax, subjectRequestsMax, inputBytesMax: bytesMax, subjectBytesMax }) =>
      engine.limit({ requestsMax, subjectRequestsMax, bytesMax, subjectBytesMax }),
    ),
  )
}

const FRONT: readonly SettingName[] = ['allowedHosts', 'corsOrigins', 'trustedProxies', 'urlBytesMax', 'addressRequestsPerMinute']

interface AppReload {
  readonly ask: Reloading['reload']
  readonly keys: LiveKeys
  /** Headers of a fetch of keys that is made for the current request. */
  readonly requestHeaders: RequestHeaders | undefined
}

/** A reload as an app needs it: its route asks for one, and its part takes what `changingApp` gives. */
export function reloadingOf(reload: Reload, { ask, ...sources }: AppReload): Reloading {
  return {
    reload: ask,
    subscribe: (prepare) => reload.subscribe((next, changed) => prepare(changingApp(next, changed, sources))),
  }
}

/** Issuers, limits and what stands before the routes. Limits with unchanged settings keep their counts. */
function changingApp(
  next: Settings,
  changed: readonly SettingName[],
  { keys, requestHeaders }: Omit<AppReload, 'ask'>,
): ChangingApp {
  const issuers = loadIssuers(next, requestHeaders)
  const { keys: own } = keys.current()
  if (issuers.length === 0 && own.length === 0)
    throw new SettingsError(['issuers: none is left, and there is no key of one’s own'])
  const { issuers: accepted, requiredClaims } = authenticationOf(next, { keys: own, issuers })
  return {
    rules: { issuers: accepted, requiredClaims },
    operations: {
      accessLog: next.accessLog,
      ...(FRONT.some((name) => changed.includes(name)) && { front: next }),
      ...(changed.includes('rateLimits') && { rateLimits: next.rateLimits }),
    },
  }
}

/**
 * Reloads on SIGHUP. In a terminal that was closed the same signal means that, and the process stops instead.
 */
export function onReloadSignal(reload: () => Promise<unknown>): void {
  const hasTerminal = process.stdin.isTTY === true
  process.on('SIGHUP', () => {
    if (hasTerminal && !isTerminalOpen()) process.kill(process.pid, 'SIGTERM')
    else reloadUnasked(reload)
  })
}

/** Reloads where no caller awaits the outcome: the reload itself reported a rejection. */
export function reloadUnasked(reload: () => Promise<unknown>): void {
  reload().catch((error: unknown) => {
    if (!(error instanceof VestalError)) throw error
  })
}

function isTerminalOpen(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}
