import { VestalError } from '../core/errors.ts'
import type { RevocationList } from './revocation-list.ts'
import type { Store } from './store.ts'

export interface RevocationSyncOptions {
  readonly store: Store
  readonly revocations: RevocationList
  /** Clock in milliseconds since 1970. */
  readonly now: () => number
  /** Milliseconds between two questions; default 300. */
  readonly intervalMs?: number
  /** Called when the API keys may have changed. */
  readonly onApiKeys?: () => Promise<void>
  /** Called once a minute, for what need not be written at once. */
  readonly onIdle?: () => Promise<void>
  /** Hears once that the store cannot be reached, and once that it can again. */
  readonly warn?: (message: string) => void
}

/** Keeps this process's list up with what other processes, and the command line, have revoked. */
export interface RevocationSync {
  /** Reads what is new. @throws what the store throws */
  poll(): Promise<void>
  /** Asks again and again, until `stop`. */
  start(): void
  stop(): Promise<void>
  /** False where the store has not answered for so long that a revocation elsewhere could be missing here. */
  readonly isFresh: boolean
}

/** Clocks of processes may differ by this much: what is older than the last question by less is read again. */
const OVERLAP_MS = 30_000
/** After this long without an answer the list counts as old. */
const STALE_MS = 2000
const PRUNE_EVERY_MS = 60_000

/** What is rejected while revocations may be missing here: every permission, those that administer, or none. */
export type StalePolicy = 'closed' | 'administration' | 'open'

export interface FreshnessOptions {
  /** False where the store has not answered for so long that a revocation could be missing. */
  readonly isFresh: () => boolean
  readonly whenStale: StalePolicy
}

/** Resources of permissions that are about the server itself, and verbs that change. */
const ADMINISTRATIVE = /^(?:users|roles|api-keys|audit|keys|tokens|server):|:(?:admin|write)$|^\*$/

/** True for a permission that changes something, or shows who may. */
export function isAdministrative(permission: string): boolean {
  return ADMINISTRATIVE.test(permission)
}

/** Prepares the check that rejects, with STORE_UNAVAILABLE, what the policy says while revocations may be missing here. */
export function createFreshnessCheck({ isFresh, whenStale }: FreshnessOptions): (required: readonly string[]) => void {
  return (required) => {
    // First, since it is nearly always so, and costs less than to look at the permissions.
    if (isFresh() || whenStale === 'open') return
    if (whenStale === 'administration' && !required.some(isAdministrative)) return
    throw new VestalError('STORE_UNAVAILABLE', { reason: 'what is revoked is not known', headers: { 'retry-after': '1' } })
  }
}

/** Prepares the questions; the first `poll` reads all that is revoked. */
export function createRevocationSync(options: RevocationSyncOptions): RevocationSync {
  const { store, revocations, now, intervalMs = 300, onApiKeys, onIdle, warn = () => undefined } = options
  let since = 0
  let knownKeys = ''
  let answeredAt = 0
  let prunedAt = 0
  let isFailing = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let running: Promise<void> = Promise.resolve()

  async function poll(): Promise<void> {
    const askedAt = now()
    const found = await store.read((records) => records.revocationsSince(since - OVERLAP_MS))
    for (const revocation of found) if (revocation.kind !== 'api-keys') revocations.add(revocation)
    const change = found.find(({ kind }) => kind === 'api-keys')
    const keys = change === undefined ? knownKeys : `${change.createdAt} ${change.epoch}`
    if (keys !== knownKeys) await onApiKeys?.()
    knownKeys = keys
    since = askedAt
    answeredAt = now()
    if (askedAt - prunedAt < PRUNE_EVERY_MS) return
    prunedAt = askedAt
    revocations.prune()
    await onIdle?.()
    await store.transaction((records) => records.pruneRevocations(askedAt))
  }

  async function ask(): Promise<void> {
    try {
      await poll()
      if (isFailing) warn('the accounts can be reached again')
      isFailing = false
    } catch (error) {
      if (!isFailing) warn(`the accounts cannot be reached: ${error instanceof VestalError ? error.message : String(error)}`)
      isFailing = true
    }
  }

  function schedule(): void {
    timer = setTimeout(() => {
      running = ask().then(() => {
        if (timer !== undefined) schedule()
      })
    }, intervalMs)
    timer.unref?.()
  }

  return {
    poll,
    start: schedule,
    async stop() {
      clearTimeout(timer)
      timer = undefined
      await running
    },
    get isFresh() {
      // A clock that was set back says nothing of how long ago the answer was.
      const ageMs = now() - answeredAt
      return ageMs >= 0 && ageMs <= STALE_MS
    },
  }
}
