import type { Environment } from './load.ts'

/** The environment of this process: what it was started with, and a `.env` file that Bun read. */
export function processEnvironment(): Environment {
  return process.env
}
