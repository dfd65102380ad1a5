import { integer, oneOf } from '../readers.ts'
import { single } from './row.ts'

/** How the server is watched. */
export const OPERATIONS = {
  logLevel: single<'debug' | 'info' | 'warn' | 'error' | 'silent'>(oneOf('debug', 'info', 'warn', 'error', 'silent'), {
    default: 'info',
    value: 'LEVEL',
    help: 'Least level of log lines: debug, info, warn, error or silent.',
    isReloadable: true,
  }),
  logFormat: single<'auto' | 'json' | 'pretty'>(oneOf('auto', 'json', 'pretty'), {
    default: 'auto',
    value: 'FORM',
    help: 'Form of log lines: JSON objects (json), text for people (pretty), or text in development mode and on a terminal, and JSON elsewhere (auto).',
  }),
  accessLog: single<'all' | 'failures' | 'off'>(oneOf('all', 'failures', 'off'), {
    default: 'all',
    value: 'WHICH',
    help: 'Requests in the log: all, those answered with 400 or more (failures), or none (off).',
    isReloadable: true,
  }),
  shutdownDelaySeconds: single(integer(0, 600), {
    default: 0,
    value: 'SECONDS',
    help: 'Seconds to keep accepting requests after readiness turns false at a stop: what a load balancer needs to notice.',
  }),
  metricsPort: single<number | undefined>(integer(0, 65_535), {
    default: undefined,
    value: 'N',
    help: 'Port on 127.0.0.1 that serves the metrics to anybody on this machine, without a token. `/metrics` requires `metrics:read` in any case.',
  }),
}
