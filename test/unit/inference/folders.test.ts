import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../../src/inference/create-engine.ts'
import type { ModelVersion } from '../../../src/inference/engine.ts'
import { type FolderFiles, scoreFolder, sentenceFolder, writeFolder } from '../../support/text-folders.ts'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

/** The versions of a model with these files, by number. */
async function served(files: FolderFiles): Promise<Readonly<Record<string, ModelVersion>>> {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-folders-'))
  folders.push(folder)
  await writeFolder(join(folder, 'm'), files)
  await using engine = await createEngine({ modelsDirectory: folder, warn: () => undefined })
  return Object.fromEntries((engine.model('m')?.versions ?? []).map((version) => [version.version, version]))
}

async function task(files: FolderFiles) {
  const { '1': version } = await served(files)
  return version?.task ?? version?.reason
}

describe('a folder of sentence-transformers', () => {
  test('is an embedding, as its files say', async () => {
    const { '1': version } = await served(sentenceFolder())
    expect(version?.batching?.runs).toBe('shared')
    expect(version?.task).toMatchObject({
      task: 'embedding',
      text: { tokensMax: 32, padId: 0, isStripped: true, inputs: { ids: 'input_ids', mask: 'attention_mask' } },
      vector: { output: 'last_hidden_state', form: 'tokens', pooling: ['mean'], isNormalized: true, dimensions: 4 },
      sources: { task: 'modules.json', tokensMax: 'sentence_bert_config.json max_seq_length', pooling: '1_Pooling/config.json' },
    })
  })
})

describe('a folder of Hugging Face', () => {
  test('is a classifier, with the labels in the order of their numbers', async () => {
    const labels = Array.from({ length: 11 }, (_, index) => `class ${index}`)
    expect(await task(scoreFolder('BertForSequenceClassification', labels))).toMatchObject({
      task: 'classify',
      text: { tokensMax: 16, truncationSide: 'left' },
      scores: { output: 'logits', labels, activation: 'softmax' },
    })
  })

  test('with a tokenizer that is none is unavailable, and says so', async () => {
    const files = sentenceFolder({ 'tokenizer.json': '{"version": 1}' })
    expect(await task(files)).toMatch(/^its tokenizer\.json cannot be used: /)
  })
})
