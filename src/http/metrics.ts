import { Elysia } from 'elysia'
import { EXPOSITION_TYPE } from '../telemetry/metrics/exposition.ts'
import type { AuthenticationPlugin } from './authentication.ts'
import { operation } from './openapi/operation.ts'

/** The permission that `/metrics` asks for. */
export const METRICS_PERMISSION = 'metrics:read'

export interface MetricsOptions {
  readonly authentication: AuthenticationPlugin
  /** Every metric in the text format of Prometheus. */
  readonly read: () => string | Promise<string>
}

/** What happened since the start, for Prometheus. */
export function metrics({ authentication, read }: MetricsOptions) {
  return new Elysia({ name: 'metrics' })
    .use(authentication)
    .get('/metrics', async () => metricsResponse(await read()), { permissions: [METRICS_PERMISSION], detail: DETAIL })
}

/** A response in the text format of Prometheus. */
function metricsResponse(text: string): Response {
  return new Response(text, { headers: { 'content-type': EXPOSITION_TYPE, 'cache-control': 'no-store' } })
}

const DETAIL = operation({
  tag: 'Operations',
  summary: 'Metrics, for Prometheus',
  permission: METRICS_PERMISSION,
  answer: {
    description: 'Every metric in the text format of Prometheus',
    contentType: 'text/plain',
    schema: 'Metrics',
    example: '# HELP vestal_up Whether it runs.\n# TYPE vestal_up gauge\nvestal_up 1\n',
  },
})
