import { describe, expect, test } from 'bun:test'
import type { AuditEvent } from '../../../src/accounts/audit.ts'
import { boundAudit } from '../../../src/accounts/bounded-audit.ts'

function setUp() {
  const clock = { ms: 1_800_000_000_000 }
  const events: AuditEvent[] = []
  const { write, flush } = boundAudit(
    (event) => events.push(event),
    () => clock.ms,
  )
  const times = (count: number, event: AuditEvent) => {
    for (let number = 0; number < count; number += 1) write(event)
  }
  return { clock, events, times, flush }
}

const refused = (more: Partial<AuditEvent> = {}): AuditEvent => ({ event: 'sign-in-refused', ...more })

describe('refusals in the audit log', () => {
  test('that are alike have ten lines a minute, and one that counts the rest', () => {
    const { clock, events, times, flush } = setUp()
    const one = refused({ actor: 'ann', name: 'ann', reason: 'wrong', subject: 's', sessionId: 'i' })
    times(25, one)
    expect(events).toEqual(Array(10).fill(one))
    clock.ms += 59_999
    times(1, one)
    expect(events).toHaveLength(10)
    clock.ms += 1
    times(1, one)
    const { actor, name, reason } = one
    expect(events.slice(10)).toEqual([{ event: 'sign-in-refused', actor, name, reason, count: 16 } as AuditEvent, one])
    flush()
    expect(events).toHaveLength(12)
  })

  test('that were all told leave no line with a count', () => {
    const { events, times, flush } = setUp()
    times(10, refused())
    flush()
    expect(events).toHaveLength(10)
    times(11, refused())
    flush()
    expect(events.slice(20)).toEqual([{ event: 'sign-in-refused', count: 1 }])
  })

  test('are alike by event, actor, name, reason and the network they came from, and nothing else', () => {
    const origin = (address: string, userAgent = 'a') => ({ address, userAgent, requestId: crypto.randomUUID() })
    const apart: readonly AuditEvent[] = [
      refused(),
      { event: 'client-refused' },
      refused({ actor: 'ann' }),
      refused({ actor: 'bob' }),
      refused({ name: 'ann' }),
      refused({ reason: 'ann' }),
      refused({ origin: origin('192.0.2.1') }),
      refused({ origin: origin('192.0.2.2') }),
      refused({ origin: origin('2001:db8::1') }),
    ]
    const { events, times, flush } = setUp()
    for (const event of apart) times(10, event)
    expect(events).toHaveLength(90)
    for (const event of apart) times(1, event)
    times(1, refused({ subject: 'other', tokenId: 'other', route: 'GET /' }))
    times(1, refused({ origin: origin('192.0.2.1', 'another program') }))
    times(1, refused({ origin: origin('2001:db8::ffff:1') }))
    expect(events).toHaveLength(90)
    flush()
    const network = (address: string) => ({ origin: { address, userAgent: '' } })
    expect(events.slice(90)).toEqual([
      { event: 'sign-in-refused', count: 2 },
      { event: 'client-refused', count: 1 },
      { event: 'sign-in-refused', actor: 'ann', count: 1 },
      { event: 'sign-in-refused', actor: 'bob', count: 1 },
      { event: 'sign-in-refused', name: 'ann', count: 1 },
      { event: 'sign-in-refused', reason: 'ann', count: 1 },
      { event: 'sign-in-refused', ...network('192.0.2.1'), count: 2 },
      { event: 'sign-in-refused', ...network('192.0.2.2'), count: 1 },
      { event: 'sign-in-refused', ...network('2001:db8:0:0::/64'), count: 2 },
    ])
  })

  test('of permissions are alike whichever they were', () => {
    const { events, times, flush } = setUp()
    for (let number = 0; number < 12; number += 1) times(1, { event: 'permission-refused', actor: 'ann', reason: `p${number}` })
    flush()
    expect([events.length, events[10]]).toEqual([11, { event: 'permission-refused', actor: 'ann', count: 2 }])
  })

  test('have 300 lines a minute in all, and as many kinds that are counted apart', () => {
    const { events, times, flush } = setUp()
    for (let number = 0; number < 320; number += 1) times(1, refused({ name: `n${number}` }))
    times(1, refused({ name: 'n0' }))
    times(1, refused({ name: 'n319' }))
    expect(events).toHaveLength(300)
    flush()
    expect(events.slice(300)).toEqual([
      { event: 'sign-in-refused', name: 'n0', count: 1 },
      { event: 'sign-in-refused', count: 21 },
    ])
    // The next minute has lines of its own.
    times(1, refused({ name: 'n0' }))
    expect(events).toHaveLength(303)
  })

  test('do not cost other events a line', () => {
    const { events, times } = setUp()
    times(400, { event: 'sign-in', actor: 'ann' })
    expect(events).toHaveLength(400)
    for (let number = 0; number < 400; number += 1) times(1, refused({ name: `n${number}` }))
    times(1, { event: 'signed-out' })
    expect([events.length, events.at(-1)]).toEqual([701, { event: 'signed-out' }])
  })
})
