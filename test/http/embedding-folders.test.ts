import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answerOf, DOORS } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { type ModelFiles, SIZE, sentenceFolder, TOKENS, writeFolder } from '../support/text-folders.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-embedding-'))

type Vector = readonly number[]

/** The vector that the model of the folder gives a token. */
const vectorOf = (token: string): Vector => {
  const id = TOKENS.indexOf(token as (typeof TOKENS)[number])
  return [id / 10, (id * id) / 10, 0.1, -id / 10]
}
const tokensOf = (text: string) => ['[CLS]', ...text.split(' ').filter((word) => word !== ''), '[SEP]']
const sum = (vectors: readonly Vector[], weightOf: (index: number) => number) =>
  Array.from({ length: SIZE }, (_, place) =>
    vectors.reduce((total, vector, index) => total + (vector[place] ?? 0) * weightOf(index), 0),
  )
const range = (length: number) => Array.from({ length }, (_, index) => index)

/** sentence-transformers' formulas, for tokens without padding of which the first ones may not count. */
const POOLINGS: Readonly<Record<string, (vectors: readonly Vector[], begin: number) => Vector>> = {
  pooling_mode_cls_token: (vectors) => vectors[0] ?? [],
  pooling_mode_max_tokens: (vectors, begin) =>
    range(SIZE).map((place) => Math.max(...vectors.slice(begin).map((vector) => vector[place] ?? 0))),
  pooling_mode_mean_tokens: (vectors, begin) => sum(vectors, (index) => (index < begin ? 0 : 1 / (vectors.length - begin))),
  pooling_mode_mean_sqrt_len_tokens: (vectors, begin) =>
    sum(vectors, (index) => (index < begin ? 0 : 1 / Math.sqrt(vectors.length - begin))),
  pooling_mode_weightedmean_tokens: (vectors, begin) => {
    const weights = vectors.map((_, index) => (index < begin ? 0 : index + 1))
    return sum(vectors, (index) => (weights[index] ?? 0) / weights.reduce((total, weight) => total + weight, 0))
  },
  pooling_mode_lasttoken: (vectors) => vectors.at(-1) ?? [],
}

const modules = (...names: readonly string[]) =>
  names.map((name, idx) => ({
    idx,
    name: `${idx}`,
    path: idx === 0 ? '' : `${idx}_${name}`,
    type: `sentence_transformers.models.${name}`,
  }))
const pooled = (modes: readonly string[], more: ModelFiles = {}, config: object = {}) =>
  sentenceFolder({
    'modules.json': modules('Transformer', 'Pooling'),
    '1_Pooling/config.json': {
      word_embedding_dimension: SIZE,
      ...Object.fromEntries(modes.map((mode) => [mode, true])),
      ...config,
    },
    ...more,
  })
const side = (padding: 'left' | 'right') => ({ 'tokenizer_config.json': { padding_side: padding, truncation_side: 'right' } })
const nameOf = (mode: string, padding: string) => `${mode.replaceAll('_', '-')}-${padding}`

const weights = range(SIZE * 2).map((index) => (index - 3) / 10)
const bias = [0.25, -0.5]
function denseFile(): Uint8Array {
  const header = Buffer.from(
    JSON.stringify({
      'linear.weight': { dtype: 'F32', shape: [2, SIZE], data_offsets: [0, 32] },
      'linear.bias': { dtype: 'F32', shape: [2], data_offsets: [32, 40] },
    }),
  )
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, header, Buffer.from(Float32Array.from([...weights, ...bias]).buffer)])
}

for (const mode of Object.keys(POOLINGS))
  for (const padding of ['left', 'right'] as const)
    await writeFolder(join(folder, nameOf(mode, padding)), pooled([mode], side(padding)))
await writeFolder(join(folder, 'two'), pooled(['pooling_mode_cls_token', 'pooling_mode_mean_tokens']))
await writeFolder(
  join(folder, 'without-prompt'),
  pooled(
    ['pooling_mode_mean_tokens'],
    {
      'config_sentence_transformers.json': {
        prompts: { query: 'the very ' },
        default_prompt_name: null,
        similarity_fn_name: 'cosine',
      },
    },
    { include_prompt: false },
  ),
)
for (const name of ['dense', 'dense-unread']) {
  const files = pooled(['pooling_mode_mean_tokens'], {
    'modules.json': modules('Transformer', 'Pooling', 'Dense', 'Normalize'),
    '2_Dense/config.json': {
      in_features: SIZE,
      out_features: 2,
      bias: true,
      activation_function: 'torch.nn.modules.activation.Tanh',
    },
    '2_Dense/model.safetensors': denseFile(),
  })
  await writeFolder(join(folder, name), files)
}
for (const paddingMax of [1024, 24])
  await writeFolder(join(folder, `padded-${paddingMax}`), {
    ...pooled(['pooling_mode_mean_tokens']),
    'sentence_bert_config.json': { max_seq_length: 512 },
    'config.json': { model_type: 'bert', architectures: ['BertModel'], max_position_embeddings: 512 },
    'model.toml': `[batching]\npadding_max = ${paddingMax}\n`,
  })
const engine = await bundledEngine(folder)
const door = DOORS[0]?.(createServer(engine)) ?? expect.unreachable()
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

async function embed(name: string, input: unknown, parameters: object = {}): Promise<unknown> {
  const body = JSON.stringify({ input, parameters })
  const { status, body: answer } = await answerOf(
    door.fetch(`/models/${name}/predict/`, { method: 'POST', headers: bearer('*'), body }),
  )
  expect([name, status, answer]).toEqual([name, 200, expect.anything()])
  return (answer as { readonly output: unknown }).output
}
const close = (vector: Vector) => vector.map((value) => expect.closeTo(value, 5))

describe('a folder of sentence-transformers', () => {
  /** Of many lengths, so that runs are padded. */
  const texts = range(24).map((index) =>
    range((index * 5) % 11)
      .map((place) => TOKENS[5 + ((place * 3 + index) % 7)])
      .join(' '),
  )

  for (const mode of Object.keys(POOLINGS)) {
    for (const padding of ['left', 'right'] as const) {
      test(`is pooled as it says: ${mode}, padded on the ${padding}`, async () => {
        const expected = texts.map((text) => close(POOLINGS[mode]?.(tokensOf(text).map(vectorOf), 0) ?? []))
        expect(await embed(nameOf(mode, padding), texts)).toEqual(expected)
      })
    }
  }

  test('computes texts of 5, 9 and 300 tokens in shared runs, as far as padding may be added', async () => {
    const lengths = [5, 300, 9]
    const runsOf = async (name: string) => {
      const { body } = await answerOf(door.fetch(`/v2/models/${name}/stats`, { headers: bearer('*') }))
      return (body as { readonly model_stats: readonly { readonly execution_count: number }[] }).model_stats[0]?.execution_count
    }
    const texts = lengths.map((length) => Array.from({ length: length - 2 }, () => 'good').join(' '))
    for (const [paddingMax, runs] of [
      [1024, 1],
      [24, 2],
    ] as const) {
      const name = `padded-${paddingMax}`
      const before = Number(await runsOf(name))
      expect(await embed(name, texts)).toEqual(
        texts.map((text) => close(POOLINGS.pooling_mode_mean_tokens?.(tokensOf(text).map(vectorOf), 0) ?? [])),
      )
      expect([name, Number(await runsOf(name)) - before]).toEqual([name, runs])
    }
  })

  test('that names two poolings has one vector behind the other', async () => {
    const vectors = tokensOf('good film').map(vectorOf)
    const mean = POOLINGS.pooling_mode_mean_tokens?.(vectors, 0) ?? []
    expect(await embed('two', 'good film')).toEqual(close([...(vectors[0] ?? []), ...mean]))
  })

  test('whose prompt does not count leaves its tokens, and those before them, out of the mean', async () => {
    const vectors = tokensOf('the very good film').map(vectorOf)
    const expected = close(POOLINGS.pooling_mode_mean_tokens?.(vectors, 3) ?? [])
    expect(await embed('without-prompt', 'good film', { prompt_name: 'query' })).toEqual(expected)
    expect(await embed('without-prompt', 'good film', { prompt: 'the very ' })).toEqual(expected)
    expect(await embed('without-prompt', 'the very good film')).toEqual(
      close(POOLINGS.pooling_mode_mean_tokens?.(vectors, 0) ?? []),
    )
  })

  test('with a Dense layer goes through it, is cut, and has length 1 afterwards', async () => {
    const mean = POOLINGS.pooling_mode_mean_tokens?.(tokensOf('good film').map(vectorOf), 0) ?? []
    const whole = range(2).map((row) =>
      Math.tanh((bias[row] ?? 0) + mean.reduce((total, value, place) => total + value * (weights[row * SIZE + place] ?? 0), 0)),
    )
    expect(await embed('dense', 'good film', { normalize: false })).toEqual(close(whole))
    expect(await embed('dense', 'good film')).toEqual(close(whole.map((value) => value / Math.hypot(...whole))))
    expect(await embed('dense', 'good film', { dimensions: 1 })).toEqual(close([Math.sign(whole[0] ?? 0)]))
  })

  test('is answered compressed where that is long, and asked for', async () => {
    const codingFor = async (texts: readonly string[]) => {
      const body = JSON.stringify({ input: texts })
      const headers = { ...bearer('*'), 'accept-encoding': 'gzip' }
      const response = await door.fetch('/models/two/predict/', { method: 'POST', headers, body })
      await response.arrayBuffer()
      return [response.status, response.headers.get('content-encoding')]
    }
    expect(await codingFor(['good film'])).toEqual([200, null])
    expect(await codingFor(Array.from({ length: 1000 }, () => 'good film'))).toEqual([200, 'gzip'])
  })

  test('keeps the layer that was loaded, and is unavailable where another file is in its place before it was read', async () => {
    const body = JSON.stringify({ input: 'good', parameters: { normalize: false } })
    const ask = (name: string) => answerOf(door.fetch(`/models/${name}/predict/`, { method: 'POST', headers: bearer('*'), body }))
    const whole = await ask('dense')
    // The same sizes, and other weights: nothing but the checksum can tell.
    const other = Buffer.from(denseFile())
    other.writeFloatLE(9, other.length - 4)
    for (const name of ['dense', 'dense-unread']) writeFileSync(join(folder, name, '2_Dense/model.safetensors'), other)
    expect(await ask('dense')).toEqual(whole)
    expect(await ask('dense-unread')).toMatchObject({
      status: 503,
      body: { detail: 'The file of a dense layer of the model has changed since the model was loaded; load the model again' },
    })
  })
})
