import { integer, oneOf } from '../readers.ts'
import { single } from './row.ts'

/** How the server is watched. */
export const OPERATIONS = {
  logLevel: single<'debug' | 'info' | 'warn' | 'error' | 'silent'>(oneOf('debug', 'info', 'warn', 'error', 'silent'), {
    default: 'info',
    value: 'LEVEL',
    help: 'How much the log tells: debug, info, warn, error or silent.',
  }),
  logFormat: single<'auto' | 'json' | 'pretty'>(oneOf('auto', 'json', 'pretty'), {
    default: 'auto',
    value: 'FORM',
    help: 'One JSON object a line (json), text for people (pretty), or text in a terminal and JSON elsewhere (auto).',
  }),
  accessLog: single<'all' | 'failures' | 'off'>(oneOf('all', 'failures', 'off'), {
    default: 'all',
    value: 'WHICH',
    help: 'Requests that the log tells of: all, those answered with 400 or more (failures), or none (off).',
  }),
  shutdownDelaySeconds: single(integer(0, 600), {
    default: 0,
    value: 'SECONDS',
    help: 'How long requests are still taken, told to stop, once `/v2/health/ready` says no: as long as a load balancer takes to see it.',
  }),
  metricsPort: single<number | undefined>(integer(0, 65_535), {
    default: undefined,
    value: 'N',
    help: 'Port on 127.0.0.1 that gives the metrics to anybody on this machine, without a token. `/metrics` asks for `metrics:read` either way.',
  }),
}
