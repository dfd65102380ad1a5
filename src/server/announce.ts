import { writeSync } from 'node:fs'
import { VERSION } from '../core/version.ts'
import { isOff } from '../inference/repository/describe.ts'
import type { Logging } from './logging.ts'
import { type Announced, brokenVersions, describeBackends, isServed, startScreen } from './start-screen.ts'

const [STDOUT, STDERR] = [1, 2]

/** Reports where the server listens and what it serves: in lines of the log, or for people. */
export function announce(base: string, announced: Announced, { logger, isPretty, palette }: Logging): void {
  const { mode, engine, settings } = announced
  const served = engine.models().filter(isServed)
  const broken = brokenVersions(engine)
  if (!isPretty) {
    for (const { name, version, reason } of broken) {
      logger.warn(`the model ${name}, version ${version}, cannot be served: ${reason}`, { model: name, version, reason })
    }
    const wanted = engine.models().filter(({ versions }) => !versions.every(isOff)).length
    const others = wanted === served.length ? '' : `; ${wanted - served.length} of ${wanted} cannot be served`
    logger.info(`Vestal ${VERSION} listens on ${base}, with ${served.length} models${others}`, {
      mode,
      url: base,
      count: served.length,
    })
    logger.info(`signatures are checked by ${describeBackends(settings.signatureBackend)}`)
    if (mode === 'development') logger.warn('development mode: any program on this machine can get a token')
    return
  }
  console.log(startScreen(base, announced, { palette, columns: process.stdout.columns }))
}

/** Creates the first administrator, now that the start has succeeded, and shows its password: on the terminal, or beside the log. */
export async function announceAdministrator({ accounts }: Announced, { logger, isPretty }: Logging): Promise<void> {
  try {
    // The one-time password must not be in the log. It is written at once: the account exists when this is done.
    await accounts?.addFirstAdministrator((text) => void writeSync(isPretty ? STDOUT : STDERR, text))
  } catch (error) {
    logger.error('the account "admin" was not created, and a password shown for it is not valid; the next start tries again', {
      error,
    })
  }
}
