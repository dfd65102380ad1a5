import { type AccountInput, createAccount } from '../../src/accounts/administration.ts'
import { createApiKeyDirectory } from '../../src/accounts/api-key-directory.ts'
import type { AuditEvent } from '../../src/accounts/audit.ts'
import { boundAudit } from '../../src/accounts/bounded-audit.ts'
import { createPasswords, type Passwords } from '../../src/accounts/passwords.ts'
import { createRevocationList } from '../../src/accounts/revocation-list.ts'
import { createRevocationSync } from '../../src/accounts/revocation-sync.ts'
import { addFirstRoles } from '../../src/accounts/roles.ts'
import type { AccountsContext, Lifetimes } from '../../src/accounts/service.ts'
import { createThrottle, type ThrottleOptions } from '../../src/accounts/throttle.ts'
import type { AccountsOptions } from '../../src/http/accounts/context.ts'
import { createOriginReader } from '../../src/http/accounts/origin.ts'
import { type AppOptions, createApp, type Engine, signJwt, type TrustedIssuer } from '../../src/index.ts'
import { createAuditReader } from '../../src/storage/audit-reader.ts'
import type { OpenStore } from '../../src/storage/open-store.ts'
import { DOORS, type Door } from './doors.ts'
import { noteSecret } from './secrets.ts'
import { STORES, type StoreKind, type TestDatabase } from './stores.ts'
import { SECRET } from './tokens.ts'

/** A password that every rule allows. */
export const PASSWORD = noteSecret('four words and a half')
/** Hashes that take no time: how many are computed is what tests look at. */
export const CHEAP = { memoryKiB: 64, passes: 1 }

/** Accounts and their routes need no models. */
const NO_ENGINE = {
  models: () => [],
  model: () => undefined,
  isReady: () => true,
  statistics: () => [],
  stop: async () => undefined,
} as unknown as Engine

export interface AccountsServerOptions {
  readonly lifetimes?: Partial<Lifetimes>
  readonly throttle?: ThrottleOptions
  readonly passwords?: Passwords
  readonly trustedProxies?: readonly string[]
  readonly isSecure?: boolean
  readonly demonstration?: AppOptions['signIn']
  readonly issuer?: string
  /** Other issuers whose tokens are accepted. */
  readonly trusted?: readonly TrustedIssuer[]
  readonly operations?: AppOptions['operations']
  /** Other rules for tokens than those of a server by default. */
  readonly authentication?: Partial<AppOptions['authentication']>
  readonly whenStale?: AccountsOptions['whenStale']
  /** One of the two doors; default in memory. */
  readonly open?: (typeof DOORS)[number]
}

/** Processes over one database begin at the same moment, however long the second takes to start. */
const beginnings = new WeakMap<TestDatabase, number>()

function beginningOf(database: TestDatabase): number {
  const ms = beginnings.get(database) ?? Date.now()
  beginnings.set(database, ms)
  return ms
}

/** A process of a server with accounts, over a database that others may share, with a clock that the test moves. */
export class AccountsServer implements AsyncDisposable {
  readonly clock: { ms: number }
  readonly events: AuditEvent[] = []
  readonly audit: ReturnType<typeof boundAudit>
  readonly store: OpenStore
  readonly context: AccountsContext
  readonly apiKeys: ReturnType<typeof createApiKeyDirectory>
  readonly sync: ReturnType<typeof createRevocationSync>
  readonly options: AccountsOptions
  readonly app: ReturnType<typeof createApp>
  readonly door: Door

  private constructor(database: TestDatabase, options: AccountsServerOptions) {
    const now = () => this.clock.ms
    const { issuer } = options
    this.clock = { ms: beginningOf(database) }
    this.audit = boundAudit((event) => void this.events.push(event), now)
    this.store = database.open()
    const revocations = createRevocationList({ now })
    const lifetimes = {
      sessionSeconds: 2_592_000,
      idleSeconds: 1_209_600,
      graceSeconds: 10,
      accessTokenSeconds: 300,
      ...options.lifetimes,
    }
    this.context = {
      store: this.store,
      now,
      revocations,
      lifetimes,
      apiKeysChanged: () => this.apiKeys.load(),
      passwords: options.passwords ?? createPasswords(CHEAP),
      throttle: createThrottle({ accountMax: 1000, addressMax: 100_000, now, ...options.throttle }),
      audit: this.audit.write,
      sign: (claims, lifetimeSeconds) =>
        signJwt({ ...claims, ...(issuer !== undefined && { iss: issuer }) }, SECRET, {
          now,
          lifetimeSeconds,
        }),
    }
    this.apiKeys = createApiKeyDirectory({ store: this.store, now })
    this.sync = createRevocationSync({ store: this.store, revocations, now, onApiKeys: this.apiKeys.load })
    const names = { access: 'access_token', refresh: 'refresh_token' }
    const { isSecure = false, demonstration } = options
    const cookies = isSecure
      ? { access: `__Host-${names.access}`, refresh: `__Host-${names.refresh}`, isSecure }
      : { ...names, isSecure }
    this.options = {
      apiKeys: this.apiKeys,
      readAudit: createAuditReader({ to: 'database', folder: '', store: this.store }),
      isFresh: () => this.sync.isFresh,
      whenStale: options.whenStale ?? 'open',
      context: this.context,
      cookies,
      originOf: createOriginReader(options.trustedProxies ?? []),
    }
    this.app = createApp({
      engine: NO_ENGINE,
      authentication: {
        secret: SECRET,
        now,
        cookieKey: cookies.access,
        isRevoked: (token) => revocations.isRevoked(token),
        issuers: [...(issuer === undefined ? [] : [issuer]), ...(options.trusted ?? [])],
        ...options.authentication,
      },
      operations: options.operations ?? {},
      accounts: this.options,
      ...(issuer !== undefined && { issuer }),
      ...(demonstration && { signIn: demonstration }),
    })
    const open = options.open ?? DOORS[0]
    if (open === undefined) throw new Error('there is no door')
    this.door = open(this.app)
  }

  /** A server over a database, which is brought up to this version first. */
  static async start(database: TestDatabase, options: AccountsServerOptions = {}): Promise<AccountsServer> {
    const server = new AccountsServer(database, options)
    await server.store.migrate()
    await addFirstRoles(server.store, server.clock.ms)
    await server.apiKeys.load()
    await server.sync.poll()
    return server
  }

  /** Makes an account, with the role `analyst` and a good password unless the test says otherwise. */
  account(name: string, input: AccountInput = {}) {
    return createAccount(this.context, { name, password: PASSWORD, roles: ['analyst'], ...input }, { actor: 'test' })
  }

  /** Sends JSON and gives status, body and headers of the answer. */
  async ask(method: string, path: string, { body, token, headers = {} }: Ask = {}): Promise<Answer> {
    const response = await this.door.fetch(path, {
      method,
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: parsed(text), headers: response.headers, cookies: response.headers.getSetCookie() }
  }

  /** Signs in for a session that lasts. */
  async signIn(name: string, password = PASSWORD): Promise<Tokens> {
    const { status, body } = await this.ask('POST', '/auth/', { body: { name, password, session: 'token' } })
    if (status !== 200) throw new Error(`the sign-in of ${name} was answered ${status}: ${JSON.stringify(body)}`)
    return { id: body.id, token: body.token, refreshToken: body.refresh_token }
  }

  refresh(refreshToken: string): Promise<Answer> {
    return this.ask('POST', '/auth/refresh/', { body: { refresh_token: refreshToken } })
  }

  /** Status of a route that asks for a permission of the role `analyst`. */
  async statusWith(token: string): Promise<number> {
    return (await this.ask('GET', '/private/info/', { token })).status
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.door.close()
    await this.sync.stop()
  }
}

export interface Ask {
  readonly body?: unknown
  readonly token?: string
  readonly headers?: Record<string, string>
}

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: a test asserts what is in it.
  readonly body: any
  readonly headers: Headers
  readonly cookies: readonly string[]
}

export interface Tokens {
  readonly id: string
  readonly token: string
  readonly refreshToken: string
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** What a server with accounts that has none yet is made with, over SQLite. */
export async function noAccounts() {
  const [sqlite] = STORES
  if (sqlite === undefined) throw new Error('SQLite is always there')
  const place = await startAccounts(sqlite)
  return { accounts: place.server.options, close: () => place[Symbol.asyncDispose]() }
}

/** A server over an empty database of its own, and the database. */
export async function startAccounts(kind: StoreKind, options: AccountsServerOptions = {}) {
  const database = await kind.create()
  const server = await AccountsServer.start(database, options)
  return {
    server,
    database,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}
