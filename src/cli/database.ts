import type { Arguments, FlagRow } from '../config/arguments.ts'
import { SettingsError } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import { openDatabase } from '../server/accounts.ts'
import { readAction } from './action.ts'

/** What may follow `vestal db`. */
export const DATABASE_ACTIONS = ['migrate', 'status'] as const
export const DATABASE_FLAGS: readonly FlagRow[] = [{ name: 'json', help: 'Print JSON in place of lines.' }]

const SYNONYMS = { migrate: ['upgrade', 'update', 'init', 'create'], status: ['check', 'show', 'info', 'list'] } as const

/** `vestal db migrate|status`: the schema of the accounts' database. Exit code 1 where `status` finds that something is missing or wrong. */
export async function database(settings: Settings, { words: [word], switches }: Arguments): Promise<void> {
  const action = readAction('db', word, { actions: DATABASE_ACTIONS, synonyms: SYNONYMS })
  const store = openDatabase(settings)
  try {
    const applied = action === 'migrate' ? await store.migrate() : []
    const migrations = await store.migrations()
    const [faults, notes] = [await store.faults(), await store.notes()]
    if (switches.has('json')) console.log(JSON.stringify({ kind: store.kind, migrations, applied, faults, notes }, null, 2))
    else {
      console.log(`database: ${store.kind}`)
      for (const { name, isApplied } of migrations)
        console.log(`${isApplied ? 'applied' : 'missing'}  ${name}${applied.includes(name) ? ' (now)' : ''}`)
      for (const fault of faults) console.log(`fault    ${fault}`)
      for (const note of notes) console.log(`note     ${note}`)
    }
    if (faults.length > 0 || migrations.some(({ isApplied }) => !isApplied)) process.exitCode = 1
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw new SettingsError([`the database: ${cause instanceof Error ? cause.message : String(cause)}`])
  } finally {
    await store.close()
  }
}
