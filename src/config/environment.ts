import type { Environment } from './load.ts'

/** The environment of this process: what it was started with, and a `.env` file that Bun read. */
export function processEnvironment(): Environment {
  return process.env
}

/** Whether systemd handed sockets over to this very process (sd_listen_fds(3)). */
export function hasSocketsOfSystemd(environment: Environment, pid: number): boolean {
  return environment.LISTEN_PID === String(pid) && Number(environment.LISTEN_FDS) > 0
}

/** Whether a script of package.json started this: `bun run start`, whose siblings then can be named by their scripts. */
export function isPackageScript(environment: Environment): boolean {
  return environment.npm_lifecycle_event === 'start' || environment.npm_lifecycle_event === 'dev'
}
