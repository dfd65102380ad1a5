/** Vestal as it is started, on a port of the bench's choice. */
import { join } from 'node:path'
import { createApp, createEngine } from '../../src/index.ts'
import { SECRET } from '../servers/plan.ts'

const engine = await createEngine({ modelsDirectory: join(import.meta.dir, '../../models') })
createApp({ engine, authentication: { secret: SECRET } }).listen({ port: Number(process.argv[2]), hostname: '127.0.0.1' })
