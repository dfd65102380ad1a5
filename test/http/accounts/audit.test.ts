import { describe, expect, test } from 'bun:test'
import { auditLine } from '../../../src/accounts/audit.ts'
import { startAccounts } from '../../support/accounts.ts'
import { DOORS } from '../../support/doors.ts'
import { stores } from '../../support/stores.ts'
import { tokenWith } from '../../support/tokens.ts'

const READER = tokenWith(['audit:read'])

for (const [index, kind] of stores().entries()) {
  const open = DOORS[index] ?? DOORS[0]
  describe(`GET /admin/audit/, ${kind.name}`, () => {
    test('shows what happened, newest first, by page and filtered', async () => {
      await using place = await startAccounts(kind, { ...(open && { open }) })
      const { server } = place
      const { id } = await server.account('ada')
      await server.signIn('ada')
      for (let number = 0; number < 3; number += 1)
        await server.ask('POST', '/auth/', { body: { name: 'eve', password: 'wrong' } })
      for (const [number, event] of server.events.entries()) {
        const at = server.clock.ms + number
        await server.store.transaction((records) =>
          records.insertAudit({ id: crypto.randomUUID(), at, line: auditLine(event, at) }),
        )
      }
      const ask = async (query: string) => {
        const { status, body, headers } = await server.ask('GET', `/admin/audit/?${query}`, { token: READER })
        expect([status, headers.get('cache-control')]).toEqual([200, 'no-store'])
        return body as { events: { event: string; actor?: string }[]; next_cursor: string | null }
      }
      const names = async (query: string) => (await ask(query)).events.map(({ event }) => event)
      const everything = ['sign-in-refused', 'sign-in-refused', 'sign-in-refused', 'sign-in', 'account-created']
      expect(await names('')).toEqual(everything)
      const first = await ask('limit=2')
      const second = await ask(`limit=2&cursor=${first.next_cursor}`)
      const third = await ask(`limit=2&cursor=${second.next_cursor}`)
      expect([...first.events, ...second.events, ...third.events].map(({ event }) => event)).toEqual(everything)
      expect(third.next_cursor).toBeNull()
      expect(await names('event=sign-in,account-created')).toEqual(['sign-in', 'account-created'])
      expect(await names(`subject=${id}`)).toEqual(['sign-in', 'account-created'])
      expect(await names('subject=eve&event=sign-in')).toEqual([])
      expect(await names(`since=${new Date(server.clock.ms + 4).toISOString()}`)).toEqual(['sign-in-refused'])
      const offset = new Date(server.clock.ms + 4).toISOString().replace('Z', '%2B00:00')
      expect(await names(`since=${offset}`)).toEqual(['sign-in-refused'])
      expect(await names(`until=${new Date(server.clock.ms + 1).toISOString()}`)).toEqual(['account-created'])
    })

    test('is for those who are granted it alone, and says what is wrong with a question', async () => {
      await using place = await startAccounts(kind, { ...(open && { open }) })
      const { server } = place
      const status = async (query: string, token?: string) =>
        (await server.ask('GET', `/admin/audit/${query}`, token === undefined ? {} : { token })).status
      expect(await status('')).toBe(401)
      expect(await status('', tokenWith(['users:read', 'audit:write']))).toBe(403)
      expect(await status('?event=x', READER)).toBe(200)
      for (const query of [
        'limit=0',
        'limit=201',
        'cursor=x',
        'cursor=!',
        'since=yesterday',
        'until=1',
        'event=',
        'event=A',
        'event=signin',
        'event=sign-in,sign-in-refussed',
        'x=1',
        'subject=%00',
      ])
        expect([query, await status(`?${query}`, READER)]).toEqual([query, 400])
    })
  })
}
