import { SettingsError } from '../config/load.ts'
import type { Change } from '../core/change.ts'
import { KeyError } from '../jose/key-error.ts'
import type { Key } from '../jose/keys.ts'
import { keyIdOf } from '../jose/thumbprint.ts'
import type { OwnKeys } from '../keys/own-keys.ts'
import { watchFile } from '../platform/watch-file.ts'
import type { LoadedKeys } from './load-keys.ts'

/** The keys of a running server: those of its key file as it is now. */
export interface LiveKeys extends OwnKeys {
  readonly current: () => LoadedKeys
  /** Called with the new state of each changed key, after the switch: `<key id> next`, `<key id> active`, `<key id> gone`. */
  readonly whenChanged: (listener: (changes: readonly string[]) => void) => void
  /** Called with the reason when a changed file cannot be used; the old keys stay. */
  readonly whenRejected: (listener: (reason: string) => void) => void
  /** Reads the file now; its keys are used once the change is applied. @throws SettingsError, KeyError where it cannot be used */
  readonly prepare: () => Change
  /** Stops watching the file. */
  readonly close: () => void
}

export interface LiveKeysOptions {
  /** Logs that a changed file cannot be used; the old keys stay. */
  readonly warn: (message: string) => void
  /** Logs that new keys are in use. */
  readonly say: (message: string) => void
  /** Milliseconds between two checks of the file where the system reports no change; default 1000. */
  readonly pollMs?: number
  /** Clock in milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number
}

/**
 * Loads the keys, and loads them again when their file changes, for as long as the server runs. A file that cannot be used changes nothing.
 * @throws SettingsError where the first keys cannot be used
 */
export function createLiveKeys(load: () => LoadedKeys, { warn, say, pollMs, now = Date.now }: LiveKeysOptions): LiveKeys {
  let current = load()
  const listeners: ((keys: readonly Key[]) => void)[] = []
  const watchers: ((changes: readonly string[]) => void)[] = []
  const rejectionListeners: ((reason: string) => void)[] = []
  const { path } = current
  const replace = (next: LoadedKeys) => {
    for (const listener of listeners) listener(next.keys)
    const changes = changesBetween(current, next)
    current = next
    for (const watcher of watchers) watcher(changes)
  }
  const read = () => {
    const next = load()
    if (isSame(next, current)) return undefined
    // A key file that is written half, or over an old one, would otherwise be used as a shared secret.
    if (next.isPlainSecret === true && current.isPlainSecret !== true)
      throw new SettingsError([
        `${path}: held a PEM or JSON and now is neither; restart the server if its bytes are to be a shared secret`,
      ])
    if (current.signing !== undefined && next.signing === undefined) throw new SettingsError([`${path}: no key in it signs`])
    return next
  }
  const reload = () => {
    try {
      const next = read()
      if (next === undefined) return
      replace(next)
      for (const warning of next.warnings) warn(warning)
      say(`keys changed: ${next.description}`)
    } catch (error) {
      if (!(error instanceof SettingsError || error instanceof KeyError)) throw error
      warn(`the changed keys cannot be used, so the old ones stay: ${error.message}`)
      for (const listener of rejectionListeners) listener(error.message)
    }
  }
  const look = (isChanged: boolean) => {
    if (isChanged) reload()
    const left = withoutDropped(current, now() / 1000)
    if (left === current) return
    replace(left)
    say(`keys changed: a retired key expired, ${left.keys.length} left`)
  }
  const stop = path === undefined ? () => undefined : watchFile(path, look, pollMs === undefined ? {} : { pollMs })
  return {
    current: () => current,
    prepare() {
      read()
      // The file is read again then: it may have changed, and a key that was revoked in between must not return.
      return { apply: reload, discard: () => undefined }
    },
    published: () => current.published,
    subscribe: (listener) => void listeners.push(listener),
    whenChanged: (watcher) => void watchers.push(watcher),
    whenRejected: (listener) => void rejectionListeners.push(listener),
    close: stop,
  }
}

/** The keys that have not expired, also where the file no longer exists. */
function withoutDropped(loaded: LoadedKeys, nowSeconds: number): LoadedKeys {
  const isOver = (kid: unknown) => (loaded.dropTimes?.get(String(kid)) ?? Number.POSITIVE_INFINITY) <= nowSeconds
  const keys = loaded.keys.filter((key) => !isOver(keyIdOf(key)))
  if (keys.length === loaded.keys.length) return loaded
  return { ...loaded, keys, published: { keys: loaded.published.keys.filter(({ kid }) => !isOver(kid)) } }
}

/** The keys whose state has changed. A key without a `kid` is identified by its index. */
function changesBetween(before: LoadedKeys, after: LoadedKeys): readonly string[] {
  const [old, now] = [statesOf(before), statesOf(after)]
  const gone = [...old.keys()].filter((kid) => !now.has(kid)).map((kid) => `${kid} gone`)
  return [...[...now].filter(([kid, state]) => old.get(kid) !== state).map(([kid, state]) => `${kid} ${state}`), ...gone]
}

function statesOf({ keys, signing, dropTimes }: LoadedKeys): ReadonlyMap<string, string> {
  return new Map(
    keys.map((key, index) => {
      const kid = keyIdOf(key) ?? `#${index + 1}`
      if (key === signing || (signing !== undefined && kid === keyIdOf(signing))) return [kid, 'active']
      return [kid, dropTimes?.has(kid) === true ? 'retired' : dropTimes === undefined ? 'verifies' : 'next']
    }),
  )
}

/** A file that was touched without a change must flush no cache. */
function isSame(next: LoadedKeys, current: LoadedKeys): boolean {
  const areSame = (one: Key | undefined, other: Key | undefined) =>
    one === other ||
    (one !== undefined &&
      other !== undefined &&
      one.kid === other.kid &&
      one.algorithms.join() === other.algorithms.join() &&
      one.canVerify === other.canVerify &&
      one.verifying.equals(other.verifying))
  const isSameTime = [...(next.dropTimes ?? [])].join() === [...(current.dropTimes ?? [])].join()
  const isSameSet = next.keys.length === current.keys.length && next.keys.every((key, index) => areSame(key, current.keys[index]))
  return isSameSet && isSameTime && areSame(next.signing, current.signing)
}
