import { afterAll, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../src/index.ts'
import { answerOf } from '../support/doors.ts'
import { REAL_MODELS, realModel } from '../support/real-models.ts'
import { createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const minilm = realModel('minilm')

if (hasTool(REAL_MODELS, minilm)) {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-real-dialects-'))
  cpSync(minilm, join(folder, 'minilm'), { recursive: true })
  const engine = await createEngine({ modelsDirectory: folder, threads: 1, warn: () => undefined })
  const app = createServer(engine)
  afterAll(async () => {
    await engine.stop()
    rmSync(folder, { recursive: true })
  })
  const post = (path: string, body: unknown) =>
    answerOf(
      app.handle(
        new Request(`http://localhost${path}`, {
          method: 'POST',
          headers: bearer('model:*:predict'),
          body: JSON.stringify(body),
        }),
      ),
    )
  const FOOD = 'A man is eating food.'
  const OTHERS = ['A man is eating a piece of bread.', 'The sky is blue today.']
  const COSINES = [expect.closeTo(0.7535, 3), expect.closeTo(-0.0144, 3)]

  test('similarity is that of sentence-transformers', async () => {
    const inputs = { source_sentence: FOOD, sentences: OTHERS }
    expect(await post('/models/minilm/similarity', { inputs })).toEqual({ status: 200, body: COSINES })
    expect(await post('/models/minilm', { inputs })).toEqual({ status: 200, body: COSINES })
  })

  test('the vectors of OpenAI, Cohere and TEI are the same', async () => {
    const { body: tei } = await post('/models/minilm/embed', { inputs: [FOOD] })
    expect(await post('/v1/embeddings', { model: 'minilm', input: FOOD })).toMatchObject({
      body: { data: [{ embedding: (tei as unknown[])[0] }] },
    })
    expect(await post('/v2/embed', { model: 'minilm', texts: [FOOD] })).toMatchObject({ body: { embeddings: { float: tei } } })
  })

  test('300 words count 256 tokens, and are a 422 where the text must not be cut', async () => {
    const long = 'food '.repeat(300)
    expect(await post('/v1/embeddings', { model: 'minilm', input: long })).toMatchObject({
      status: 200,
      body: { usage: { prompt_tokens: 256 } },
    })
    expect(await post('/models/minilm/embed', { inputs: long, truncate: false })).toMatchObject({
      status: 422,
      body: { error_type: 'Validation' },
    })
  })

  test('128 dimensions have length 1; 385 are rejected', async () => {
    const { body } = await post('/v1/embeddings', { model: 'minilm', input: FOOD, dimensions: 128 })
    const [{ embedding }] = (body as { data: [{ embedding: number[] }] }).data
    expect([embedding.length, Math.hypot(...embedding)]).toEqual([128, expect.closeTo(1, 5)])
    expect(await post('/v1/embeddings', { model: 'minilm', input: FOOD, dimensions: 385 })).toMatchObject({
      status: 400,
      body: { error: { param: 'dimensions' } },
    })
  })
}
