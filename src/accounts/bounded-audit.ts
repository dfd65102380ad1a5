import type { Audit, AuditEvent, AuditEventName } from './audit.ts'
import { subnetOf } from './subnet.ts'

/** Events that an unauthenticated client, or any client in a loop, can cause without limit. */
const REFUSALS: ReadonlySet<AuditEventName> = new Set([
  'sign-in-refused',
  'sign-in-throttled',
  'refresh-refused',
  'client-refused',
  'api-key-refused',
  'token-refused',
  'cross-site-refused',
  'permission-refused',
  'model-load-failed',
  'model-load-denied',
  'model-unload-failed',
  'model-unload-denied',
])

const WINDOW_MS = 60_000
/** Lines a minute for rejections that are alike; the rest of them share one line with their number. */
export const ALIKE_LINES = 10
/** Lines a minute for all rejections, and kinds of them that are counted apart; the rest are counted only by event. */
export const REFUSAL_LINES = 300

interface Group {
  /** What its rejections have in common. */
  readonly shared: AuditEvent
  seen: number
  untold: number
}

/** An audit log that a flood of rejections cannot fill. */
export interface BoundedAudit {
  readonly write: Audit
  /** Writes how many rejections were not logged one by one; to be called about once a minute, and at the end. */
  flush(): void
}

/** Limits the lines of rejections. Every other event is one line. */
export function boundAudit(audit: Audit, now: () => number): BoundedAudit {
  let groups = new Map<string, Group>()
  let lines = 0
  let windowStart = now()

  function flush(): void {
    const ended = groups
    groups = new Map()
    lines = 0
    windowStart = now()
    for (const { shared, untold } of ended.values()) if (untold > 0) audit({ ...shared, count: untold })
  }

  function groupOf(event: AuditEvent): Group {
    const shared = sharedOf(event)
    const own = keyOf(shared)
    const key = groups.size < REFUSAL_LINES ? own : event.event
    const known = groups.get(own) ?? groups.get(key)
    if (known !== undefined) return known
    const group = { shared: key === event.event ? { event: event.event } : shared, seen: 0, untold: 0 }
    groups.set(key, group)
    return group
  }

  return {
    flush,
    write(event) {
      if (!REFUSALS.has(event.event)) return audit(event)
      if (now() - windowStart >= WINDOW_MS) flush()
      const group = groupOf(event)
      group.seen += 1
      if (group.seen > ALIKE_LINES || lines >= REFUSAL_LINES) {
        group.untold += 1
        return
      }
      lines += 1
      audit(event)
    },
  }
}

/** The key of a rejection: event, address, principal and reason; for permissions without the reason. */
function sharedOf({ event, actor, name, reason, origin }: AuditEvent): AuditEvent {
  return {
    event,
    ...(actor !== undefined && { actor }),
    ...(name !== undefined && { name }),
    ...(reason !== undefined && event !== 'permission-refused' && { reason }),
    ...(origin && { origin: { address: subnetOf(origin.address), userAgent: '' } }),
  }
}

function keyOf({ event, actor, name, reason, origin }: AuditEvent): string {
  return JSON.stringify([event, actor, name, reason, origin?.address])
}
