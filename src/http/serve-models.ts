import { Elysia } from 'elysia'
import { createAuthenticator } from '../auth/authenticator.ts'
import type { Engine } from '../engine/engine.ts'
import { type AuthenticationOptions, keysOf, verifyOptionsOf } from './authentication.ts'
import { BODY_BYTES_MAX } from './body.ts'
import { models } from './models.ts'
import { openInference } from './open-inference.ts'

export interface ServeModelsOptions {
  readonly engine: Engine
  /** Who may: the same options that `authentication` takes. */
  readonly authentication: AuthenticationOptions
  /** Longest body of a prediction in bytes; default 64 MiB. */
  readonly bodyBytesMax?: number
}

/**
 * An Elysia plugin that serves an engine's models behind their permissions: `/models/…` in rows and `/v2/…` in tensors.
 * @throws KeyError, TypeError when keys or options cannot be used
 */
export function serveModels({ engine, authentication, bodyBytesMax = BODY_BYTES_MAX }: ServeModelsOptions) {
  const authenticator = createAuthenticator(keysOf(authentication), verifyOptionsOf(authentication))
  const options = { engine, authenticator, bodyBytesMax }
  return new Elysia({ name: 'serve-models' }).use(models(options)).use(openInference(options))
}
