import { expect, test } from 'bun:test'
import { addFirstAdministrator } from '../../../src/accounts/first-administrator.ts'
import { PASSWORD, startAccounts } from '../../support/accounts.ts'
import { stores } from '../../support/stores.ts'

for (const kind of stores()) {
  test(`on ${kind.name} an account whose password could not be shown is not there, and the next start makes another`, async () => {
    await using place = await startAccounts(kind)
    const { context } = place.server
    const shown: string[] = []
    const broken = addFirstAdministrator(context, {
      show: (password) => {
        shown.push(password)
        throw new Error('nobody reads the standard output')
      },
    })
    expect(broken).rejects.toThrow('nobody reads')
    await broken.catch(() => undefined)
    expect(await context.store.read((records) => records.hasAccounts())).toBe(false)
    expect(await addFirstAdministrator(context, { show: (password) => shown.push(password) })).toBe(true)
    expect(await addFirstAdministrator(context, { show: (password) => shown.push(password) })).toBe(false)
    expect([shown.length, new Set(shown).size]).toEqual([2, 2])
    const signIn = (password = '') => place.server.ask('POST', '/auth/', { body: { name: 'admin', password } })
    expect((await signIn(shown[0])).status).toBe(401)
    expect((await signIn(shown[1])).status).toBe(200)
    expect((await signIn(shown[1])).status).toBe(401)
  })

  test(`on ${kind.name} a password of the operator’s choice is shown to no one, and signs in again and again`, async () => {
    await using place = await startAccounts(kind)
    const shown: string[] = []
    const add = () =>
      addFirstAdministrator(place.server.context, { password: PASSWORD, show: (password) => shown.push(password) })
    expect([await add(), await add(), shown]).toEqual([true, false, []])
    for (let times = 0; times < 2; times += 1) {
      const { status } = await place.server.ask('POST', '/auth/', { body: { name: 'admin', password: PASSWORD } })
      expect(status).toBe(200)
    }
  })

  test(`on ${kind.name} of several that start at once one shows a password`, async () => {
    await using place = await startAccounts(kind)
    const shown: string[] = []
    const made = await Promise.all(
      Array.from({ length: 8 }, () => addFirstAdministrator(place.server.context, { show: (password) => shown.push(password) })),
    )
    expect([made.filter(Boolean).length, shown.length]).toEqual([1, 1])
  })
}
