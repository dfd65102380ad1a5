import type { TrustedIssuer } from '../auth/trusted-issuer.ts'
import { SettingsError } from '../config/load.ts'
import type { Mode } from '../config/mode.ts'
import type { Settings } from '../config/settings.ts'
import { isLoopback } from '../core/loopback.ts'
import { VERSION } from '../core/version.ts'
import { createEngine, type EngineOptions } from '../engine/create-engine.ts'
import type { Engine } from '../engine/engine.ts'
import { createApp } from '../http/app.ts'
import { PRIVATE_INFO_PERMISSION } from '../http/info.ts'
import { KeyError } from '../jwt/key-error.ts'
import { warnOfFallback } from '../jwt/signature-engines.ts'
import { MetricRegistry } from '../metrics/registry.ts'
import { accountsOf, type ServedAccounts } from './accounts.ts'
import { authenticationOf } from './authentication.ts'
import { describeEngines } from './engines.ts'
import { loadIssuers } from './issuers.ts'
import { createLiveKeys, type LiveKeys } from './live-keys.ts'
import { createKeyLoader } from './load-keys.ts'
import { listenForMetrics } from './metrics-listener.ts'
import { collectProcess } from './process-metrics.ts'
import { sign } from './token.ts'

/** `vestal start`: serves until it is told to stop. */
export async function start(settings: Settings, mode: Mode): Promise<void> {
  const issuers = loadIssuers(settings)
  const warn = (message: string) => console.error(`warning: ${message}`)
  const keys = createLiveKeys(createKeyLoader(settings, mode), { warn, say: (message) => console.log(message) })
  const loaded = keys.current()
  for (const warning of loaded.warnings) warn(warning)
  if (settings.engine === 'native') warnOfFallback()
  // Before the models: a database that cannot be used ends the start with nothing to stop.
  const accounts = await accountsOf(settings, { mode, signing: () => keys.current().signing, warn })
  const engine = await createEngine({
    modelsDirectory: settings.models,
    files: settings.model,
    modelControl: settings.modelControl,
    pollMs: settings.modelPollSeconds * 1000,
    ...(!settings.loadModel.includes('*') && { loadAtStart: new Set(settings.loadModel.filter((name) => name !== 'none')) }),
    mayOverride: settings.modelOverride === 'on',
    ...engineSettings(settings),
    warn,
  })
  const registry = new MetricRegistry()
  collectProcess(registry)
  const parts = { mode, keys, issuers, engine, ...(accounts && { accounts }) }
  const server = listen(await buildOrStop(settings, { ...parts, registry }), settings)
  if (server === undefined) return void (await stopParts(parts))
  if (settings.metricsPort !== undefined) {
    const { url } = listenForMetrics(registry, settings.metricsPort)
    console.log(`Metrics are at ${url}metrics`)
  }
  stopOnSignal(server, parts, settings.shutdownSeconds)
  announce(`http://${server.hostname}:${server.port}`, parts, describeEngines(settings.engine))
}

/** Keys that cannot be used together are found out here, when the engine runs already. */
async function buildOrStop(settings: Settings, parts: BuildParts) {
  try {
    return build(settings, parts)
  } catch (error) {
    await stopParts(parts)
    throw error instanceof KeyError ? new SettingsError([`the keys cannot be used: ${error.message}`]) : error
  }
}

function engineSettings(settings: Settings): EngineOptions {
  const { instances, threads } = settings
  return {
    ...(instances !== undefined && { instances }),
    ...(threads !== undefined && { threads }),
    queueMax: settings.queueMax,
    requestsMax: settings.requestsMax,
    subjectRequestsMax: settings.subjectRequestsMax,
    inputBytesMax: settings.inputBytesMax,
    timeoutMs: settings.requestTimeoutSeconds * 1000,
    runMsMax: settings.runSecondsMax * 1000,
    cacheBytesMax: settings.responseCacheBytesMax,
  }
}

interface Parts {
  readonly mode: Mode
  readonly keys: LiveKeys
  readonly issuers: readonly TrustedIssuer[]
  readonly engine: Engine
  readonly accounts?: ServedAccounts
}

async function stopParts({ engine, accounts }: Parts): Promise<void> {
  await engine.stop()
  await accounts?.stop()
}

interface BuildParts extends Parts {
  readonly registry: MetricRegistry
}

function build(settings: Settings, { mode, keys, issuers, engine, accounts, registry }: BuildParts) {
  const { keys: current, signing } = keys.current()
  const hasSignIn = mode === 'development' && signing !== undefined
  return createApp({
    engine,
    authentication: { ...authenticationOf(settings, { keys: current, issuers }), ...accounts?.authentication },
    ...(accounts && { accounts: accounts.options }),
    ownKeys: keys,
    // Where the keys are another issuer's, so is the name.
    ...(settings.issuer !== undefined && signing !== undefined && { issuer: settings.issuer }),
    title: settings.title,
    description: settings.description,
    bodyBytesMax: settings.bodyBytesMax,
    operations: { registry },
    ...(hasSignIn && {
      signIn: {
        issue: (subject: string) => {
          const claims = { sub: subject, data: { permissions: [PRIVATE_INFO_PERMISSION] } }
          // The key that signs now: it may be another than at the start.
          return sign(claims, keys.current().signing ?? signing, { settings, lifetimeSeconds: settings.accessTokenSeconds })
        },
        isLoopbackHost: isLoopback,
      },
    }),
  })
}

type Server = NonNullable<ReturnType<typeof createApp>['server']>

function listen(app: ReturnType<typeof createApp>, { host, port }: Settings): Server | undefined {
  try {
    app.listen({ hostname: host, port })
    return app.server ?? undefined
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    console.error(
      isTaken ? `port ${port} on ${host} is taken; --port takes another` : `cannot listen on ${host}:${port}: ${String(error)}`,
    )
    process.exitCode = 1
    return undefined
  }
}

/** Refuses new work, lets the work at hand finish, and ends with 0; what takes too long is cut off, and the code is then 1. */
function stopOnSignal(server: Server, { engine, accounts }: Parts, shutdownSeconds: number): void {
  let isStopping = false
  const stop = async () => {
    if (isStopping) process.exit(1)
    isStopping = true
    const deadline = setTimeout(() => {
      console.error(`stopped after ${shutdownSeconds} s with requests still at hand`)
      process.exit(1)
    }, shutdownSeconds * 1000)
    console.log('stopping: requests at hand are finished, new ones are refused')
    // The engine first: it gives up its last answers, and the server then sends them.
    const closed = server.stop()
    await engine.stop()
    server.closeIdleConnections()
    await closed
    await accounts?.stop()
    clearTimeout(deadline)
    process.exit(0)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

function announce(base: string, { mode, keys, issuers, engine, accounts }: Parts, engines: string): void {
  const models = engine.models().map(({ name, versions }) => {
    const ready = versions.filter(({ state }) => state === 'ready').map(({ version }) => version)
    return ready.length > 0 ? `${name} (version ${ready.join(', ')})` : `${name} (unavailable: ${versions[0]?.reason ?? ''})`
  })
  console.log(`Vestal ${VERSION} listens on ${base}, documentation at ${base}/docs/
Mode:   ${mode}
Tokens: ${[keys.current().description, ...issuers.map(({ name }) => `the issuer ${name}`)].join(', ')}
Checks: ${engines}
Models: ${models.length === 0 ? 'none' : models.join(', ')}${accounts?.announcement ?? ''}`)
  if (mode !== 'development' || keys.current().signing === undefined) return
  console.error(`
  WARNING: development mode. POST ${base}/auth/ gives anybody on this machine a token, and no password is checked,
  until the first account is made with \`bun run users add\`.
  For a real service set NODE_ENV=production and VESTAL_SECRET.
`)
  console.log(`Try:
  curl ${base}/public/info/
  TOKEN=$(bun run --silent token --subject me --permission 'model:*:predict')
  curl ${base}/models/iris/predict/ -H "Authorization: Bearer $TOKEN" -d '{"input": [[5.1, 3.5, 1.4, 0.2]]}'`)
}
