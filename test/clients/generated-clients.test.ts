import { afterAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { noAccounts } from '../support/accounts.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { tokenWith } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

/** Where `.ci/run` installed what `test/clients/generators/package.json` names. */
const folder = process.env.VESTAL_TEST_GENERATORS
const python = process.env.VESTAL_TEST_OPENAPI_PYTHON
const GENERATE_MS = 180_000

interface Generator {
  readonly name: string
  /** Arguments of the generator, given the document and the folder to write to. */
  readonly command: (document: string, to: string) => readonly string[]
  /** A program that predicts with the generated client, given the server's address and a token. */
  readonly program: string
  readonly needsJava?: boolean
}

const ROW = '[[5.1, 3.5, 1.4, 0.2]]'
const INFER = "{ inputs: [{ name: 'X', shape: [1, 4], datatype: 'FP32', data: [5.1, 3.5, 1.4, 0.2] }] }"

const GENERATORS: readonly Generator[] = [
  {
    name: 'openapi-typescript',
    command: (document, to) => ['openapi-typescript', document, '-o', join(to, 'schema.d.ts')],
    program: `
import createClient from 'openapi-fetch'
import type { paths } from './client/schema.js'
const [baseUrl = '', token = ''] = process.argv.slice(2)
const client = createClient<paths>({ baseUrl, headers: { authorization: \`Bearer \${token}\` } })
const params = { path: { name: 'iris' } }
const { data, error } = await client.POST('/models/{name}/predict/', {
  params: { ...params, header: { 'Vestal-Timeout-Ms': 5000 } },
  body: { input: ${ROW} },
})
if (data === undefined) throw new Error(JSON.stringify(error))
const infer = await client.POST('/v2/models/{name}/infer', { params, body: ${INFER} })
const model: string | undefined = infer.data?.model_name
const stream = await client.POST('/models/{name}/stream/', {
  params,
  body: '[5.1, 3.5, 1.4, 0.2]\\n',
  bodySerializer: (body: string) => body,
  headers: { 'content-type': 'application/x-ndjson' },
  parseAs: 'text',
})
const lines: string | undefined = stream.data
console.log(JSON.stringify([data.output, model, JSON.parse(lines ?? '').row]))`,
  },
  {
    name: '@hey-api/openapi-ts',
    command: (document, to) => ['openapi-ts', '-i', document, '-o', to, '-c', '@hey-api/client-fetch'],
    program: `
import { createClient, createConfig } from './client/client/index.js'
import { postModelsByNamePredict, postModelsByNameStream, postV2ModelsByNameInfer } from './client/sdk.gen.js'
const [baseUrl = '', token = ''] = process.argv.slice(2)
const client = createClient(createConfig({ baseUrl, auth: () => token }))
const path = { name: 'iris' }
const { data, error } = await postModelsByNamePredict({ client, path, headers: { 'Vestal-Timeout-Ms': 5000 }, body: { input: ${ROW} } })
if (data === undefined) throw new Error(JSON.stringify(error))
const infer = await postV2ModelsByNameInfer({ client, path, body: ${INFER} })
const model: string | undefined = infer.data?.model_name
const stream = await postModelsByNameStream({
  client,
  path,
  body: '[5.1, 3.5, 1.4, 0.2]\\n',
  bodySerializer: (body: unknown) => body,
  parseAs: 'text',
})
const lines: string | undefined = stream.data
console.log(JSON.stringify([data.output, model, JSON.parse(lines ?? '').row]))`,
  },
  {
    name: 'openapi-generator typescript-fetch',
    command: (document, to) => ['openapi-generator-cli', 'generate', '-i', document, '-g', 'typescript-fetch', '-o', to],
    needsJava: true,
    program: `
import { Configuration, ModelsApi, OpenInferenceProtocolApi } from './client/index.js'
const [basePath = '', accessToken = ''] = process.argv.slice(2)
const configuration = new Configuration({ basePath, accessToken })
const models = new ModelsApi(configuration)
const name = 'iris'
const { output } = await models.postModelsByNamePredict({ name, vestalTimeoutMs: 5000, predictRequest: { input: ${ROW} } })
const infer = await new OpenInferenceProtocolApi(configuration).postV2ModelsByNameInfer({ name, inferRequest: ${INFER} })
const model: string = infer.modelName
const lines = await (await models.postModelsByNameStreamRaw({ name, body: '[5.1, 3.5, 1.4, 0.2]\\n' })).raw.text()
console.log(JSON.stringify([output, model, JSON.parse(lines).row]))`,
  },
]

const PYTHON_PROGRAM = `
import json
import sys
sys.path.insert(0, sys.argv[3])
from client import AuthenticatedClient
from client.api.models import post_models_by_name_predict
from client.models import PredictRequest
with AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2], raise_on_unexpected_status=True) as client:
    body = PredictRequest(input_=[[5.1, 3.5, 1.4, 0.2]])
    answer = post_models_by_name_predict.sync("iris", client=client, body=body, vestal_timeout_ms=5000)
print(json.dumps(answer.output))
`

const COMPILER_OPTIONS = {
  strict: true,
  target: 'ES2022',
  module: 'ESNext',
  moduleResolution: 'Bundler',
  lib: ['ES2022', 'DOM', 'DOM.Iterable'],
  types: ['node'],
  skipLibCheck: false,
  noEmit: true,
}

/** Runs a program to its end and gives what it printed; its other output is shown where it fails. */
async function run(command: readonly string[], cwd: string): Promise<string> {
  // openapi-generator looks for its settings where `PWD` says.
  const child = Bun.spawn([...command], { cwd, env: { ...process.env, PWD: cwd, INIT_CWD: cwd }, stdout: 'pipe', stderr: 'pipe' })
  const [output, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(`${command[0]} failed: ${output}${errors}`)
  return output
}

/** A server, its document in a file, and a token that may predict with one model. */
async function setUp(parent: string) {
  const at = mkdtempSync(join(parent, 'generated-'))
  const engine = await bundledEngine()
  const { accounts, close } = await noAccounts()
  const app = createServer(engine, { accounts })
  app.listen({ port: 0, hostname: '127.0.0.1' })
  const base = `http://127.0.0.1:${app.server?.port}`
  const document = join(at, 'openapi.json')
  writeFileSync(document, await (await fetch(`${base}/docs/openapi.json`)).text())
  return {
    at,
    base,
    document,
    token: tokenWith(['model:iris:predict']),
    stop: async () => {
      await engine.stop()
      await app.stop(true)
      await close()
      rmSync(at, { recursive: true, force: true })
    },
  }
}

const setosa = { label: 'setosa', probabilities: expect.objectContaining({ setosa: expect.any(Number) }) }

if (hasTool('a folder with generators of clients (VESTAL_TEST_GENERATORS)', folder)) {
  describe('a client generated from the OpenAPI document', async () => {
    const server = await setUp(folder)
    afterAll(server.stop)
    for (const { name, command, program, needsJava = false } of GENERATORS) {
      if (needsJava && !hasTool('Java, for openapi-generator', Bun.which('java'))) continue
      test(
        `by ${name} compiles, and predicts with one token`,
        async () => {
          const at = mkdtempSync(join(server.at, 'client-'))
          const client = join(at, 'client')
          mkdirSync(client)
          const [tool = '', ...words] = command(server.document, client)
          // Its settings are in that folder, and so is what it downloads.
          await run([join(folder, 'node_modules/.bin', tool), ...words], folder)
          writeFileSync(join(at, 'program.ts'), program)
          writeFileSync(join(at, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ['**/*.ts'] }))
          await run([join(folder, 'node_modules/.bin/tsc'), '-p', at], at)
          const printed = await run([process.execPath, 'program.ts', server.base, server.token], at)
          expect(JSON.parse(printed)).toEqual([[setosa], 'iris', 0])
        },
        GENERATE_MS,
      )
    }
  })
}

if (hasTool('a folder with openapi-python-client (VESTAL_TEST_OPENAPI_PYTHON)', python)) {
  describe('a client generated from the OpenAPI document', async () => {
    const server = await setUp(tmpdir())
    afterAll(server.stop)
    test(
      'by openapi-python-client predicts with one token',
      async () => {
        const words = ['generate', '--path', server.document, '--output-path', join(server.at, 'client'), '--meta', 'none']
        await run([join(python, 'openapi-python-client'), ...words], server.at)
        const program = join(server.at, 'program.py')
        writeFileSync(program, PYTHON_PROGRAM)
        const printed = await run([join(python, 'python'), program, server.base, server.token, server.at], server.at)
        expect(JSON.parse(printed)).toEqual([setosa])
      },
      GENERATE_MS,
    )
  })
}
