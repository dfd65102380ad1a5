import { afterAll, describe, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { type Engine, VestalError } from '../../src/index.ts'
import { startDialectModels } from '../support/dialect-models.ts'
import { createServer } from '../support/server.ts'
import { tokenWith } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

/** A Python with `test/clients/dialects/requirements.txt`, and a folder where `test/clients/dialects/package.json` is installed. */
const python = process.env.VESTAL_TEST_DIALECT_PYTHON
const packages = process.env.VESTAL_TEST_DIALECT_PACKAGES
const SCRIPTS = join(import.meta.dir, 'dialects')
const GUIDE = join(import.meta.dir, '../../docs/guides/use-existing-clients.md')
const TIMEOUT_MS = 120_000

/** What a client shows of a failure: its own class, and the text of the server in it. */
const told = (name: string, text: string) => [name, expect.stringContaining(text)]
const MODELS = ['areas', 'colours', 'gaps', 'minilm', 'mood', 'names', 'plain', 'ranker', 'secret', 'things', 'topics']
const UNAUTHORIZED = 'Unauthorized'
const FORBIDDEN = 'Insufficient permissions'
const UNKNOWN = "'nothing' is not found"
const BUSY = 'Exceeds maximum queue size'
/** The one box, in pixels of the picture of 20×10; and the one mask, of its size. */
const CAT = ['cat', 5, 2, 15, 7]
const RED = ['red', 20, 10]
const sigmoid = (score: number) => Number((1 / (1 + Math.exp(-score))).toFixed(4))

/** The same models, in a server that has no room. */
function full(engine: Engine): Engine {
  return { ...engine, infer: () => Promise.reject(new VestalError('QUEUE_FULL', { headers: { 'retry-after': '1' } })) }
}

async function start() {
  const { engine, stop } = await startDialectModels({ embedder: 'minilm', ranker: 'ranker', hasPictures: true })
  const apps = [createServer(engine), createServer(full(engine))]
  const [base = '', busy = ''] = apps.map((app) => {
    app.listen({ port: 0, hostname: '127.0.0.1' })
    return `http://127.0.0.1:${app.server?.port}`
  })
  const folder = mkdtempSync(join(tmpdir(), 'vestal-picture-'))
  const picture = join(folder, 'red.png')
  await sharp({ create: { width: 20, height: 10, channels: 3, background: '#f00' } }).toFile(picture)
  afterAll(async () => {
    rmSync(folder, { recursive: true })
    for (const app of apps) await app.stop(true)
    await stop()
  })
  return {
    base,
    env: {
      PATH: process.env.PATH,
      BASE: base,
      BUSY: busy,
      TOKEN: tokenWith(['model:*:predict', 'model:*:read']),
      OTHER: tokenWith(['model:plain:predict', 'model:plain:read']),
      HOME: tmpdir(),
      PICTURE: picture,
    },
  }
}

/** Runs a program to its end and gives what it printed. */
async function run(command: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const child = Bun.spawn([...command], { env, stdout: 'pipe', stderr: 'pipe' })
  const [output, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect([command.at(-1), await child.exited, errors.slice(-2000)]).toEqual([command.at(-1), 0, expect.any(String)])
  return output.trim()
}

/** The blocks of the guide in one language, with the address of a server. */
async function blocksOf(language: string, base: string): Promise<readonly string[]> {
  const text = await Bun.file(GUIDE).text()
  const blocks = [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, block = '']) => block)
  return blocks.map((block) => block.replaceAll('http://127.0.0.1:8000', base))
}

if (hasTool('a Python with the clients of other servers (VESTAL_TEST_DIALECT_PYTHON)', python)) {
  describe("Python's clients of other servers", async () => {
    const { base, env } = await start()
    const seenBy = async (script: string) => JSON.parse(await run([python, join(SCRIPTS, script)], env)) as unknown

    test(
      'openai: floats are base64, and each failure has its class',
      async () => {
        expect(await seenBy('openai_client.py')).toEqual({
          same: true,
          one: true,
          length: 3,
          usage: [6, 6],
          short: 2,
          models: MODELS,
          retrieved: 'minilm',
          some: ['plain'],
          wrong: told('AuthenticationError', UNAUTHORIZED),
          other: told('PermissionDeniedError', FORBIDDEN),
          other_unknown: told('PermissionDeniedError', FORBIDDEN),
          unknown: told('NotFoundError', UNKNOWN),
          task: told('NotFoundError', 'task'),
          busy: told('RateLimitError', BUSY),
          ids: told('BadRequestError', 'token_ids'),
          empty: told('BadRequestError', 'is empty'),
        })
      },
      TIMEOUT_MS,
    )

    test(
      'langchain-openai embeds texts',
      async () => {
        expect(await seenBy('langchain_client.py')).toEqual({
          query: 3,
          documents: [3, 3],
          wrong: told('AuthenticationError', UNAUTHORIZED),
          other: told('PermissionDeniedError', FORBIDDEN),
        })
      },
      TIMEOUT_MS,
    )

    test(
      'cohere embeds in four forms and reranks, and each failure has its class',
      async () => {
        expect(await seenBy('cohere_client.py')).toEqual({
          near: true,
          bits: [
            [[32], [32]],
            [[160], [160]],
          ],
          short: 2,
          tokens: 6,
          ranks: [[1, sigmoid(2)]],
          wrong: told('UnauthorizedError', UNAUTHORIZED),
          other: told('ForbiddenError', FORBIDDEN),
          other_unknown: told('ForbiddenError', FORBIDDEN),
          unknown: told('NotFoundError', UNKNOWN),
          task: told('NotFoundError', 'task'),
          busy: told('TooManyRequestsError', BUSY),
          int8: told('BadRequestError', 'calibration'),
        })
      },
      TIMEOUT_MS,
    )

    test(
      'huggingface_hub does each task of texts and pictures',
      async () => {
        expect(await seenBy('hub_client.py')).toEqual({
          features: [1, 3],
          raw: [3.6667, -1, 1],
          prompt: true,
          similarity: [1, expect.any(Number)],
          classes: [
            ['negative', sigmoid(2)],
            ['positive', sigmoid(-2)],
          ],
          top: [['negative', 2]],
          entities: [
            ['PER', 'ada', 2, 5],
            ['LOC', 'paris', 9, 14],
          ],
          tokens: [
            ['B-PER', 'ada'],
            ['I-PER', '##s'],
          ],
          topics: [
            ['film', sigmoid(1)],
            ['good', sigmoid(-1)],
          ],
          multi: [['film', sigmoid(1)]],
          filled: [['film', 'good film']],
          colours: ['red', 'red'],
          things: [[CAT], [CAT]],
          areas: [[RED], [RED]],
          'no picture': told('BadRequestError', 'is in no format'),
          wrong: told('HfHubHTTPError', UNAUTHORIZED),
          none: told('HfHubHTTPError', UNAUTHORIZED),
          other: told('HfHubHTTPError', FORBIDDEN),
          unknown: told('HfHubHTTPError', UNKNOWN),
          task: told('HfHubHTTPError', 'tensors only'),
          busy: told('HfHubHTTPError', BUSY),
        })
      },
      TIMEOUT_MS,
    )

    test(
      "LlamaIndex's client of TEI embeds, in requests of ten",
      async () => {
        expect(await seenBy('llama_index_client.py')).toEqual({
          text: 3,
          query: 3,
          many: 33,
          none: 'KeyError',
          other: 'KeyError',
        })
      },
      TIMEOUT_MS,
    )

    test(
      "the guide's lines in Python and for curl work as they are",
      async () => {
        const blocks = await blocksOf('python', base)
        expect(blocks.length).toBe(5)
        const printed: string[] = []
        for (const block of blocks) printed.push(await run([python, '-c', block], env))
        expect(printed).toEqual([
          '2 3 16',
          '3',
          '3 0',
          expect.stringMatching(/^\(1, 3\)\n\[[\d.]+\]\n(?:negative|positive)$/),
          '3',
        ])
        const [curl = ''] = await blocksOf('bash', base)
        expect(await run(['bash', '-c', curl], env)).toMatch(/"relevance_score":.*"predictions":\[\[/s)
      },
      TIMEOUT_MS,
    )
  })
}

if (hasTool('a folder with the clients of other servers (VESTAL_TEST_DIALECT_PACKAGES)', packages)) {
  describe("JavaScript's clients of other servers", async () => {
    const { base, env } = await start()
    const folder = mkdtempSync(join(tmpdir(), 'vestal-clients-'))
    cpSync(SCRIPTS, folder, { recursive: true })
    symlinkSync(join(packages, 'node_modules'), join(folder, 'node_modules'))
    afterAll(() => rmSync(folder, { recursive: true }))
    const seenBy = async (script: string) => JSON.parse(await run(['node', join(folder, script)], env)) as unknown

    test(
      'openai: floats are base64, and each failure has its class',
      async () => {
        expect(await seenBy('openai-client.mjs')).toEqual({
          near: true,
          length: 3,
          usage: [6, 6],
          models: MODELS,
          wrong: told('AuthenticationError', UNAUTHORIZED),
          other: told('PermissionDeniedError', FORBIDDEN),
          unknown: told('NotFoundError', UNKNOWN),
          busy: told('RateLimitError', BUSY),
          ids: told('BadRequestError', 'token_ids'),
        })
      },
      TIMEOUT_MS,
    )

    test(
      'cohere-ai embeds and reranks, and each failure has its class',
      async () => {
        expect(await seenBy('cohere-client.mjs')).toEqual({
          length: 3,
          bits: [[160]],
          tokens: expect.any(Number),
          ranks: [1, 0],
          wrong: told('UnauthorizedError', UNAUTHORIZED),
          other: told('ForbiddenError', FORBIDDEN),
          unknown: told('NotFoundError', UNKNOWN),
          busy: told('TooManyRequestsError', BUSY),
        })
      },
      TIMEOUT_MS,
    )

    test(
      '@huggingface/inference does each task of texts and pictures, and stops where the queue is full',
      async () => {
        const shown = (text: string) => told('InferenceClientProviderApiError', text)
        expect(await seenBy('hugging-face-client.mjs')).toEqual({
          features: [3, 3],
          similarity: [1],
          classes: ['negative', 'positive'],
          entities: [
            ['PER', 0, 3],
            ['LOC', 7, 12],
          ],
          topics: ['film', 'good'],
          filled: ['good film'],
          colours: 'red',
          things: [['cat', 15]],
          areas: ['red'],
          wrong: shown(UNAUTHORIZED),
          none: shown(UNAUTHORIZED),
          other: shown(FORBIDDEN),
          unknown: shown(UNKNOWN),
          task: shown('tensors'),
          busy: shown(BUSY),
        })
      },
      TIMEOUT_MS,
    )

    test(
      "the guide's lines in JavaScript work as they are",
      async () => {
        const printed: string[] = []
        for (const [index, block] of (await blocksOf('js', base)).entries()) {
          const path = join(folder, `block-${index}.mjs`)
          writeFileSync(path, block)
          printed.push(await run(['node', path], env))
        }
        expect(printed).toEqual(['2 3 16', '3 0', expect.stringMatching(/^1\n(?:negative|positive)$/)])
      },
      TIMEOUT_MS,
    )
  })
}
