/** What Vestal does, by hand on Bun.serve: node-rs for the token, its own JSON, and the same engine for the model. */
import { join } from 'node:path'
import { verifySync } from '@node-rs/jsonwebtoken'
import { createEngine } from '../../src/index.ts'
import { INFORMATION, PERMISSION, PREDICT, SECRET } from './plan.ts'

const engine = await createEngine({ modelsDirectory: join(import.meta.dir, '../../models') })

function mayUse(request: Request, permission: string): boolean {
  const header = request.headers.get('authorization') ?? ''
  if (!header.startsWith('Bearer ')) return false
  try {
    // The cast: claims come as an object of any shape.
    const claims = verifySync(header.slice(7), SECRET, { validateExp: true }) as unknown as { data?: { permissions?: string[] } }
    return claims.data?.permissions?.includes(permission) === true
  } catch {
    return false
  }
}

const refused = () => Response.json({ status_code: 401, detail: 'Unauthorized', error: null }, { status: 401 })

const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  routes: {
    '/public/info/': () => Response.json(INFORMATION),
    '/private/info/': (request) => (mayUse(request, PERMISSION) ? Response.json({ ...INFORMATION, public: false }) : refused()),
    '/models/iris/predict/': {
      POST: async (request) => {
        if (!mayUse(request, PREDICT)) return refused()
        const { input } = (await request.json()) as { input: number[][] }
        const data = new Float32Array(input.flat())
        const outputs = await engine.infer('iris', '1', new Map([['X', { datatype: 'FP32', shape: [input.length, 4], data }]]))
        const labels = [...((outputs.get('label')?.data ?? []) as BigInt64Array)].map(Number)
        const probabilities = [...((outputs.get('probabilities')?.data ?? []) as Float32Array)]
        return Response.json({
          output: labels.map((label, row) => ({ label, probabilities: probabilities.slice(row * 3, row * 3 + 3) })),
        })
      },
    },
  },
})
console.log(server.port)
