import { join } from 'node:path'
import { type AppOptions, createApp, createEngine, type Engine, signJwt } from '../../src/index.ts'
import { SECRET } from './tokens.ts'

/** Folder of the bundled models. */
export const MODELS = join(import.meta.dir, '../../models')

/** An engine with the bundled models, or with those of another folder. */
export function bundledEngine(modelsDirectory = MODELS): Promise<Engine> {
  return createEngine({ modelsDirectory, instances: 1, threads: 1, warn: () => undefined })
}

/** The whole server as development mode has it. */
export function createServer(engine: Engine, options: Partial<AppOptions> = {}) {
  return createApp({
    engine,
    authentication: { secret: SECRET },
    issuer: 'https://vestal.example',
    signIn: {
      issue: (sub) => signJwt({ sub, data: { permissions: ['my-permission-name'] } }, SECRET),
      isLoopbackHost: (host) => host === 'localhost' || host === '127.0.0.1',
    },
    ...options,
  })
}
