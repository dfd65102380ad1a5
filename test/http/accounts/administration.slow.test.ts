import { describe, expect, test } from 'bun:test'
import { deleteAccount } from '../../../src/accounts/administration.ts'
import { VestalError } from '../../../src/index.ts'
import { AccountsServer, PASSWORD, startAccounts } from '../../support/accounts.ts'
import { stores } from '../../support/stores.ts'
import { makeToken, SECRET, tokenWith } from '../../support/tokens.ts'

const ALL = tokenWith(['*'])
const match = (tag: string | number) => ({ 'if-match': typeof tag === 'number' ? `"${tag}"` : tag })

const make = (server: AccountsServer, body: object, token = ALL) => server.ask('POST', '/admin/users/', { body, token })

for (const kind of stores()) {
  describe(`the administration of accounts, ${kind.name}`, () => {
    test('deletes an account once, however many ask for it at the same time', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await server.account('ada')
      const ask = async () => (await server.ask('DELETE', `/admin/users/${id}/`, { token: ALL, headers: match('*') })).status
      const statuses = await Promise.all(Array.from({ length: 5 }, ask))
      expect(statuses.sort()).toEqual([200, 404, 404, 404, 404])
      expect(await ask()).toBe(404)
      const unknown = deleteAccount(server.context, { id }, { actor: 'test' })
      expect(await unknown.catch((error: unknown) => error)).toEqual(new VestalError('RECORD_UNKNOWN'))
      expect(server.events.filter(({ event }) => event === 'account-deleted')).toHaveLength(1)
    })

    test('makes an account of a name alone, and never two of one name, at the beginning or later', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const bare = await make(server, { name: 'bare' })
      expect(bare.body).toMatchObject({ permissions: [], roles: [], has_password: false, disabled_at: null, version: 1 })
      const read = async () => (await server.ask('GET', `/admin/users/${bare.body.id}/`, { token: ALL })).body
      expect(await read()).toEqual(bare.body)
      await server.account('ada')
      expect((await make(server, { name: 'ADA' })).status).toBe(409)
      const renamed = await server.ask('PATCH', `/admin/users/${bare.body.id}/`, {
        token: ALL,
        body: { name: 'Ada', permissions: ['a:b'] },
        headers: match('*'),
      })
      expect([renamed.status, renamed.body.detail]).toEqual([409, { name: 'is taken' }])
      expect(await read()).toEqual(bare.body)
    })

    test('does not give a deleted role back at the next start, while there is another', async () => {
      await using place = await startAccounts(kind)
      const { server, database } = place
      const remove = (role: string) => server.ask('DELETE', `/admin/roles/${role}/`, { token: ALL, headers: match('*') })
      const rolesOf = async (at: AccountsServer) =>
        (await at.ask('GET', '/admin/roles/', { token: ALL })).body.roles.map(({ name }: { readonly name: string }) => name)
      expect((await remove('analyst')).status).toBe(200)
      await using second = await AccountsServer.start(database)
      expect(await rolesOf(second)).toEqual(['admin', 'operator'])
      expect((await remove('operator')).status).toBe(200)
      await using third = await AccountsServer.start(database)
      expect(await rolesOf(third)).toEqual(['admin'])
    })

    test('makes an account, shows it by id and by name, changes it, deletes it', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const made = await make(server, { name: 'Ada@Example.com', password: PASSWORD, roles: ['analyst'], permissions: ['a:b'] })
      expect([made.status, made.headers.get('etag'), made.headers.get('cache-control')]).toEqual([200, '"1"', 'no-store'])
      const { id } = made.body
      expect(made.body).toEqual({
        id,
        name: 'ada@example.com',
        permissions: ['a:b'],
        roles: ['analyst'],
        version: 1,
        has_password: true,
        created_at: new Date(server.clock.ms).toISOString(),
        disabled_at: null,
        last_sign_in_at: null,
      })
      for (const key of [id, 'ada@example.com', 'ADA%40example.com'])
        expect((await server.ask('GET', `/admin/users/${key}/`, { token: ALL })).body).toEqual(made.body)
      const { token } = await server.signIn('ada@example.com')
      const changed = await server.ask('PATCH', `/admin/users/${id}/`, {
        token: ALL,
        body: { name: 'bea', roles: [] },
        headers: match(1),
      })
      expect([changed.status, changed.headers.get('etag'), changed.body.name, changed.body.roles]).toEqual([
        200,
        '"2"',
        'bea',
        [],
      ])
      expect(await server.statusWith(token)).toBe(401)
      const next = await server.signIn('bea')
      const disabled = await server.ask('PATCH', `/admin/users/${id}/`, {
        token: ALL,
        body: { disabled: true },
        headers: match('*'),
      })
      expect([disabled.status, disabled.body.disabled_at]).toEqual([200, expect.any(String)])
      expect((await server.refresh(next.refreshToken)).status).toBe(401)
      expect((await server.ask('DELETE', `/admin/users/${id}/`, { token: ALL, headers: match(3) })).body).toEqual({ ended: id })
      expect((await server.ask('GET', `/admin/users/${id}/`, { token: ALL })).status).toBe(404)
      expect(server.events.map(({ event }) => event)).toEqual(
        expect.arrayContaining(['account-created', 'account-changed', 'account-deleted']),
      )
    })

    test('lets no one overwrite what another changed in the meantime', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = (await make(server, { name: 'ada' })).body
      const change = (headers: Record<string, string>, method = 'PATCH') =>
        server.ask(method, `/admin/users/${id}/`, { token: ALL, body: { permissions: ['a:b'] }, headers })
      for (const method of ['PATCH', 'DELETE']) {
        expect((await change({}, method)).status).toBe(428)
        for (const tag of ['"2"', '"0"', '1', 'W/"1"', '"1", "2"', 'x'])
          expect([tag, (await change(match(tag), method)).status]).toEqual([tag, 412])
      }
      const both = await Promise.all([change(match(1)), change(match(1))])
      expect(both.map(({ status }) => status).toSorted()).toEqual([200, 412])
    })

    test('says which field is wrong, and of two accounts of one name makes one', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const cases: readonly (readonly [body: unknown, fields: readonly string[]])[] = [
        [{}, ['name']],
        [{ name: 'a b', password: 'short', permissions: ['a b'], roles: ['No'] }, ['name', 'password', 'permissions', 'roles']],
        [{ name: 'ada', roles: ['king'] }, ['roles']],
        [{ name: 'ada', admin: true }, ['admin']],
        [{ name: 'ada', disabled: 1, permissions: 'x' }, ['disabled', 'permissions']],
        [{ name: 'ada', permissions: Array(65).fill('a:b') }, ['permissions']],
        [{ name: 'ada', permissions: Array.from({ length: 30 }, (_, index) => `${'x'.repeat(100)}:${index}`) }, ['permissions']],
        [{ name: 'ada', __proto__x: 1 }, ['__proto__x']],
        [[], ['body']],
      ]
      for (const [body, fields] of cases) {
        const answer = await make(server, body as object)
        expect([body, answer.status, Object.keys(answer.body.detail)]).toEqual([body, 400, fields as string[]])
      }
      const twice = await Promise.all(['ada', 'ADA', ' ada '].map((name) => make(server, { name, password: PASSWORD })))
      expect(twice.map(({ status }) => status).toSorted()).toEqual([200, 409, 409])
    })

    test('takes sixteen roles, 64 permissions and 2000 characters of grants, and no more', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const statusOf = async (body: object) =>
        (await make(server, { name: `n${crypto.randomUUID().slice(0, 8)}`, ...body })).status
      const roles = Array.from({ length: 17 }, (_, index) => `role-${index}`)
      for (const name of roles)
        expect((await server.ask('POST', '/admin/roles/', { token: ALL, body: { name } })).status).toBe(200)
      expect([await statusOf({ roles: roles.slice(0, 16) }), await statusOf({ roles })]).toEqual([200, 400])
      expect([
        await statusOf({ permissions: Array(64).fill('a:b') }),
        await statusOf({ permissions: Array(65).fill('a:b') }),
      ]).toEqual([200, 400])
      // Each of them has its quotes and its comma in a token.
      const long = (last: number) => [...Array.from({ length: 15 }, () => 'x'.repeat(128)), 'y'.repeat(last)]
      expect([await statusOf({ permissions: long(35) }), await statusOf({ permissions: long(36) })]).toEqual([200, 400])
      const described = async (length: number) => {
        const body = { name: `role-of-${length}`, description: 'x'.repeat(length) }
        return (await server.ask('POST', '/admin/roles/', { token: ALL, body })).status
      }
      expect([await described(200), await described(201)]).toEqual([200, 400])
    })

    test('leaves an account as it is in what a change does not name', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await server.account('ada', { isDisabled: true, permissions: ['a:b'] })
      const before = (await server.ask('GET', `/admin/users/${id}/`, { token: ALL })).body
      server.clock.ms += 5000
      const change = async (body: object) =>
        (await server.ask('PATCH', `/admin/users/${id}/`, { token: ALL, body, headers: match('*') })).body
      expect(await change({ name: 'bea' })).toEqual({ ...before, name: 'bea', version: 2 })
      expect(await change({ disabled: true })).toEqual({ ...before, name: 'bea', version: 3 })
      expect(await change({ permissions: ['c:d'] })).toEqual({ ...before, name: 'bea', permissions: ['c:d'], version: 4 })
      expect((await change({ disabled: false })).disabled_at).toBeNull()
      await server.signIn('bea')
    })

    test('gives a password that stays, or where it says so one for a single sign-in', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await server.account('ada')
      const change = async (body: object) =>
        (await server.ask('PATCH', `/admin/users/${id}/`, { token: ALL, body, headers: match('*') })).status
      const statusOf = async (password: string) =>
        (await server.ask('POST', '/auth/', { body: { name: 'ada', password } })).status
      expect(await change({ password: 'five new words that stay' })).toBe(200)
      expect([await statusOf('five new words that stay'), await statusOf('five new words that stay')]).toEqual([200, 200])
      expect(await change({ password: 'five new words for once', password_once: true })).toBe(200)
      expect([await statusOf('five new words for once'), await statusOf('five new words for once')]).toEqual([200, 401])
    })

    test('ends sessions and forgets addresses by a new password or none, or where the account is disabled, and by nothing else', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await server.account('ada')
      const address = '192.0.2.1'
      const begin = async () => {
        const { refreshToken } = await server.signIn('bea').catch(() => server.signIn('ada'))
        await server.store.transaction((records) => records.putKnownAddress(id, address, server.clock.ms, 20))
        return refreshToken
      }
      const change = async (body: object) =>
        (await server.ask('PATCH', `/admin/users/${id}/`, { token: ALL, body, headers: match('*') })).status
      const isKnown = () => server.store.read((records) => records.isKnownAddress(id, address, 0))
      let refreshToken = await begin()
      for (const body of [{ name: 'bea' }, { permissions: ['a:b'] }, { roles: [] }, { disabled: false }]) {
        expect([body, await change(body), await isKnown()]).toEqual([body, 200, true])
        const { status, body: next } = await server.refresh(refreshToken)
        expect([body, status]).toEqual([body, 200])
        refreshToken = next.refresh_token
      }
      for (const body of [{ password: PASSWORD }, { disabled: true }, { password: null }]) {
        expect([body, await change(body), await isKnown()]).toEqual([body, 200, false])
        expect([body, (await server.refresh(refreshToken)).status]).toEqual([body, 401])
        if ('password' in body) continue
        await change({ disabled: false })
        refreshToken = await begin()
      }
    })

    test('takes no password that is the name of the account, be it the new one or the one that it has', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await server.account('ada.lovelace')
      const change = async (body: object) => {
        const answer = await server.ask('PATCH', `/admin/users/${id}/`, { token: ALL, body, headers: match('*') })
        return [answer.status, answer.body.detail]
      }
      const refused = [400, { password: 'must not be the name of the account' }]
      expect(await change({ password: 'Ada.Lovelace' })).toEqual(refused)
      expect(await change({ password: 'Grace.Hopper', name: 'grace.hopper' })).toEqual(refused)
      expect((await change({ password: 'Ada.Lovelace', name: 'grace.hopper' }))[0]).toBe(200)
    })

    test('ends all that was issued for an account that is deleted, also what is of no session', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await server.account('ada')
      const token = makeToken({
        secret: SECRET,
        payload: {
          sub: id,
          epoch: 0,
          jti: 'one',
          exp: Math.floor(server.clock.ms / 1000) + 600,
          data: { permissions: ['my-permission-name'] },
        },
      })
      expect(await server.statusWith(token)).toBe(200)
      expect((await server.ask('DELETE', `/admin/users/${id}/`, { token: ALL, headers: match('*') })).status).toBe(200)
      expect(await server.statusWith(token)).toBe(401)
    })

    test('lists a page at a time, with filters, and rejects what is no parameter', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      for (const name of ['ada', 'abel', 'bea', 'cid', 'dan'])
        await server.account(name, { isDisabled: name === 'bea', roles: name === 'cid' ? [] : ['analyst'] })
      const list = async (query: string) => {
        const { body } = await server.ask('GET', `/admin/users/?${query}`, { token: ALL })
        return { names: body.users?.map(({ name }: { name: string }) => name), cursor: body.next_cursor }
      }
      const names: string[] = []
      let cursor = ''
      do {
        const page = await list(`limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)
        names.push(...page.names)
        cursor = page.cursor ?? ''
      } while (cursor !== '')
      expect(names).toEqual(['abel', 'ada', 'bea', 'cid', 'dan'])
      expect((await list('name=A')).names).toEqual(['abel', 'ada'])
      expect((await list('role=analyst&disabled=false')).names).toEqual(['abel', 'ada', 'dan'])
      expect((await list('disabled=true')).names).toEqual(['bea'])
      for (const query of [
        'limit=0',
        'limit=201',
        'limit=x',
        'limit=1&limit=2',
        'cursor=!',
        'cursor=AA%3D',
        'disabled=yes',
        'x=1',
        'name=%00',
        `name=${'x'.repeat(2000)}`,
      ])
        expect([query, (await server.ask('GET', `/admin/users/?${query}`, { token: ALL })).status]).toEqual([query, 400])
      for (const id of ['nobody', '%00', 'x'.repeat(300), '..%2f', '497f6eca-6276-4993-bfeb-53cbbbba6f08'])
        expect([id, (await server.ask('GET', `/admin/users/${id}/`, { token: ALL })).status]).toEqual([id, 404])
    })

    test('keeps the last enabled administrator', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { id } = await server.account('chief', { roles: ['admin'] })
      const { id: second } = await server.account('second', { roles: ['admin'], isDisabled: true })
      const ask = (method: string, path: string, body?: object) =>
        server.ask(method, path, { token: ALL, ...(body && { body }), headers: match('*') })
      const losing: readonly (readonly [method: string, path: string, body?: object])[] = [
        ['PATCH', `/admin/users/${id}/`, { disabled: true }],
        ['PATCH', `/admin/users/${id}/`, { roles: ['analyst'] }],
        ['DELETE', `/admin/users/${id}/`],
        ['DELETE', '/admin/roles/admin/'],
      ]
      for (const [method, path, body] of losing) {
        const { status, body: answer } = await ask(method, path, body)
        expect([method, body, status, answer.detail]).toEqual([
          method,
          body,
          409,
          'This would leave no enabled account that is granted everything, or that may write accounts',
        ])
      }
      await server.signIn('chief')
      expect((await ask('PATCH', `/admin/users/${id}/`, { roles: ['admin', 'analyst'] })).status).toBe(200)
      expect((await ask('PATCH', `/admin/users/${second}/`, { disabled: false })).status).toBe(200)
      const both = await Promise.all([id, second].map((one) => ask('PATCH', `/admin/users/${one}/`, { disabled: true })))
      expect(both.map(({ status }) => status).sort()).toEqual([200, 409])
    })

    test('keeps the last who may do everything, and the last who may write accounts, however they were granted it', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const ask = async (method: string, path: string, body?: object) =>
        (await server.ask(method, path, { token: ALL, ...(body && { body }), headers: match('*') })).status
      await server.ask('POST', '/admin/roles/', { token: ALL, body: { name: 'owner', permissions: ['*'] } })
      await server.ask('POST', '/admin/roles/', { token: ALL, body: { name: 'registrar', permissions: ['users:write'] } })
      const { id: own } = await server.account('own', { roles: [], permissions: ['*'] })
      // Capitals are another permission.
      await server.account('other', { roles: ['analyst'], permissions: ['USERS:WRITE', 'model:*:write'] })
      for (const [method, body] of [
        ['PATCH', { permissions: ['users:write'] }],
        ['PATCH', { disabled: true }],
        ['DELETE'],
      ] as const)
        expect(await ask(method, `/admin/users/${own}/`, body)).toBe(409)
      const { id: owner } = await server.account('owner', { roles: ['owner'] })
      expect(await ask('PATCH', `/admin/users/${own}/`, { permissions: [] })).toBe(200)
      expect(await ask('PATCH', `/admin/users/${owner}/`, { roles: ['registrar'] })).toBe(409)
      expect(await ask('PATCH', '/admin/roles/owner/', { permissions: ['users:write'] })).toBe(409)
      expect(await ask('DELETE', '/admin/roles/owner/')).toBe(409)
      expect(await ask('PATCH', '/admin/roles/owner/', { permissions: ['*', 'model:*:read'] })).toBe(200)
    })

    test('keeps the last who may write accounts where no one may do everything', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const ask = async (method: string, path: string, body?: object) =>
        (await server.ask(method, path, { token: ALL, ...(body && { body }), headers: match('*') })).status
      await server.ask('POST', '/admin/roles/', { token: ALL, body: { name: 'registrar', permissions: ['users:*'] } })
      const { id } = await server.account('clerk', { roles: ['registrar'] })
      expect(await ask('PATCH', `/admin/users/${id}/`, { disabled: true })).toBe(409)
      expect(await ask('PATCH', '/admin/roles/registrar/', { permissions: ['users:read'] })).toBe(409)
      await server.account('second', { roles: [], permissions: ['*:write'] })
      expect(await ask('PATCH', `/admin/users/${id}/`, { disabled: true })).toBe(200)
    })

    test('lets no one grant, change or delete more than they are granted', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const clerk = tokenWith(['users:write', 'users:read', 'roles:write', 'api-keys:write', 'model:*:predict'])
      const { id: chief } = (await make(server, { name: 'chief', password: PASSWORD, roles: ['admin'] })).body
      const as = (method: string, path: string, body?: object) =>
        server.ask(method, path, { token: clerk, ...(body && { body }), headers: match('*') })
      const refused: readonly (readonly [method: string, path: string, body?: object])[] = [
        ['POST', '/admin/users/', { name: 'eve', roles: ['admin'] }],
        ['POST', '/admin/users/', { name: 'eve', permissions: ['*'] }],
        ['POST', '/admin/users/', { name: 'eve', permissions: ['model:*:read'] }],
        ['PATCH', `/admin/users/${chief}/`, { password: 'a password of the clerk' }],
        ['PATCH', `/admin/users/${chief}/`, { disabled: true }],
        ['DELETE', `/admin/users/${chief}/`],
        ['POST', '/admin/roles/', { name: 'king', permissions: ['*'] }],
        ['PATCH', '/admin/roles/analyst/', { permissions: [] }],
        ['DELETE', '/admin/roles/admin/'],
        ['POST', '/admin/api-keys/', { name: 'robot', permissions: ['users:read', 'audit:read'] }],
      ]
      for (const [method, path, body] of refused) {
        const { status, body: answer } = await as(method, path, body)
        expect([method, path, status, answer.detail]).toEqual([method, path, 403, 'This is more than you are granted'])
      }
      await server.signIn('chief')
      expect((await as('POST', '/admin/users/', { name: 'dan', permissions: ['model:*:predict'] })).status).toBe(200)
      expect((await as('DELETE', '/admin/users/dan/')).status).toBe(200)
    })
  })

  describe(`the administration of roles, ${kind.name}`, () => {
    test('makes, shows, lists, changes and deletes one, and its holders’ tokens die', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const made = await server.ask('POST', '/admin/roles/', {
        token: ALL,
        body: { name: 'tester', description: 'Tests', permissions: ['my-permission-name'] },
      })
      expect([made.status, made.headers.get('etag')]).toEqual([200, '"1"'])
      expect((await server.ask('GET', '/admin/roles/tester/', { token: ALL })).body).toEqual(made.body)
      const { body } = await server.ask('GET', '/admin/roles/', { token: ALL })
      expect(body.roles.map(({ name }: { name: string }) => name)).toEqual(['admin', 'analyst', 'operator', 'tester'])
      await server.account('ada', { roles: ['tester'] })
      const first = await server.signIn('ada')
      expect(await server.statusWith(first.token)).toBe(200)
      const change = (method: string, tag: number, fields?: object) =>
        server.ask(method, '/admin/roles/tester/', { token: ALL, headers: match(tag), ...(fields && { body: fields }) })
      expect((await change('PATCH', 1, { description: 'Tests more' })).status).toBe(200)
      expect(await server.statusWith(first.token)).toBe(200)
      expect((await change('PATCH', 1, { permissions: [] })).status).toBe(412)
      expect((await change('PATCH', 2, { permissions: ['other:read'] })).status).toBe(200)
      expect(await server.statusWith(first.token)).toBe(401)
      const second = (await server.refresh(first.refreshToken)).body
      expect(await server.statusWith(second.token)).toBe(403)
      expect((await change('DELETE', 3)).body).toEqual({ ended: 'tester' })
      expect(await server.statusWith(second.token)).toBe(401)
      expect((await server.ask('GET', '/admin/users/ada/', { token: ALL })).body.roles).toEqual([])
      for (const name of ['Tester', 'a b', '', '__proto__'])
        expect((await server.ask('POST', '/admin/roles/', { token: ALL, body: { name } })).status).toBe(400)
      expect((await server.ask('POST', '/admin/roles/', { token: ALL, body: { name: 'admin' } })).status).toBe(409)
      expect((await server.ask('GET', '/admin/roles/%00/', { token: ALL })).status).toBe(404)
    })

    test('rejects permissions that would no longer fit into the token of a holder', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const many = (letter: string) => Array.from({ length: 15 }, (_, index) => `${letter.repeat(90)}:${index}`)
      await server.ask('POST', '/admin/roles/', { token: ALL, body: { name: 'one', permissions: many('a') } })
      await server.ask('POST', '/admin/roles/', { token: ALL, body: { name: 'two' } })
      await server.account('ada', { roles: ['one', 'two'] })
      const { status, body } = await server.ask('PATCH', '/admin/roles/two/', {
        token: ALL,
        headers: match('*'),
        body: { permissions: many('b') },
      })
      expect([status, Object.keys(body.detail)]).toEqual([400, ['roles']])
      expect((await server.ask('GET', '/admin/roles/two/', { token: ALL })).body.permissions).toEqual([])
    })
  })

  describe(`the administration of API keys, ${kind.name}`, () => {
    test('lets one act under its own name', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const { body: made } = await server.ask('POST', '/admin/api-keys/', {
        token: ALL,
        body: { name: 'robot', permissions: ['users:write', 'users:read'] },
      })
      const answer = await server.ask('POST', '/admin/users/', { body: { name: 'ada' }, headers: { 'x-api-key': made.key } })
      expect(answer.status).toBe(200)
      expect(server.events.find(({ event }) => event === 'account-created')).toMatchObject({
        actor: `key:${made.id}`,
        subject: answer.body.id,
      })
    })

    test('makes one that works at once, shows it without its secret, changes and ends it', async () => {
      await using place = await startAccounts(kind)
      const { server } = place
      const expires_at = new Date(server.clock.ms + 60_000).toISOString()
      const made = await server.ask('POST', '/admin/api-keys/', {
        token: ALL,
        body: { name: 'robot', permissions: ['my-permission-name'], expires_at },
      })
      const { key, id, ...rest } = made.body
      expect([made.status, made.headers.get('cache-control'), rest.expires_at]).toEqual([200, 'no-store', expires_at])
      const status = async () => (await server.ask('GET', '/private/info/', { headers: { 'x-api-key': key } })).status
      expect(await status()).toBe(200)
      const { body } = await server.ask('GET', '/admin/api-keys/', { token: ALL })
      expect(body).toEqual({ api_keys: [{ id, ...rest }], next_cursor: null })
      const change = (method: string, tag: string | number, fields?: object) =>
        server.ask(method, `/admin/api-keys/${id}/`, { token: ALL, headers: match(tag), ...(fields && { body: fields }) })
      expect((await change('PATCH', 1, { permissions: [], expires_at: null })).body).toMatchObject({
        permissions: [],
        expires_at: null,
        version: 2,
      })
      expect(await status()).toBe(403)
      expect((await change('DELETE', 1)).status).toBe(412)
      expect((await change('DELETE', 2)).body.revoked_at).toBe(new Date(server.clock.ms).toISOString())
      expect(await status()).toBe(401)
      expect((await change('PATCH', '*', { permissions: ['my-permission-name'] })).status).toBe(200)
      expect(await status()).toBe(401)
      for (const written of ['2999-01-01T00:00:00Z', '2999-01-01T00:00:00.000000+00:00', '2999-01-01T02:00:00+02:00'])
        expect((await change('PATCH', '*', { expires_at: written })).body.expires_at).toBe('2999-01-01T00:00:00.000Z')
      for (const fields of [
        {},
        { name: '' },
        { name: '  ' },
        { name: 'x'.repeat(101) },
        { name: 'a\nb' },
        { name: 'a', expires_at: '2999-01-01T00:00:00' },
        { name: 'a', expires_at: '2999-01-01' },
        { name: 'a', expires_at: '2999-01-01T00:00:00+0000' },
        { name: 'a', expires_at: '2999-01-01T00:00:00+99:99' },
        { name: 'a', expires_at: 'tomorrow' },
        { name: 'a', expires_at: '2020-01-01T00:00:00Z' },
        { name: 'a', permissions: ['a b'] },
      ])
        expect([fields, (await server.ask('POST', '/admin/api-keys/', { token: ALL, body: fields })).status]).toEqual([
          fields,
          400,
        ])
      const named = async (name: string) =>
        (await server.ask('POST', '/admin/api-keys/', { token: ALL, body: { name, permissions: [] } })).status
      expect([await named('x'.repeat(100)), await named('x'.repeat(101)), await named(' \t'), await named('x')]).toEqual([
        200, 400, 400, 200,
      ])
      for (const other of ['x', '%00', '000000000000'])
        expect((await server.ask('GET', `/admin/api-keys/${other}/`, { token: ALL })).status).toBe(404)
    })
  })
}
