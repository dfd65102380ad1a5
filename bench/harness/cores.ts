import { availableParallelism } from 'node:os'

const mayPin = Bun.which('taskset') !== null && availableParallelism() >= 2

/** What the two sides of a load test run on, for the report. */
export const CORES = mayPin ? 'server and load on a core each' : 'server and load share the cores'

/** What they run on where the server is left to take what there is, as it is by default. */
export const ALL_CORES = `server and load share ${availableParallelism()} cores`

/** The command on a core of its own, where the system can: 0 for the server, 1 for the load. */
export function onCore(core: 0 | 1, command: readonly string[]): string[] {
  return mayPin ? ['taskset', '-c', String(core), ...command] : [...command]
}
