import { describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type StartedServer, Workplace } from '../support/command-line.ts'
import { answerOf, failure } from '../support/doors.ts'
import { startKeyServer, testKey } from '../support/key-server.ts'
import { bearer, nowSeconds, SECRET, tokenWith } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const OWN = { VESTAL_SECRET: SECRET, VESTAL_ACCOUNTS: 'off', VESTAL_LOAD_MODEL: 'none' }
const RELOADER = bearer('server:reload')

/** A server whose settings are in a file that the test writes. */
class Reloadable implements AsyncDisposable {
  readonly #place = new Workplace()
  readonly #server: StartedServer

  private constructor(place: Workplace, server: StartedServer) {
    this.#place = place
    this.#server = server
  }

  static async start(toml: string, environment: Readonly<Record<string, string>> = OWN): Promise<Reloadable> {
    const place = new Workplace()
    writeFileSync(join(place.folder, 'vestal.toml'), toml)
    return new Reloadable(place, await place.start([], environment))
  }

  get folder(): string {
    return this.#place.folder
  }

  get pid(): number {
    return this.#server.child.pid
  }

  write(toml: string): void {
    writeFileSync(join(this.folder, 'vestal.toml'), toml)
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.#server.base}${path}`, init)
  }

  async status(path: string, headers: Record<string, string> = {}): Promise<number> {
    return (await this.fetch(path, { headers })).status
  }

  /** Writes the settings and asks for them to be read. */
  reload(toml: string, headers: Record<string, string> = RELOADER) {
    this.write(toml)
    return answerOf(this.fetch('/admin/reload', { method: 'POST', headers }))
  }

  signal(): void {
    this.#server.child.kill('SIGHUP')
  }

  /** Stops the server and gives all that it wrote after its start. */
  async stop(): Promise<string> {
    this.#server.child.kill('SIGTERM')
    expect(await this.#server.child.exited).toBe(0)
    return (await this.#server.rest) + (await new Response(this.#server.child.stderr).text())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.child.kill('SIGKILL')
    await this.#server.child.exited
    this.#place[Symbol.dispose]()
  }
}

const changed = (...names: readonly string[]) => ({ status: 200, body: { changed: names, needs_restart: [] } })

describe('POST /admin/reload', () => {
  test('applies the level of the log and which requests it logs', async () => {
    await using server = await Reloadable.start('access_log = "off"\n', { ...OWN, VESTAL_LOG_FORMAT: 'json' })
    await server.status('/public/info/?before')
    expect(await server.reload('log_level = "debug"\naccess_log = "all"\n')).toEqual(changed('log_level', 'access_log'))
    await server.status('/v2/health/live')
    const log = await server.stop()
    expect(log).toContain('"message":"settings reloaded: log_level, access_log changed","subject":"tester"')
    expect(log).toContain('"route":"/v2/health/live"')
    expect(log).not.toContain('"route":"/public/info/"')
  })

  test('applies hosts, origins and the length of URLs', async () => {
    await using server = await Reloadable.start('')
    const host = { host: 'models.example' }
    const origin = { origin: 'https://app.example.org' }
    const allowed = async () =>
      (await server.fetch('/public/info/', { headers: origin })).headers.get('access-control-allow-origin')
    const long = `/public/info/?${'x'.repeat(300)}`
    expect([await server.status('/public/info/', host), await allowed(), await server.status(long)]).toEqual([200, null, 200])
    const toml = `allowed_hosts = ["127.0.0.1"]\ncors_origins = ["${origin.origin}"]\nurl_bytes_max = 300\n`
    expect(await server.reload(toml)).toEqual(changed('allowed_hosts', 'cors_origins', 'url_bytes_max'))
    expect([await server.status('/public/info/', host), await allowed(), await server.status(long)]).toEqual([
      421,
      origin.origin,
      414,
    ])
    expect(await server.reload('')).toEqual(changed('allowed_hosts', 'cors_origins', 'url_bytes_max'))
    expect([await server.status('/public/info/', host), await allowed()]).toEqual([200, null])
  })

  test('applies limits of addresses and of roles, and keeps the counts of those that stay', async () => {
    const role = (requests: number) => `[[rate_limits]]\nrole = "reader"\nrequests_per_minute = ${requests}\n`
    await using server = await Reloadable.start(role(1))
    const token = tokenWith([], { data: { permissions: [], roles: { reader: ['my-permission-name'] } } })
    const ask = () => server.status('/private/info/', { authorization: `Bearer ${token}` })
    expect([await ask(), await ask()]).toEqual([200, 429])
    expect(await server.reload(`url_bytes_max = 4096\n${role(1)}`)).toEqual(changed('url_bytes_max'))
    expect(await ask()).toBe(429)
    expect(await server.reload(role(2))).toEqual(changed('url_bytes_max', 'rate_limits'))
    expect([await ask(), await ask(), await ask()]).toEqual([200, 200, 429])
    expect(await server.reload('address_requests_per_minute = 2\n')).toEqual(
      changed('address_requests_per_minute', 'rate_limits'),
    )
    expect([await ask(), await ask(), await ask()]).toEqual([200, 200, 429])
  })

  test('applies issuers, and forgets at once what one that is gone had verified', async () => {
    const [A, B] = [testKey('a'), testKey('b')]
    await using one = startKeyServer(A)
    await using two = startKeyServer(B)
    const issuer = (name: string, url: string) => `
      [[issuers]]
      name = "https://${name}.example"
      jwks_url = "${url}"
      audiences = ["vestal"]
      permission_claims = ["scope"]\n`
    const claims = { aud: 'vestal', sub: 'me', exp: nowSeconds() + 60, scope: 'my-permission-name server:reload' }
    const tokenA = { authorization: `Bearer ${A.sign({ ...claims, iss: 'https://one.example' })}` }
    const tokenB = { authorization: `Bearer ${B.sign({ ...claims, iss: 'https://two.example' })}` }
    const statuses = async () => [await server.status('/private/info/', tokenA), await server.status('/private/info/', tokenB)]
    const { VESTAL_SECRET: _, ...rest } = OWN
    const environment = { ...rest, NODE_ENV: 'production' }
    await using server = await Reloadable.start(issuer('one', one.url), environment)
    expect(await statuses()).toEqual([200, 401])
    expect(await server.reload(issuer('one', one.url) + issuer('two', two.url), tokenA)).toEqual(changed('issuers'))
    expect(await statuses()).toEqual([200, 200])
    expect(one.requests()).toBe(1)
    expect(await server.reload(issuer('two', two.url), tokenA)).toEqual(changed('issuers'))
    expect(await statuses()).toEqual([401, 200])
    expect(await server.reload('', tokenB)).toEqual(failure(422, { issuers: 'none is left, and there is no key of one’s own' }))
    expect(await statuses()).toEqual([401, 200])
  })

  test('applies claims that tokens need, of tokens too that were verified before', async () => {
    await using server = await Reloadable.start('')
    const ask = (claims: Record<string, unknown>) =>
      server.status('/private/info/', { authorization: `Bearer ${tokenWith(['my-permission-name'], claims)}` })
    const claims = { exp: nowSeconds() + 60 }
    expect(await ask(claims)).toBe(200)
    const strict = 'required_claim = ["tenant"]\n'
    expect(await server.reload(strict)).toEqual(changed('required_claim'))
    expect([await ask(claims), await ask({ ...claims, tenant: 'a' })]).toEqual([401, 200])
    // The token that may reload has to have it as well.
    expect((await server.reload('')).status).toBe(401)
  })

  test('applies how often a password may be tried, and the audit log says who asked', async () => {
    const environment = {
      VESTAL_SECRET: SECRET,
      VESTAL_LOAD_MODEL: 'none',
      VESTAL_PASSWORD_MEMORY_KIB: '7168',
      NODE_ENV: 'production',
    }
    await using server = await Reloadable.start('sign_in_attempts_max = 1\n', environment)
    const attempt = async (name: string) => {
      const body = JSON.stringify({ name, password: 'not the right one' })
      return (await server.fetch('/auth/', { method: 'POST', body })).status
    }
    expect([await attempt('ada'), await attempt('ada')]).toEqual([401, 429])
    expect(await server.reload('sign_in_attempts_max = 2\n')).toEqual(changed('sign_in_attempts_max'))
    expect([await attempt('bea'), await attempt('bea'), await attempt('bea')]).toEqual([401, 401, 429])
    expect((await server.reload('log_level = "loud"\n')).status).toBe(422)
    expect((await server.reload('', bearer('server:read'))).status).toBe(403)
    const lines = () => readFileSync(join(server.folder, 'data/audit.log'), 'utf8').trim().split('\n')
    const events = () =>
      lines()
        .map((line) => JSON.parse(line))
        .filter(({ event }) => /^(?:settings|permission)-/.test(event))
    expect(events()).toMatchObject([
      { event: 'settings-reloaded', actor: 'tester', reason: 'sign_in_attempts_max changed', address: '127.0.0.1' },
      { event: 'settings-refused', actor: 'tester', reason: 'log_level in vestal.toml, line 1', address: '127.0.0.1' },
      { event: 'permission-refused', actor: 'tester', reason: 'needs server:reload', route: 'POST /admin/reload' },
    ])
    server.write('sign_in_attempts_max = 3\n')
    server.signal()
    await until(() => events().length === 4)
    expect(events()[3]).toMatchObject({ event: 'settings-reloaded', actor: 'signal', reason: 'sign_in_attempts_max changed' })
  })

  test('takes nothing where one part is wrong, and names everything that is', async () => {
    await using server = await Reloadable.start('')
    const wrong = `log_level = "loud"\nallowed_hosts = ["models.example"]\nunheard_of = 1\nurl_bytes_max = 10\n`
    expect(await server.reload(wrong)).toEqual(
      failure(422, {
        'log_level in vestal.toml, line 1': 'must be one of debug, info, warn, error, silent; got "loud"',
        'unheard_of in vestal.toml, line 3': 'is not a setting',
        'url_bytes_max in vestal.toml, line 4': 'must be a whole number from 256 to 65536; got the number 10',
      }),
    )
    expect(await server.status('/public/info/')).toBe(200)
    expect(await server.reload('log_level =')).toEqual(
      failure(422, { 'vestal.toml': 'is not valid TOML; line 1 is the first that cannot be read (a string stands in quotes)' }),
    )
    const files = `allowed_hosts = ["models.example"]\n[[issuers]]\nname = "https://one.example"\naudiences = ["vestal"]\nkey_file = "/nowhere/one.pem"\n`
    expect(await server.reload(files)).toEqual(failure(422, { 'one.pem': 'cannot be read: there is no such file' }))
    const published = `allowed_hosts = ["models.example"]\n[[issuers]]\nname = "https://one.example"\naudiences = ["vestal"]\njwks_url = "http://127.0.0.1:1/"\n`
    expect(await server.reload(published)).toEqual(
      failure(422, { settings: 'shared secrets and public keys are mixed among the issuers; give each of them a key pair' }),
    )
    expect(await server.status('/public/info/')).toBe(200)
    const log = await server.stop()
    expect(log).toContain('the settings cannot be used, so the old ones stay: unheard_of in vestal.toml, line 3: is not')
    expect(log).not.toContain('/nowhere')
  })

  test('takes nothing where a key file cannot be used', async () => {
    const { VESTAL_SECRET: _, ...environment } = OWN
    using place = new Workplace()
    expect(place.run(['keys', 'generate', '--algorithm', 'HS256']).exitCode).toBe(0)
    const keys = join(place.folder, 'data/keys.json')
    const token = place.run(['token', '--subject', 'me', '--permission', 'server:reload']).stdout.trim()
    await using server = await Reloadable.start('', { ...environment, VESTAL_KEY_FILE: keys })
    const headers = { authorization: `Bearer ${token}` }
    expect(await server.reload('url_bytes_max = 300\n', headers)).toEqual(changed('url_bytes_max'))
    writeFileSync(keys, '{')
    expect(await server.reload('', headers)).toEqual(failure(422, { 'keys.json': 'begins as JSON and is not valid JSON' }))
    expect(await server.status(`/public/info/?${'x'.repeat(300)}`)).toBe(414)
  })

  test('says what counts after a restart alone', async () => {
    await using server = await Reloadable.start('title = "One"\n')
    expect(await server.reload('title = "Two"\nurl_bytes_max = 4096\n')).toEqual({
      status: 200,
      body: { changed: ['url_bytes_max'], needs_restart: ['title'] },
    })
    expect(await (await server.fetch('/public/info/')).json()).toMatchObject({ title: 'One' })
    // It is still another than the one that runs.
    expect(await server.reload('title = "Two"\nurl_bytes_max = 4096\n')).toEqual({
      status: 200,
      body: { changed: [], needs_restart: ['title'] },
    })
  })

  test('is for those who may', async () => {
    await using server = await Reloadable.start('')
    expect((await server.reload('url_bytes_max = 300\n', {})).status).toBe(401)
    expect((await server.reload('url_bytes_max = 300\n', bearer('server:read', 'metrics:read'))).status).toBe(403)
    expect(await server.status(`/public/info/?${'x'.repeat(300)}`)).toBe(200)
  })

  test('fails no request that comes in the meantime', async () => {
    const { VESTAL_LOAD_MODEL: _, ...environment } = OWN
    await using server = await Reloadable.start('', environment)
    let isOver = false
    const init = {
      method: 'POST',
      headers: bearer('model:iris:predict'),
      body: '{"input":[[5.1,3.5,1.4,0.2]]}',
    }
    const statuses = new Map<number, number>()
    const load = async () => {
      while (!isOver) {
        const { status } = await server.fetch('/models/iris/predict/', init)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    }
    const loads = Promise.all([load(), load(), load(), load()])
    for (let time = 0; time < 20; time += 1) {
      const { status } = await server.reload(
        `requests_max = ${1000 + time}\nrequired_claim = ["sub"]\ncors_origins = ["https://a${time}.example"]\n`,
      )
      expect(status).toBe(200)
    }
    isOver = true
    await loads
    expect([...statuses.keys()]).toEqual([200])
  })
})

describe('SIGHUP', () => {
  test('makes a server read its settings again, or keep the old ones', async () => {
    await using server = await Reloadable.start('')
    const ask = () => server.status(`/public/info/?${'x'.repeat(300)}`)
    server.write('url_bytes_max = 300\n')
    server.signal()
    await until(async () => (await ask()) === 414)
    server.write('url_bytes_max = 3\n')
    server.signal()
    // The signal comes before what is asked after it, and reloads are done one after the other.
    expect((await server.reload('url_bytes_max = 301\nlog_level = "warn"\n')).status).toBe(200)
    expect(await ask()).toBe(414)
    await server.stop()
  })
})
