import { integer, oneOf, seconds } from '../readers.ts'
import { optional, single } from './row.ts'

/** How the server is watched. */
export const OPERATIONS = {
  logLevel: single(oneOf('debug', 'info', 'warn', 'error', 'silent'), 'info', {
    value: 'LEVEL',
    help: 'Least level of log lines: debug, info, warn, error or silent.',
    isReloadable: true,
  }),
  logFormat: single(oneOf('auto', 'json', 'pretty'), 'auto', {
    value: 'FORM',
    help: 'Form of log lines: JSON objects (json), text for people (pretty), or text in development mode and on a terminal, and JSON elsewhere (auto).',
  }),
  accessLog: single(oneOf('all', 'failures', 'off'), 'all', {
    value: 'WHICH',
    help: 'Requests in the log: all, those answered with 400 or more (failures), or none (off).',
    isReloadable: true,
  }),
  shutdownDelaySeconds: single(seconds(0, 600), 0, {
    help: 'Seconds to keep accepting requests after readiness turns false at a stop: what a load balancer needs to notice.',
  }),
  metricsPort: optional(integer(0, 65_535), {
    help: 'Port on 127.0.0.1 that serves the metrics to anybody on this machine, without a token. `/metrics` requires `metrics:read` in any case.',
  }),
}
