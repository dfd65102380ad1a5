import { join } from 'node:path'
import { createApp, createEngine } from '../../src/index.ts'
import { SECRET } from './plan.ts'

const [modelsDirectory = join(import.meta.dir, '../../models')] = process.argv.slice(2)
const engine = await createEngine({ modelsDirectory })
const app = createApp({ engine, authentication: { secret: SECRET } })
app.listen({ port: 0, hostname: '127.0.0.1' })
console.log(app.server?.port)
