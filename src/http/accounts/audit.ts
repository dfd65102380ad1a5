import { Elysia } from 'elysia'
import { AUDIT_EVENTS } from '../../accounts/audit.ts'
import { nearestOf } from '../../core/nearest.ts'
import { jsonResponse } from '../json.ts'
import { AUDIT_DETAIL } from '../openapi/administration.ts'
import { type AdministrationOptions, NO_STORE } from './administration.ts'
import { fieldFault } from './fields.ts'
import { cursorOf, readQuery, timeIn } from './paging.ts'
import { AuditQuery } from './schemas.ts'

const EVENTS_MAX = 16
const EVENT = /^[a-z]+(?:-[a-z]+)*$/

/** The audit log, for those who may see it. */
export function auditLog(options: AdministrationOptions) {
  return new Elysia({ name: 'audit-log' })
    .use(options.authentication)
    .get('/admin/audit/', async ({ request }) => list(options, request), {
      permissions: ['audit:read'],
      detail: AUDIT_DETAIL.list,
    })
}

async function list({ readAudit }: AdministrationOptions, request: Request): Promise<Response> {
  const { page, filter } = readQuery(request, AuditQuery)
  const events = filter.event?.split(',')
  if (events !== undefined && (events.length > EVENTS_MAX || !events.every((name) => EVENT.test(name))))
    throw fieldFault('event', `must be one to ${EVENTS_MAX} names of events, with commas between them`)
  for (const name of events ?? []) {
    const meant = AUDIT_EVENTS.some((event) => event === name) ? undefined : nearestOf(name, AUDIT_EVENTS)
    if (meant !== undefined) throw fieldFault('event', `there is no event ${name}; did you mean ${meant}?`)
  }
  const { subject, since, until } = filter
  const { events: found, next } = await readAudit({
    ...page,
    ...(events !== undefined && { events }),
    ...(subject !== undefined && { subject }),
    ...(since !== undefined && { since: timeIn('since', since) }),
    ...(until !== undefined && { until: timeIn('until', until) }),
  })
  return jsonResponse({ events: found, next_cursor: cursorOf(next) }, NO_STORE)
}
