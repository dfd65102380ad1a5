import { type AnyElysia, Elysia } from 'elysia'
import { createFreshnessCheck } from '../accounts/revocation-sync.ts'
import { type AuthenticationOptions, type Authenticator, createAuthenticator } from '../auth/authenticator.ts'
import { type CredentialOptions, createCredentialReader } from '../auth/credentials.ts'
import { joinChanges } from '../core/change.ts'
import type { VestalError } from '../core/errors.ts'
import { after } from '../core/maybe.ts'
import type { Engine } from '../inference/engine.ts'
import { importKeys } from '../jose/key-set.ts'
import type { JwkSet } from '../jose/keys.ts'
import { publicKeySet } from '../jose/public-key-set.ts'
import type { OwnKeys } from '../keys/own-keys.ts'
import type { TaskLimits } from '../tasks/call.ts'
import { reportLostTokenizers } from '../tasks/text/tokenizer-pool.ts'
import type { Logger } from '../telemetry/log/logger.ts'
import type { MetricRegistry } from '../telemetry/metrics/registry.ts'
import { accounts } from './accounts/accounts.ts'
import type { AccountsOptions } from './accounts/context.ts'
import { peerAt } from './accounts/origin.ts'
import { serveAccounts } from './accounts/request-audit.ts'
import { guard } from './authentication.ts'
import type { BodyTimes } from './body.ts'
import { control } from './control/control.ts'
import { createModelLog } from './control/model-changes.ts'
import { dialects } from './dialects/dialects.ts'
import { discovery } from './discovery.ts'
import { type DocsOptions, docs } from './docs.ts'
import { errorPage } from './error-page.ts'
import { answerError, createErrorAnswer, errors } from './errors.ts'
import type { PeerOf } from './front/front.ts'
import { home } from './home.ts'
import { info } from './info.ts'
import { metrics } from './metrics.ts'
import { mayReadAndPredict } from './model-access.ts'
import { createOperations, type OperationsOptions } from './operations.ts'
import { createBodyThreads } from './predict/body-threads.ts'
import { createPictureDecoders } from './predict/picture-decoders.ts'
import { predictions } from './predict/predict.ts'
import { socket } from './predict/socket.ts'
import { stream } from './predict/stream.ts'
import { type Reloading, reload } from './reload.ts'
import { RequestMemory } from './request-memory.ts'
import { createInFlightRequests } from './request-record.ts'
import { createRouteTable, type Route, type RouteTable } from './route-table.ts'
import { createServers } from './servers.ts'
import { type SignInOptions, signIn, signOfElsewhere } from './sign-in.ts'

/** What the server is made of. */
export interface AppOptions {
  readonly engine: Engine
  readonly authentication: AuthenticationOptions
  /** The keys of `authentication` where they may change; by default they stay what they are. */
  readonly ownKeys?: OwnKeys
  /** The `iss` of the tokens that are signed here, for those who look for the keys; no metadata when it is absent. */
  readonly issuer?: string
  /** Name of the server on its page and in its information; default `Vestal`. */
  readonly title?: string
  readonly description?: string
  /** Longest body of a prediction in bytes; default 64 MiB. */
  readonly bodyBytesMax?: number
  /** Longest message of a WebSocket, or of a body where that is less; default 1 MiB. */
  readonly messageBytesMax?: number
  /** How much one request for a task may bring; default 2048 texts of 262 144 tokens in sum. */
  readonly taskLimits?: TaskLimits
  /** How many times its size a compressed body may expand to, where it expands to more than 8 MiB; default 100. */
  readonly expansionRatioMax?: number
  /** How long a body of a prediction may take to come; default 5 minutes, and 16 KiB a second once 10 seconds are over. */
  readonly bodyTimes?: BodyTimes
  /** Processes at most that decode pictures, which start with the first; default 2. */
  readonly mediaProcessesMax?: number | undefined
  /** Whether it listens with TLS: Elysia looks for the path of a URL from a fixed place on. Default false. */
  readonly isTls?: boolean
  /** Seconds that a connection may be silent between requests; default 30. */
  readonly idleSeconds?: number
  /** The sign-in of development mode; it does not exist when this is absent. */
  readonly signIn?: SignInOptions
  /** Whether there is a page at `/`, and pages for failures where a browser opens an address; default true. Programs get JSON either way. */
  readonly hasHomePage?: boolean
  /** Whether the dialects of other servers take ids of tokens in the place of texts; default false. */
  readonly mayBeTokenIds?: boolean
  /** Whether `/docs/` and the OpenAPI document are there; default true. */
  readonly hasDocs?: boolean
  /** How the server is watched. */
  readonly operations?: OperationsOptions
  /** Accounts, their sessions and their administration; none of their routes exists when this is absent. */
  readonly accounts?: AccountsOptions
  /** Reads the settings again while the app serves; there is no route for it when this is absent. */
  readonly reloading?: Reloading
  /** Called with our own bugs, in full; default writes them to the log. */
  readonly report?: (error: unknown, request: Request) => void
}

const IDLE_SECONDS = 30
/** Unread bytes of a socket at which Bun sends it no pongs: no limit counts these. One answer may be longer. */
const UNREAD_BYTES_MAX = 64 * 1024
const MESSAGE_MARGIN_BYTES = 4096
const DESCRIPTION = 'ONNX models behind JSON Web Tokens: every route and every model requires a permission.'

/**
 * The whole server as an Elysia app: information, models in rows and in tensors, health and documentation.
 *
 * @example
 * await using engine = await createEngine({ modelsDirectory: 'models' })
 * createApp({ engine, authentication: { secret } }).listen({ port: 8000, hostname: '127.0.0.1' })
 *
 * @throws KeyError, TypeError when keys or options cannot be used
 */
export function createApp(options: AppOptions) {
  const { title = 'Vestal', description = DESCRIPTION, idleSeconds = IDLE_SECONDS, isTls = false } = options
  const { published = ownKeySet(options.authentication) } = options.ownKeys ?? {}
  const routes: Route[] = []
  const table = createRouteTable(routes)
  const server = (): Server | null => app.server
  const services = createServices(options, { routes: table, pages: pagesOf(options), server })
  const { operations, engine, memory, pictures, bodies, servers, served, authenticator, report, failed, answer } = services
  const { readiness, recordOf } = operations
  const app = new Elysia({
    name: 'vestal',
    // A little more than a message may have, so that a longer one gets our error.
    websocket: { maxPayloadLength: memory.messageBytesMax + MESSAGE_MARGIN_BYTES, backpressureLimit: UNREAD_BYTES_MAX },
    // The path is looked for from the 8th character of the URL, or else from the 12th: that is in the path of a short `Host`.
    handler: { standardHostname: isTls },
    // Bodies are bounded where they are read, after the token: Bun's own limit would answer before the token is checked, and without a text.
    serve: { reusePort: false, idleTimeout: idleSeconds, maxRequestBodySize: Number.MAX_SAFE_INTEGER },
  })
    .onStart(({ server }) => {
      if (server !== null) servers.add(server)
    })
    .wrap(operations.around)
    .use(
      errors({
        report,
        routes: table,
        refused: failed,
        respond: (error, request) => answer(error, request, recordOf(request)?.id ?? ''),
      }),
    )
    .use(info({ authentication: guard(authenticator), title, description }))
    .use(predictions({ engine, authenticator, memory, pictures, bodies, taskLimits: options.taskLimits }))
    .use(
      dialects({
        engine,
        authenticator,
        memory,
        pictures,
        taskLimits: options.taskLimits,
        settings: { mayBeIds: options.mayBeTokenIds ?? false },
        noteModel: operations.noteModel,
      }),
    )
    .use(stream({ engine, authenticator, memory, report, readiness, taskLimits: options.taskLimits }))
    .use(socket({ engine, authenticator, memory, report, readiness, upgrade: servers.upgrade, taskLimits: options.taskLimits }))
    .use(
      control({
        engine,
        authenticator,
        memory,
        readiness,
        gatherStatistics: options.operations?.gather?.statistics,
        noteModelChange: createModelLog({ logger: options.operations?.logger, audit: served?.options.context.audit }),
        originOf: served?.options.originOf,
      }),
    )
    .use(metrics({ authentication: guard(authenticator), read: operations.readMetrics }))
    .use(
      discovery({
        published,
        hasTokenEndpoint: options.accounts !== undefined,
        ...(options.issuer !== undefined && { issuer: options.issuer }),
      }),
    )
  addOptionalRoutes(app, options, services)
  routes.push(...app.routes)
  return app
}

/** What Elysia knows of the server that listens; null in memory. */
type Server = NonNullable<Elysia['server']>

function pagesOf({ title = 'Vestal', hasDocs = true, accounts, signIn }: AppOptions) {
  return { title, hasDocs, hasSignIn: accounts !== undefined || signIn !== undefined }
}

interface ServiceParts {
  readonly routes: RouteTable
  readonly pages: ReturnType<typeof pagesOf>
  readonly server: () => Server | null
}

/** What the routes are served with. */
function createServices(options: AppOptions, { routes, pages, server }: ServiceParts) {
  const { idleSeconds = IDLE_SECONDS, isTls = false, hasHomePage = true } = options
  const peerOf: PeerOf = (request) => peerAt(server(), request)
  const servers = createServers()
  const answer = hasHomePage ? createErrorAnswer((error, id) => errorPage(error, id, pages)) : answerError
  const operations = createOperations(options.operations ?? {}, {
    isTls,
    engine: options.engine,
    routes,
    signatureBackend: options.authentication.signatureBackend,
    peerOf,
    inFlight: createInFlightRequests({ server, idleSeconds }),
    answerError: answer,
  })
  const engine = operations.limit(options.engine)
  const memory = new RequestMemory({
    ledger: engine.memory,
    bodyBytesMax: options.bodyBytesMax,
    bodyTimes: options.bodyTimes,
    expansionRatioMax: options.expansionRatioMax,
    messageBytesMax: options.messageBytesMax,
    servers,
    addressOf: operations.addressOf,
    idOf: (request) => operations.recordOf(request)?.id,
  })
  operations.registry.collected('vestal_held_bytes', {
    type: 'gauge',
    help: 'Bytes held for all requests: bodies, inputs, unread answers, rows of streams, messages of sockets.',
    read: () => [[[], memory.ledger.bytes]],
  })
  const served = options.accounts && serveAccounts(options.accounts, { ...operations, peerOf, memory })
  const authenticator = createAuthenticator({
    ...options.authentication,
    localIssuer: options.issuer,
    apiKeys: served?.options.apiKeys,
    checkFreshness: served && createFreshnessCheck(served.options),
    watch: operations.watch,
  })
  operations.collect(authenticator)
  const pictures = createPictureDecoders({
    processesMax: options.mediaProcessesMax,
    lost: watchLost(['vestal_media_processes_lost_total', 'decodes pictures'], operations.registry, options.operations?.logger),
  })
  const bodies = createBodyThreads({
    lost: (reason) => options.operations?.logger?.warn('a thread that reads large bodies ended', { reason }),
  })
  options.ownKeys?.subscribe((keys) => authenticator.replaceKeys(keys))
  options.reloading?.subscribe(async (next) => {
    const around = operations.prepare(next.operations)
    return joinChanges([await authenticator.prepareRules(next.rules), around])
  })
  reportLostTokenizers(
    watchLost(['vestal_tokenizer_processes_lost_total', 'encodes texts'], operations.registry, options.operations?.logger),
  )
  const failed = (error: VestalError, request: Request) => {
    const record = operations.failed(error, request)
    if (record !== undefined) served?.failed(error, record)
  }
  const report = options.report ?? operations.report
  return { operations, engine, memory, pictures, bodies, servers, peerOf, served, authenticator, report, failed, answer }
}

/** Counts and logs processes that ended because of what they decode, or encode. */
function watchLost(
  [metric, work]: readonly [metric: string, work: string],
  registry: MetricRegistry,
  logger: Logger | undefined,
): (cause: string) => void {
  const lost = registry.counter(metric, {
    help: `Processes each of which ${work}, that ended unexpectedly, by cause.`,
    labels: ['cause'],
  })
  return (cause) => {
    lost.of(cause).add()
    logger?.warn(`a process that ${work} ended`, { reason: cause })
  }
}

/** Adds the routes that the options ask for. */
function addOptionalRoutes(app: AnyElysia, options: AppOptions, services: ReturnType<typeof createServices>): void {
  const { operations, engine, memory, peerOf, served, authenticator } = services
  const { description = DESCRIPTION, hasHomePage = true } = options
  const { headerPrefix = 'Bearer', cookieKey = 'access_token' } = options.authentication
  const pages = pagesOf(options)
  if (hasHomePage) app.use(home({ ...pages, description, readiness: operations.readiness }))
  const demonstration = options.signIn && { ...options.signIn, peerOf, memory }
  if (pages.hasDocs) {
    // In development mode any caller on this machine may see them; elsewhere names require a token.
    const isNear = (request: Request) => demonstration !== undefined && signOfElsewhere(request, demonstration) === undefined
    const modelNames = (request: Request) => (isNear(request) ? engine.models().map(({ name }) => name) : [])
    const modelsOf = shownModels(engine, authenticator, options.authentication)
    app.use(docs({ title: pages.title, description, headerPrefix, cookieKey, modelNames, modelsOf }))
  }
  if (served !== undefined) {
    app.use(accounts(served.options, { authenticator, demonstration, verify: authenticator.verifyText }))
  } else if (demonstration !== undefined) app.use(signIn(demonstration))
  if (options.reloading === undefined) return
  const { originOf } = served?.options ?? {}
  app.use(reload({ authentication: guard(authenticator), reload: options.reloading.reload, originOf }))
}

/** The models that the holder of a request's credential may read and predict with; undefined for a request without one. */
function shownModels(
  engine: Engine,
  authenticator: Authenticator,
  credentials: CredentialOptions,
): NonNullable<DocsOptions['modelsOf']> {
  const reader = createCredentialReader(credentials)
  return (request) => {
    const isAnonymous =
      reader.header(request) === null && !request.headers.has('x-api-key') && reader.tokenOfCookie(request) === undefined
    if (isAnonymous) return undefined
    return after(authenticator.authenticate(request), (token) => engine.models().filter(mayReadAndPredict(token, engine)))
  }
}

/** What may be published of keys that stay what they are: of those that sign here, and not of those that others sign with. */
function ownKeySet({ keys, secret }: AuthenticationOptions): () => JwkSet {
  const input = keys ?? secret
  const own = input === undefined ? [] : importKeys(input).filter(({ canSign }) => canSign)
  const set = publicKeySet(own)
  return () => set
}

/** The app of `createApp`, for Eden clients: `treaty<App>(…)`. */
export type App = ReturnType<typeof createApp>
