/** Vestal with the models of a folder; it prints its port. */
import { createApp, createEngine } from '../../src/index.ts'
import { SECRET } from './plan.ts'

const engine = await createEngine({ modelsDirectory: process.argv[2] ?? '' })
const app = createApp({ engine, authentication: { secret: SECRET } })
app.listen({ port: 0, hostname: '127.0.0.1' })
console.log(app.server?.port)
