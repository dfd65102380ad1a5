/** An application that uses the library, and asks itself. It prints a line for each answer; `MODELS` names the folder of models. */
import { Elysia, t } from 'elysia'
import { authentication, createApp, createEngine, serveModels, signJwt } from 'vestal'

const secret = 'a secret for tests alone, of 48 bytes and no less'
await using engine = await createEngine({ modelsDirectory: process.env.MODELS ?? 'models', instances: 1 })
const app = new Elysia({ serve: { reusePort: false } })
  .get('/before', () => 'a route that comes before the plugin', { permissions: ['p1'] } as object)
  .use(authentication<'p1' | 'p2'>({ secret }))
  .get('/public', () => 'open')
  .get('/private', ({ token }) => token.payload.sub ?? '', { permissions: ['p1'] })
  .get('/other', () => 'never', { permissions: ['p2'] })
  .post('/body', ({ body }) => body.n * 2, { permissions: ['p1'], body: t.Object({ n: t.Number() }) })
  .ws('/live', { permissions: ['p1'], message: (ws, text) => void ws.send(`${ws.data.token.payload.sub} ${text}`) })
  .use(serveModels({ engine, authentication: { secret } }))
  .listen({ port: 0, hostname: '127.0.0.1' })

const base = `127.0.0.1:${app.server?.port}`
const signed = signJwt({ sub: 'me', exp: 4e9, data: { permissions: ['p1', 'model:iris:predict'] } }, secret)
const headers = { authorization: `Bearer ${signed}`, 'content-type': 'application/json' }
const ROW = '{"input": [[5.1, 3.5, 1.4, 0.2]]}'

async function ask(path: string, init: RequestInit = {}): Promise<void> {
  const answer = await fetch(`http://${base}${path}`, init)
  console.log(path, answer.status, (await answer.text()).slice(0, 48))
}

async function talk(options?: object): Promise<void> {
  // The cast: browsers take no headers here, and a project may have their types.
  const socket = new WebSocket(`ws://${base}/live`, options as never)
  const heard = await new Promise<string>((resolve) => {
    socket.onopen = () => socket.send('hello')
    socket.onmessage = ({ data }) => resolve(String(data))
    socket.onerror = () => resolve('rejected')
  })
  console.log('/live', heard)
  socket.close()
}

await ask('/public')
for (const path of ['/before', '/private', '/other']) {
  await ask(path)
  await ask(path, { headers })
}
await ask('/body', { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } })
await ask('/body', { method: 'POST', body: '{"n": 21}', headers })
await ask('/models/iris/predict/', { method: 'POST', body: ROW })
await ask('/models/iris/predict/', { method: 'POST', body: ROW, headers })
await talk()
await talk({ headers })
await app.stop(true)

const whole = createApp({ engine, authentication: { secret } })
for (const path of ['/v2/health/ready', '/docs/openapi.json', '/models/'])
  console.log(path, (await whole.handle(new Request(`http://localhost${path}`))).status)
