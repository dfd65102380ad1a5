import { afterAll, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../src/index.ts'
import { REAL_MODELS, realModel } from '../support/real-models.ts'
import { hasTool } from '../support/tools.ts'

const minilm = realModel('minilm')

if (hasTool(REAL_MODELS, minilm)) {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-real-folders-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  test('the folder of all-MiniLM-L6-v2 alone is an embedding: 256 tokens, their mean, normalised, 384 numbers', async () => {
    cpSync(minilm, join(folder, 'one/minilm'), { recursive: true })
    writeFileSync(join(folder, 'one/minilm/onnx/model_quantized.onnx'), 'not chosen')
    await using engine = await createEngine({ modelsDirectory: join(folder, 'one'), threads: 1, warn: () => undefined })
    const [version] = engine.model('minilm')?.versions ?? []
    expect(version).toMatchObject({
      version: '1',
      state: 'ready',
      batching: { runs: 'shared' },
      task: {
        task: 'embedding',
        text: { tokensMax: 256, padId: 0, isStripped: true },
        vector: { form: 'tokens', pooling: ['mean'], isNormalized: true, dimensions: 384 },
        sources: { tokensMax: 'sentence_bert_config.json max_seq_length' },
      },
    })
  })

  test('with only a quantised file it is unavailable, and says how to ask for that', async () => {
    cpSync(minilm, join(folder, 'two/minilm'), { recursive: true })
    renameSync(join(folder, 'two/minilm/onnx/model.onnx'), join(folder, 'two/minilm/onnx/model_int8.onnx'))
    const reason = async () => {
      await using engine = await createEngine({ modelsDirectory: join(folder, 'two'), threads: 1, warn: () => undefined })
      return engine.model('minilm')?.versions[0]?.reason
    }
    expect(await reason()).toContain('[huggingface] file = "onnx/model_int8.onnx" would name it')
    writeFileSync(join(folder, 'two/minilm/model.toml'), '[huggingface]\nfile = "onnx/model_int8.onnx"')
    expect(await reason()).toBeUndefined()
  })
}
