import type { Audit } from '../accounts/audit.ts'
import { SettingsError } from '../config/load.ts'
import { type Difference, differenceOf } from '../config/reloadable.ts'
import { keyOf, type SettingName, type Settings } from '../config/settings.ts'
import { type Change, joinChanges } from '../core/change.ts'
import { VestalError } from '../core/errors.ts'
import type { Reloaded, ReloadedBy } from '../http/reload.ts'
import { KeyError } from '../jose/key-error.ts'
import type { Logger } from '../telemetry/log/logger.ts'

/** Checks what a part takes of new settings, of which these are others than before. @throws SettingsError, KeyError, TypeError */
export type ReloadPart = (next: Settings, changed: readonly SettingName[]) => Change | Promise<Change>

/** Settings that were read again and found right. */
export interface PreparedReload extends Change {
  readonly reloaded: Reloaded
}

/** Where the outcome of a reload is logged and audited. */
export interface Tellers {
  readonly logger: Logger
  readonly audit?: Audit
}

export interface ReloadOptions extends Tellers {
  /** What the server runs with. */
  readonly settings: Settings
  /** Reads the settings from where the start read them. @throws SettingsError */
  readonly read: () => Settings
}

/** Reading the settings of a running server again. */
export interface Reload {
  /** Adds a part of the server that takes settings. */
  readonly subscribe: (part: ReloadPart) => void
  /** Reads and checks all of them; nothing changes yet. @throws SettingsError with everything that is wrong */
  readonly prepare: () => Promise<PreparedReload>
  /** Takes all of them, or none, and says so in the logs. One is done after the other. @throws VestalError RELOAD_REFUSED */
  readonly reload: (by: ReloadedBy) => Promise<Reloaded>
}

/** Prepares reading the settings again. An in-flight request keeps what it began with. */
export function createReload({ settings, read, logger, audit }: ReloadOptions): Reload {
  const parts: ReloadPart[] = []
  let current = settings
  const prepare = async (): Promise<PreparedReload> => {
    const next = differenceOf(current, read())
    const { apply, discard } = await prepareAll(parts, next)
    const reloaded = { changed: next.changed.map(keyOf), needsRestart: next.needsRestart.map(keyOf) }
    return {
      reloaded,
      discard,
      apply() {
        apply()
        current = next.settings
      },
    }
  }
  return {
    subscribe: (part) => void parts.push(part),
    prepare,
    reload: inTurn(tellReload(prepare, { logger, ...(audit && { audit }) })),
  }
}

/** Checks with every part, so that all faults are reported at once; where one has a fault, nothing is applied. */
async function prepareAll(parts: readonly ReloadPart[], { settings, changed }: Difference): Promise<Change> {
  const changes: Change[] = []
  const faults: string[] = []
  for (const part of parts) {
    try {
      changes.push(await part(settings, changed))
    } catch (error) {
      faults.push(...faultsOf(error))
    }
  }
  const change = joinChanges(changes)
  if (faults.length === 0) return change
  change.discard()
  throw new SettingsError(faults)
}

/** The faults, for callers who may reload. @throws whatever is a bug of ours */
function faultsOf(error: unknown): readonly string[] {
  if (error instanceof SettingsError) return error.faults
  if (error instanceof KeyError || error instanceof TypeError) return [error.message]
  throw error
}

/** A reload that says in both logs what became of it. */
export function tellReload(
  prepare: () => Promise<Pick<PreparedReload, 'apply' | 'reloaded'>>,
  { logger, audit }: Tellers,
): Reload['reload'] {
  return async (by) => {
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
      const rejected = rejection(error)
      // The names of the settings: a value may be what is not for a log.
      audit?.({ event: 'settings-refused', ...by, reason: Object.keys(rejected.detail).join(', ') })
      throw rejected
    }
  }
}

function sentenceOf({ changed, needsRestart }: Reloaded): string {
  const what = changed.length === 0 ? 'nothing changed' : `${changed.join(', ')} changed`
  return needsRestart.length === 0 ? what : `${what}; after a restart also ${needsRestart.join(', ')}`
}

/** The faults by the setting that each is about, as a client may see them. */
function rejection({ faults }: SettingsError): VestalError {
  const detail: Record<string, string> = {}
  for (const fault of faults.map(withoutFolders)) {
    const end = fault.indexOf(': ')
    const [name, rule] = end === -1 ? ['settings', fault] : [fault.slice(0, end), fault.slice(end + 2)]
    detail[name] = detail[name] === undefined ? rule : `${detail[name]}; ${rule}`
  }
  return new VestalError('RELOAD_REFUSED', { detail })
}

/** A text with the names of files, and not where on this machine they are. */
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
