import { afterAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { createEngine } from '../../src/index.ts'
import { bundledEngine, createServer, MODELS } from '../support/server.ts'
import { bearer, SECRET } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const python = process.env.VESTAL_TEST_PYTHON

/** Runs a script to its end and gives what it printed. */
async function runWith(interpreter: string, script: string, ...args: readonly string[]): Promise<string> {
  const child = Bun.spawn([interpreter, join(import.meta.dir, script), ...args], { stdout: 'pipe', stderr: 'inherit' })
  const output = await new Response(child.stdout).text()
  expect([script, await child.exited]).toEqual([script, 0])
  return output.trim()
}

if (hasTool('a Python with tritonclient (VESTAL_TEST_PYTHON)', python)) {
  describe("Python's clients", async () => {
    const engine = await createEngine({ modelsDirectory: MODELS, threads: 1, warn: () => undefined, modelControl: 'explicit' })
    const app = createServer(engine)
    app.listen({ port: 0, hostname: '127.0.0.1' })
    afterAll(async () => {
      await engine.stop()
      await app.stop(true)
    })
    const run = (script: string, ...args: readonly string[]) => runWith(python, script, ...args)

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

    test('tritonclient, sync, async and aio, finds what Triton adds to the protocol', async () => {
      const token = await run('python_token.py', SECRET)
      const seen = JSON.parse(await run('triton_extensions.py', `127.0.0.1:${app.server?.port}`, token))
      const flowers = [
        [0, 2],
        [2, 3],
      ]
      const names = ['digits', 'iris', 'reviews', 'simple']
      expect(seen).toEqual({
        forms: Array(6).fill(flowers),
        compressed: Array(9).fill(flowers),
        async: Array(8).fill(flowers),
        mixed: [true, true],
        bytes: [1, 0],
        classes: ['0', '2'],
        parameters: flowers,
        config: 'X',
        statistics: [
          'iris',
          '1',
          true,
          ['cache_hit', 'cache_miss', 'compute_infer', 'compute_input', 'compute_output', 'fail', 'queue', 'success'],
        ],
        all_statistics: names,
        index: Object.fromEntries(names.map((name) => [name, 'READY'])),
        unloaded: [false, true],
        loaded: [true, 'READY'],
        refused: { unknown: '404', stranger: '401', shared_memory: '501', trace: '501', logging: '501' },
        aio: [Array(6).fill(flowers), flowers, names, true, 'iris'],
      })
    })

    test("the client of the protocol's working group, sync and async, reads every answer as what it says it is", async () => {
      const token = await run('python_token.py', SECRET)
      const answer = ['7', 'iris', '1', { label: [2], probabilities: [2, 3] }, [0, 2]]
      const metadata = ['iris', ['1'], 'onnxruntime_onnx', [-1, 4]]
      expect(JSON.parse(await run('open_inference_client.py', `http://127.0.0.1:${app.server?.port}`, token))).toEqual({
        server: 'vestal',
        metadata: [metadata, metadata],
        infer: [answer, answer],
        unknown: ['NotFoundError', 404, "Request for unknown model: 'nothing' is not found"],
        version: ['NotFoundError', 404, "Request for unknown model: 'iris' version 9 is not found"],
        wrong: ['BadRequestError', 400, expect.stringContaining("missing required input(s) ['X']")],
        stranger: ['ApiError', 401, 'Unauthorized'],
        async: answer,
      })
    })
  })
}

const kserve = process.env.VESTAL_TEST_KSERVE_PYTHON

if (hasTool('a Python with KServe (VESTAL_TEST_KSERVE_PYTHON)', kserve)) {
  test("KServe's Python client speaks v2 REST with it, in JSON and in binary", async () => {
    const engine = await bundledEngine()
    const app = createServer(engine)
    app.listen({ port: 0, hostname: '127.0.0.1' })
    const { authorization } = bearer('model:iris:predict', 'model:iris:read')
    const token = authorization.slice('Bearer '.length)
    const seen = JSON.parse(await runWith(kserve, 'kserve_client.py', `http://127.0.0.1:${app.server?.port}`, token))
    await engine.stop()
    await app.stop(true)
    const flowers = [
      [0, 2],
      [2, 3],
    ]
    expect(seen).toEqual({
      live: true,
      ready: true,
      model_ready: true,
      json: flowers,
      binary: flowers,
      refused: "unexpected shape for input 'X' for model 'iris'",
    })
  })
}
