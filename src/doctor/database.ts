import type { Settings } from '../config/settings.ts'
import { databaseAddress } from '../server/database-address.ts'
import { type Inspection, inspectDatabase } from '../storage/inspect.ts'
import { openRedis } from '../storage/redis.ts'
import { reasonOfRedis } from '../storage/redis-reason.ts'
import { type Finding, messageOf, note, orRight, right, type Subject, wrong } from './finding.ts'
import { hasSigningKey } from './keys.ts'

/** What the database of the settings says; undefined where accounts are off. */
export async function inspectionOf(settings: Settings): Promise<Inspection | undefined> {
  return settings.accounts === 'off' ? undefined : inspectDatabase(databaseAddress(settings))
}

/** The accounts' database: whether it answers, has this version's tables, and finds nothing wrong with itself. */
export async function lookAtDatabase(subject: Subject): Promise<readonly Finding[]> {
  const { settings } = subject
  if (settings.accounts === 'off') return [note('accounts are off: there is none')]
  if (!hasSigningKey(subject)) return [note('no key signs, so there are no accounts and no database')]
  try {
    const inspection = await inspectionOf(settings)
    return inspection === undefined ? [] : findingsOf(inspection)
  } catch (error) {
    return [wrong(`the database cannot be used: ${messageOf(error)}`, UNREACHABLE)]
  }
}

const UNREACHABLE =
  'Look whether it runs, whether it can be reached from here, and whether VESTAL_DATABASE is right; a broken file is replaced by a backup.'

function findingsOf({ kind, isThere, missing, unknown, changed, faults, notes }: Inspection): readonly Finding[] {
  if (!isThere) return [note(`the database (${kind}) is empty or not there yet; the first start makes its tables`)]
  const findings = [
    ...unknown.map((name) =>
      wrong(
        `the database has the migration ${name}, which this version does not know`,
        'Run the version of Vestal that made it, or a newer one.',
      ),
    ),
    ...changed.map((name) =>
      wrong(`the migration ${name} is not the one that the database was made with`, 'Run the version of Vestal that made it.'),
    ),
    ...faults.map((fault) => wrong(`the database is damaged: ${fault}`, 'Stop the server and restore a backup.')),
    ...(missing.length === 0
      ? []
      : [wrong(`the database lacks ${missing.join(', ')}`, 'vestal db migrate; the next start does it too.')]),
  ]
  const worthALook = notes.map((text) => note(text))
  return [
    ...orRight(findings, `the database (${kind}) answers, has every migration, and finds nothing wrong with itself`),
    ...worthALook,
  ]
}

/** Redis, where one is set. */
export async function lookAtRedis({ settings: { redis } }: Subject): Promise<readonly Finding[]> {
  if (redis === undefined) return [note('none is set: each process counts its own')]
  const opened = openRedis(redis)
  try {
    await opened.ping()
    return [right('it answers')]
  } catch {
    return [
      wrong(
        `Redis cannot be used: ${await reasonOfRedis(redis)}`,
        'Look whether it runs, whether it can be reached from here, and whether VESTAL_REDIS is right.',
      ),
    ]
  } finally {
    opened.close()
  }
}
