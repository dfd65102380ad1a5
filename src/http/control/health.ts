import { Elysia } from 'elysia'
import type { AuthenticatedToken, Authenticator } from '../../auth/authenticator.ts'
import { jsonResponse } from '../json.ts'
import { METRICS_PERMISSION } from '../metrics.ts'
import { DESCRIPTION_DETAIL } from '../openapi/open-inference-descriptions.ts'
import type { Readiness } from '../readiness.ts'

export interface HealthOptions {
  readonly readiness: Readiness
  readonly authenticator: Authenticator
}

/**
 * Public, since an orchestrator has no token. A token with `metrics:read` gets the reasons; any other token, right
 * or wrong, changes nothing.
 */
export function health({ readiness, authenticator }: HealthOptions) {
  return new Elysia({ name: 'health' })
    .get('/v2/health/live', () => jsonResponse({ live: true }), { detail: DESCRIPTION_DETAIL.live })
    .get('/v2/health/ready', async ({ request }) => readinessResponse(await describe(request, { readiness, authenticator })), {
      detail: DESCRIPTION_DETAIL.ready,
    })
}

/** Ready or not as the protocol says it: by the status, and in the body. */
export function readinessResponse(body: { readonly ready: boolean }): Response {
  return body.ready
    ? jsonResponse(body)
    : new Response(JSON.stringify(body), { status: 503, headers: { 'content-type': 'application/json', 'retry-after': '1' } })
}

async function describe(request: Request, { readiness, authenticator }: HealthOptions) {
  const ready = readiness.isReady()
  const token = request.headers.has('authorization') ? await tokenOf(request, authenticator) : undefined
  if (token?.allows([METRICS_PERMISSION]) !== true) return { ready }
  return { ready, phase: readiness.phase, reasons: readiness.reasons() }
}

async function tokenOf(request: Request, authenticator: Authenticator): Promise<AuthenticatedToken | undefined> {
  try {
    return await authenticator.authenticate(request)
  } catch {
    // A probe is answered whatever it carries.
    return undefined
  }
}
