import type { Engine, Model } from '../../src/inference/engine.ts'
import { createRemoteEngine, type RemoteEngine, type RemoteEngineOptions } from '../../src/inference/remote/client.ts'
import type { Link } from '../../src/inference/remote/link.ts'
import { EngineServer, type EngineServerOptions } from '../../src/inference/remote/server.ts'
import { duplicate } from '../../src/platform/c-library.ts'
import { openLink } from '../../src/server/cluster/engine-links.ts'

const LIMITS = { bytesMax: 2 ** 30 }

/** Both ends of a link within one process: each closes what it has. */
export function linkWithin({ hasFiles = true } = {}): { readonly http: Link; readonly engine: Link } {
  const { http, engine } = openLink()
  if (!hasFiles) return { http: { socket: http.socket }, engine: { socket: engine.socket } }
  const own = (descriptor: number | undefined) => (descriptor === undefined ? undefined : duplicate(descriptor))
  return { http, engine: { socket: engine.socket, requests: own(engine.requests), answers: own(engine.answers) } }
}

export interface Served {
  readonly remote: RemoteEngine
  readonly server: EngineServer
  readonly lost: (string | undefined)[]
  readonly warnings: string[]
  /** Joins one more HTTP process to the same server. */
  readonly join: (options?: Partial<RemoteEngineOptions>) => Promise<RemoteEngine>
}

/** An engine that is spoken to through a link, as HTTP processes do. */
export async function serveRemote(
  engine: Engine,
  options: Partial<RemoteEngineOptions> & Partial<EngineServerOptions> & { readonly hasFiles?: boolean } = {},
): Promise<Served> {
  const warnings: string[] = []
  const lost: (string | undefined)[] = []
  const server = new EngineServer({ engine, timeoutMs: 60_000, warn: (message) => void warnings.push(message), ...options })
  const join = async (more: Partial<RemoteEngineOptions> = {}) => {
    const remote = createRemoteEngine({ limits: LIMITS, lost: (reason) => void lost.push(reason), ...options, ...more })
    const link = linkWithin(options)
    server.attach(link.engine)
    remote.attach(link.http)
    await remote.ready
    return remote
  }
  return { remote: await join(), server, lost, warnings, join }
}

/** A model with one version that takes anything. */
export function modelOf(name: string, version = '1'): Model {
  const spec = { name: 'x', datatype: 'FP32', shape: [-1] } as const
  return {
    name,
    description: 'for tests',
    permissions: { predict: `model:${name}:predict`, read: `model:${name}:read`, admin: `model:${name}:admin` },
    labels: new Map([['y', ['one', 'two']]]),
    examples: [{ input: [[1]] }],
    versions: [{ version, state: 'ready', inputs: [spec], outputs: [{ ...spec, name: 'y' }] }],
  }
}

/** An engine that a test gives its behaviour. */
export function handEngine(own: Partial<Engine> = {}): Engine {
  const models = [modelOf('echo')]
  return {
    models: () => models,
    model: (name) => models.find((model) => model.name === name),
    permission: (name, action) => `model:${name}:${action}`,
    troubles: () => [],
    isReady: () => true,
    infer: async (_model, _version, inputs) => new Map(inputs),
    statistics: () => [],
    load: async () => undefined,
    unload: async () => [],
    index: () => [],
    configuration: (name) => ({ name }),
    limit: () => undefined,
    stop: async () => undefined,
    ...own,
  }
}
