import { integer } from '../readers.ts'
import { single } from './row.ts'

/** How the server is watched. */
export const OPERATIONS = {
  metricsPort: single<number | undefined>(integer(0, 65_535), {
    default: undefined,
    value: 'N',
    help: 'Port on 127.0.0.1 that gives the metrics to anybody on this machine, without a token. `/metrics` asks for `metrics:read` either way.',
  }),
}
