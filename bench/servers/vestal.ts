import { join } from 'node:path'
import { createApp, createEngine } from '../../src/index.ts'
import { INFORMATION, SECRET } from './plan.ts'

const engine = await createEngine({ modelsDirectory: join(import.meta.dir, '../../models') })
const { title, description } = INFORMATION
const app = createApp({ engine, authentication: { secret: SECRET }, title, description })
app.listen({ port: 0, hostname: '127.0.0.1' })
console.log(app.server?.port)
