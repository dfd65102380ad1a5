import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TaskCall } from '../../../src/tasks/call.ts'
import { embedTokens } from '../../../src/tasks/text/embed.ts'
import type { Tensor } from '../../../src/tensor/tensor.ts'
import { bertTokenizer, idOfToken, textInput } from '../../support/text-models.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-tokens-'))
afterAll(() => rmSync(folder, { recursive: true }))
await Bun.write(join(folder, 'tokenizer.json'), bertTokenizer())

test('each token of a text has the vector that the model gives it', async () => {
  const call: TaskCall = {
    task: {
      task: 'embedding',
      sources: {},
      text: await textInput(join(folder, 'tokenizer.json')),
      vector: {
        output: 'h',
        form: 'tokens',
        pooling: ['mean'],
        includesPrompt: true,
        dense: [],
        isNormalized: true,
        dimensions: 1,
        similarity: 'cosine',
      },
    },
    inputs: [],
    infer: async (inputs) => {
      const ids = inputs.get('input_ids') as Tensor
      return new Map([
        ['h', { datatype: 'FP32', shape: [...ids.shape, 1], data: Float32Array.from(ids.data as BigInt64Array, Number) }],
      ])
    },
  }
  const { vectors, tokens } = await embedTokens(call, ['alpha', ''])
  expect(vectors.map((text) => text.map((vector) => [...vector]))).toEqual([
    [[idOfToken('[CLS]')], [idOfToken('alpha')], [idOfToken('[SEP]')]],
    [[idOfToken('[CLS]')], [idOfToken('[SEP]')]],
  ])
  expect(tokens).toEqual([3, 2])
})
