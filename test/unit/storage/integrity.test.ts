import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { SQL } from 'bun'
import { postgresTest } from '../../support/postgres.ts'
import { STORES, stores, type TestDatabase } from '../../support/stores.ts'

const ID = (number: number) => `00000000-0000-4000-8000-00000000000${number}`
const account = (number: number, name: string, more = "'$argon2id$x', 0") =>
  `INSERT INTO accounts (id, name, password_hash, is_password_once, permissions, epoch, version, created_at)
   VALUES ('${ID(number)}', '${name}', ${more}, '[]', 0, 1, 0)`
const session = (number: number, of: number, generation: number) =>
  `INSERT INTO sessions (id, account_id, generation, created_at, refreshed_at, expires_at, address, user_agent)
   VALUES ('${ID(number)}', '${ID(of)}', ${generation}, 0, 0, 0, '', '')`
const refreshToken = (hash: string, of: number, generation: number) =>
  `INSERT INTO refresh_tokens (hash, session_id, generation) VALUES ('${hash}', '${ID(of)}', ${generation})`

/** Writes past all constraints, as a restore of half a copy would. */
async function force(address: string, statements: readonly string[]): Promise<void> {
  if (address.startsWith('postgres')) {
    const client = new SQL(address, { max: 1 })
    for (const statement of ['SET session_replication_role = replica', ...statements]) await client.unsafe(statement)
    await client.close()
    return
  }
  const client = new Database(address)
  for (const statement of ['PRAGMA foreign_keys = OFF', ...statements]) client.run(statement)
  client.close()
}

async function stateOf(database: TestDatabase, statements: readonly string[]) {
  const store = database.open()
  await store.migrate()
  await force(database.address, statements)
  return { faults: await store.faults(), notes: await store.notes() }
}

for (const kind of stores()) {
  describe(`what is wrong with a database, ${kind.name}`, () => {
    test('is nothing where it is whole, or not migrated yet', async () => {
      await using database = await kind.create()
      const store = database.open()
      expect([await store.faults(), await store.notes()]).toEqual([[], []])
      const whole = [account(1, 'ada'), session(2, 1, 1), refreshToken('a', 2, 1), account(3, 'bea', 'NULL, 0'), session(4, 3, 0)]
      expect(await stateOf(database, whole)).toEqual({ faults: [], notes: [] })
    })

    test('is each row that has lost what it belongs to, or is half made', async () => {
      await using database = await kind.create()
      const { faults, notes } = await stateOf(database, [
        account(1, 'ada'),
        account(2, 'Ada'),
        account(3, 'once', 'NULL, 1'),
        account(4, 'plain', "'a password', 0"),
        `UPDATE accounts SET permissions = 'x' WHERE name = 'plain'`,
        `INSERT INTO roles (name, description, permissions, version, created_at) VALUES ('odd', '', 'x', 1, 0)`,
        `INSERT INTO account_roles (account_id, role) VALUES ('${ID(1)}', 'gone'), ('${ID(9)}', 'odd')`,
        session(5, 9, 0),
        session(6, 1, 2),
        refreshToken('a', 6, 3),
        refreshToken('b', 8, 1),
        `INSERT INTO known_addresses (account_id, subnet, last_at) VALUES ('${ID(9)}', '192.0.2.1', 0)`,
      ])
      // SQLite has words of its own for the orphans as well.
      expect(faults.filter((fault) => /^\d/.test(fault))).toEqual([
        '1 roles are held by accounts that are not there',
        '1 accounts hold roles that are not there',
        '1 sessions are of accounts that are not there',
        '1 refresh tokens are of sessions that are not there',
        '1 addresses are of accounts that are not there',
        '1 names are those of several accounts',
        '1 accounts have a password for once that is gone',
        '1 accounts have a password that no sign-in could check',
        '1 accounts have permissions that are no list',
        '1 roles have permissions that are no list',
        '1 sessions lack the refresh token of their generation',
        '1 sessions have refresh tokens of generations to come',
      ])
      expect(notes).toEqual(['1 enabled accounts have no password and no session: nobody can be signed in as them'])
    })
  })
}

postgresTest('Postgres tells of a constraint that was never checked', async () => {
  const kind = STORES.find(({ name }) => name === 'Postgres')
  if (kind === undefined) throw new Error('it was there a moment ago')
  await using database = await kind.create()
  const { faults } = await stateOf(database, ['ALTER TABLE accounts ADD CONSTRAINT odd CHECK (epoch < 1000) NOT VALID'])
  expect(faults).toEqual(['the constraint odd was not checked against all rows'])
})
