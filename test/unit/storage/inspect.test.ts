import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SQL } from 'bun'
import { inspectDatabase } from '../../../src/storage/inspect.ts'
import { openStore } from '../../../src/storage/open-store.ts'
import { openRedis } from '../../../src/storage/redis.ts'
import { hasPostgres, postgresServer } from '../../support/postgres.ts'
import { redisTest, startRedis } from '../../support/redis.ts'

const WHOLE = { isThere: true, missing: [], unknown: [], changed: [], faults: [], notes: [] }

/** Gives a folder to a test, and takes it away after it. */
async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-inspect-'))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe('a look at a file of SQLite', () => {
  test('makes none where there is none', () =>
    inFolder(async (folder) => {
      const { isThere, missing } = await inspectDatabase(join(folder, 'gone.db'))
      expect([isThere, missing.length > 0, existsSync(join(folder, 'gone.db'))]).toEqual([false, true, false])
    }))

  test('leaves no log behind, and sees what a running server has in its log', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'a file ?#%.db')
      const store = openStore(path)
      await store.migrate()
      expect(await inspectDatabase(path)).toEqual({ kind: 'sqlite', ...WHOLE })
      expect(existsSync(`${path}-wal`)).toBe(true)
      await store.close()
      const before = readdirSync(folder)
      expect(await inspectDatabase(path)).toEqual({ kind: 'sqlite', ...WHOLE })
      expect(readdirSync(folder)).toEqual(before)
    }))

  test('finds rows that have lost what they belong to, and accounts that no one can use', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'vestal.db')
      const store = openStore(path)
      await store.migrate()
      await store.close()
      const client = new Database(path)
      client.run('PRAGMA foreign_keys = OFF')
      client.run("INSERT INTO refresh_tokens (hash, session_id, generation) VALUES ('a', 'gone', 1)")
      client.run(`INSERT INTO accounts (id, name, is_password_once, permissions, epoch, version, created_at)
        VALUES ('a', 'ada', 0, '[]', 0, 1, 0)`)
      client.close()
      const { faults, notes } = await inspectDatabase(path)
      expect(faults).toEqual(['a row of refresh_tokens points to nothing', '1 refresh tokens are of sessions that are not there'])
      expect(notes).toEqual(['1 enabled accounts have no password and no session: nobody can be signed in as them'])
    }))

  test('rejects what is no database', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'text.db')
      writeFileSync(path, 'no database'.repeat(100))
      await expect(inspectDatabase(path)).rejects.toThrow('file is not a database')
    }))
})

if (hasPostgres()) {
  describe('a look at Postgres', () => {
    test('makes no table, knows what is applied, and asks its clock', async () => {
      const url = await (await postgresServer()).createDatabase()
      const empty = await inspectDatabase(url)
      expect([empty.isThere, empty.missing.length > 0]).toEqual([false, true])
      const client = new SQL(url, { max: 1 })
      try {
        const [found] = await client`SELECT count(*)::int AS tables FROM information_schema.tables WHERE table_schema = 'public'`
        expect(found?.tables).toBe(0)
        const store = openStore(url)
        await store.migrate()
        await store.close()
        expect(await inspectDatabase(url)).toEqual({ kind: 'postgres', ...WHOLE, clockMs: expect.any(Number) })
        await client`UPDATE vestal_migrations SET hash = 'x'`
        await client`INSERT INTO vestal_migrations (name, hash) VALUES ('9999_future', 'x')`
        const { unknown, changed } = await inspectDatabase(url)
        expect([unknown, changed.length > 0]).toEqual([['9999_future'], true])
        const { clockMs } = await inspectDatabase(url)
        expect(Math.abs((clockMs ?? 0) - Date.now())).toBeLessThan(600_000)
      } finally {
        await client.close()
      }
    })
  })
}

test('a Redis that is not there does not answer', async () => {
  const nobody = openRedis('redis://127.0.0.1:1')
  await expect(nobody.ping()).rejects.toThrow()
  nobody.close()
})

redisTest('Redis is asked whether it answers', async () => {
  await using server = await startRedis()
  if (server === undefined) throw new Error('it was there a moment ago')
  const redis = openRedis(server.url)
  await redis.ping()
  redis.close()
})
