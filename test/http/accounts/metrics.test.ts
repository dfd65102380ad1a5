import { describe, expect, test } from 'bun:test'
import { createPasswords } from '../../../src/accounts/passwords.ts'
import { CHEAP, startAccounts } from '../../support/accounts.ts'
import { DOORS } from '../../support/doors.ts'
import { STORES } from '../../support/stores.ts'
import { bearer } from '../../support/tokens.ts'

for (const kind of STORES.slice(0, 1)) {
  for (const [index, open] of DOORS.entries()) {
    const setUp = async (options: Parameters<typeof startAccounts>[1] = {}) => {
      const place = await startAccounts(kind, { open, ...options })
      const counts = async (metric: string) => {
        const text = await (await place.server.door.fetch('/metrics', { headers: bearer('metrics:read') })).text()
        const found = [...text.matchAll(new RegExp(`^${metric}\\{outcome="(\\w+)"\\} (\\d+)$`, 'gm'))]
        return Object.fromEntries(found.map(([, outcome = '', value]) => [outcome, Number(value)]))
      }
      return { ...place, counts }
    }

    describe(`metrics of accounts, ${index === 0 ? 'in memory' : 'over a socket'}`, () => {
      test('count sign-ins by outcome, and hold no name', async () => {
        await using place = await setUp({ throttle: { accountMax: 3 } })
        const { server, counts } = place
        expect(await counts('vestal_sign_ins_total')).toEqual({ accepted: 0, refused: 0, throttled: 0, busy: 0 })
        await server.account('ada')
        await server.signIn('ada')
        const ask = (name: string) => server.ask('POST', '/auth/', { body: { name, password: 'wrong wrong wrong' } })
        for (let attempt = 0; attempt < 4; attempt += 1) await ask('nobody-at-all')
        expect(await counts('vestal_sign_ins_total')).toEqual({ accepted: 1, refused: 3, throttled: 1, busy: 0 })
        const text = await (await server.door.fetch('/metrics', { headers: bearer('metrics:read') })).text()
        expect(text).not.toMatch(/nobody-at-all|ada/)
      })

      test('count sign-ins that too many others were ahead of', async () => {
        await using place = await setUp({ passwords: createPasswords({ ...CHEAP, atOnceMax: 1, waitingMax: 0 }) })
        const { server, counts } = place
        const ask = () => server.ask('POST', '/auth/', { body: { name: 'nobody', password: 'wrong wrong wrong' } })
        const statuses = (await Promise.all(Array.from({ length: 6 }, ask))).map(({ status }) => status)
        const busy = statuses.filter((status) => status === 503).length
        expect(busy).toBeGreaterThan(0)
        expect(await counts('vestal_sign_ins_total')).toEqual({ accepted: 0, refused: 6 - busy, throttled: 0, busy })
      })

      test('count refreshes by outcome: right, unknown, and used before', async () => {
        await using place = await setUp({ lifetimes: { graceSeconds: 0 } })
        const { server, counts } = place
        await server.account('ada')
        const { refreshToken } = await server.signIn('ada')
        expect((await server.refresh(refreshToken)).status).toBe(200)
        expect((await server.refresh('vr_nothing')).status).toBe(401)
        expect((await server.refresh(refreshToken)).status).toBe(401)
        expect(await counts('vestal_token_refreshes_total')).toEqual({ accepted: 1, refused: 1, reused: 1 })
      })
    })
  }
}
