import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TaskCall } from '../../../src/tasks/call.ts'
import { embedSparse, embedTokens } from '../../../src/tasks/text/embed.ts'
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

test('an output with numbers for another count of tokens is an error, and no vectors', async () => {
  const text = await textInput(join(folder, 'tokenizer.json'))
  const infer: TaskCall['infer'] = async (inputs) => {
    const [rows = 0, tokens = 0] = (inputs.get('input_ids') as Tensor).shape
    return new Map([['h', { datatype: 'FP32', shape: [rows, tokens - 1, 1], data: new Float32Array(rows * (tokens - 1)) }]])
  }
  const vector = {
    ...({ output: 'h', form: 'tokens', pooling: ['mean'], includesPrompt: true, dense: [] } as const),
    ...({ isNormalized: true, dimensions: 1, similarity: 'cosine' } as const),
  }
  const detail = 'The output "h" has 2 tokens of 3'
  const embedding: TaskCall = { task: { task: 'embedding', sources: {}, text, vector }, inputs: [], infer }
  expect(await embedTokens(embedding, ['alpha']).catch((error) => error)).toMatchObject({ code: 'INFERENCE_FAILED', detail })
  const scores = { output: 'h', labels: [], activation: 'none' } as const
  const fill: TaskCall = { task: { task: 'fill', sources: {}, text, scores }, inputs: [], infer }
  expect(await embedSparse(fill, ['alpha']).catch((error) => error)).toMatchObject({ code: 'INFERENCE_FAILED', detail })
})
