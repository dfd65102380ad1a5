import { afterAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { bundledEngine, createServer } from '../support/server.ts'
import { SECRET } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const python = process.env.VESTAL_TEST_PYTHON

if (hasTool('a Python with tritonclient (VESTAL_TEST_PYTHON)', python)) {
  describe("Python's clients", async () => {
    const engine = await bundledEngine()
    const app = createServer(engine)
    app.listen({ port: 0, hostname: '127.0.0.1' })
    afterAll(async () => {
      await engine.stop()
      await app.stop(true)
    })
    const run = async (script: string, ...args: readonly string[]) => {
      const child = Bun.spawn([python, join(import.meta.dir, script), ...args], { stdout: 'pipe', stderr: 'inherit' })
      const output = await new Response(child.stdout).text()
      expect([script, await child.exited]).toEqual([script, 0])
      return output.trim()
    }

    test('tritonclient gets what it asks for, with a token that PyJWT made', async () => {
      const token = await run('python_token.py', SECRET)
      const seen = JSON.parse(await run('triton_client.py', `127.0.0.1:${app.server?.port}`, token))
      expect(seen).toEqual({
        live: true,
        ready: true,
        model_ready: true,
        server: 'vestal',
        inputs: [{ name: 'X', datatype: 'FP32', shape: [-1, 4] }],
        labels: [0, 2],
        probabilities: [2, 3],
        id: '7',
        reviews: [1, 0],
        simple: [4, 2],
        no_token: ['401', 'Unauthorized'],
        unknown: ['404', "Request for unknown model: 'nothing' is not found"],
        wrong_shape: ['400', "unexpected shape for input 'X' for model 'iris'. Expected [-1,4], got [2,2]."],
      })
    })
  })
}
