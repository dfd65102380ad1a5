import type { AuditEvent } from '../accounts/audit.ts'
import type { Settings } from '../config/settings.ts'
import type { KeyRing } from '../jose/key-ring.ts'
import { openDatabase } from '../server/accounts.ts'
import { type AuditLog, createAuditLog } from '../storage/audit-log.ts'

const EVENTS = {
  generate: 'key-generated',
  rotate: 'key-rotated',
  retire: 'key-retired',
  revoke: 'key-revoked',
} as const

/** A change that the command line has made to a key file. */
export interface KeyChange {
  readonly action: keyof typeof EVENTS
  /** The key that was named; absent where none is. */
  readonly kid?: string
  /** The keys as they are now. */
  readonly ring: KeyRing<unknown>
}

/** Notes a change of the keys where accounts have an audit log. The keys are changed already, so a log that fails is a warning. */
export async function auditKeyChange(settings: Settings, { action, kid, ring }: KeyChange): Promise<void> {
  if (settings.accounts === 'off') return
  const subject =
    kid ?? ring.keys.find(({ state }) => state === (action === 'rotate' ? 'active' : 'next'))?.kid ?? ring.keys[0]?.kid
  const event: AuditEvent = {
    event: EVENTS[action],
    actor: 'command-line',
    ...(subject !== undefined && { subject }),
    reason: ring.keys.map((key) => `${key.kid} ${key.state}`).join(', '),
  }
  try {
    await write(settings, event)
  } catch (error) {
    console.error(`warning: the audit log does not have this change: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function write(settings: Settings, event: AuditEvent): Promise<void> {
  const { auditTo: to, data: folder } = settings
  const warn = (message: string) => console.error(`warning: ${message}`)
  const open = (store?: Parameters<typeof createAuditLog>[0]['store']): AuditLog =>
    createAuditLog({ to, folder, now: Date.now, warn, ...(store && { store }) })
  if (to === 'file') return open().write(event)
  const store = openDatabase(settings)
  try {
    await store.migrate()
    const log = open(store)
    log.write(event)
    await log.flush()
  } finally {
    await store.close()
  }
}
