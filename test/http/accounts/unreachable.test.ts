import { expect, test } from 'bun:test'
import { openStore } from '../../../src/storage/open-store.ts'
import { AccountsServer, PASSWORD } from '../../support/accounts.ts'
import { ownPostgresServer } from '../../support/postgres.ts'
import { until } from '../../support/until.ts'

const postgres = await ownPostgresServer()

if (postgres !== undefined) {
  test('a Postgres that is gone is a 503 for what needs it, stops nothing else, and is used again when it is back', async () => {
    const address = await postgres.createDatabase()
    const store = openStore(address)
    const database = { address, open: () => store, [Symbol.asyncDispose]: async () => undefined }
    await using server = await AccountsServer.start(database, { whenStale: 'administration' })
    await server.account('ada')
    const { token, refreshToken } = await server.signIn('ada')
    const signIn = () => server.ask('POST', '/auth/', { body: { name: 'ada', password: PASSWORD } })
    await postgres.kill()
    for (let attempt = 0; attempt < 3; attempt += 1) {
      for (const answer of [
        await signIn(),
        await server.refresh(refreshToken),
        await server.ask('POST', '/auth/logout/', { token }),
      ]) {
        expect([answer.status, answer.body.detail]).toEqual([503, 'The accounts cannot be reached; try again'])
        expect(answer.headers.get('retry-after')).toBe('1')
      }
    }
    expect(await server.statusWith(token)).toBe(200)
    expect(server.sync.poll()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await postgres.start()
    await until(async () => (await signIn()).status === 200)
    expect((await server.refresh(refreshToken)).status).toBe(200)
    await server.sync.poll()
    await store.close()
    await postgres.kill()
  })
}
