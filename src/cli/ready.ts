import type { Settings } from '../config/settings.ts'
import { CommandError } from '../core/command-error.ts'
import { askLocal, localAddress } from '../server/local-server.ts'

/** `vestal ready`: whether the server of these settings takes requests, for the health check of a container, which has no curl. Exit code 1 where not. */
export async function ready(settings: Settings): Promise<void> {
  const answer = await askLocal(settings, '/v2/health/ready').catch(() => undefined)
  if (answer === undefined)
    throw new CommandError(
      `no server answers at ${settings.unix ?? localAddress(settings)}; start one, or pass --port, --host or --unix`,
    )
  if (answer.status !== 200) throw new CommandError(`not ready: ${answer.status}`)
  console.log('ready')
}
