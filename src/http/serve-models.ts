import { Elysia } from 'elysia'
import { type AuthenticationOptions, createAuthenticator } from '../auth/authenticator.ts'
import type { Engine } from '../inference/engine.ts'
import type { TaskLimits } from '../tasks/call.ts'
import type { BodyTimes } from './body.ts'
import { control } from './control/control.ts'
import { dialects } from './dialects/dialects.ts'
import { reportToStandardError } from './errors.ts'
import { createBodyThreads } from './predict/body-threads.ts'
import { createPictureDecoders } from './predict/picture-decoders.ts'
import { predictions } from './predict/predict.ts'
import { socket } from './predict/socket.ts'
import { stream } from './predict/stream.ts'
import { RequestMemory } from './request-memory.ts'
import { createServers } from './servers.ts'

/** Which models are served, and to whom. */
export interface ServeModelsOptions {
  readonly engine: Engine
  /** Who may: the same options that `authentication` takes. */
  readonly authentication: AuthenticationOptions
  /** Longest body of a prediction in bytes; default 64 MiB. */
  readonly bodyBytesMax?: number
  /** Longest message of a WebSocket, or of a body where that is less; default 1 MiB. */
  readonly messageBytesMax?: number
  /** How much one request for a task may bring; default 2048 texts of 262 144 tokens in sum. */
  readonly taskLimits?: TaskLimits
  /** Whether clients of OpenAI, Cohere, Jina, Hugging Face, TEI and KServe v1 are answered, also at `/v1/…`; default false. */
  readonly hasDialects?: boolean
  /** Whether those take ids of tokens in the place of texts; default false. */
  readonly mayBeTokenIds?: boolean
  /** How many times its size a compressed body may expand to, where it expands to more than 8 MiB; default 100. */
  readonly expansionRatioMax?: number
  /** How long a body may take to come; default 5 minutes, and 16 KiB a second once 10 seconds are over. */
  readonly bodyTimes?: BodyTimes
  /** Called with our own bugs in a stream that has begun; default writes them to standard error. */
  readonly report?: (error: unknown, request: Request) => void
}

/**
 * An Elysia plugin that serves an engine's models behind their permissions: `/models/…` in rows and `/v2/…` in tensors.
 *
 * @example
 * const engine = await createEngine({ modelsDirectory: 'models' })
 * new Elysia()
 *   .use(serveModels({ engine, authentication: { secret } }))
 *   .onStop(() => engine.stop())
 *   .listen(3000)
 *
 * @throws KeyError, TypeError when keys or options cannot be used
 */
export function serveModels(options: ServeModelsOptions) {
  const { engine, authentication, report = reportToStandardError } = options
  const authenticator = createAuthenticator(authentication)
  const servers = createServers()
  const { bodyBytesMax, bodyTimes, expansionRatioMax, messageBytesMax } = options
  const memory = new RequestMemory({
    ledger: engine.memory,
    bodyBytesMax,
    bodyTimes,
    expansionRatioMax,
    messageBytesMax,
    servers,
  })
  const routes = { engine, authenticator, memory, report }
  const predicting = { ...routes, pictures: createPictureDecoders(), bodies: createBodyThreads(), taskLimits: options.taskLimits }
  const app = new Elysia({ name: 'serve-models' })
    .onStart(({ server }) => {
      if (server !== null) servers.add(server)
    })
    .use(predictions(predicting))
    .use(stream(predicting))
    .use(socket(predicting))
    .use(control(routes))
  if (options.hasDialects === true) {
    const settings = { mayBeIds: options.mayBeTokenIds ?? false }
    app.use(dialects({ ...predicting, settings, noteModel: () => undefined }))
  }
  return app
}
