import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { Pooling } from '../../../src/tasks/task.ts'
import { classify } from '../../../src/tasks/text/classify.ts'
import { embedSparse } from '../../../src/tasks/text/embed.ts'
import { fillMask } from '../../../src/tasks/text/fill-mask.ts'
import { normalize, pool } from '../../../src/tasks/text/pooling.ts'
import { type Aggregation, classifyTokens } from '../../../src/tasks/text/token-classes.ts'
import { decode, tokenize } from '../../../src/tasks/text/tokenize.ts'
import { encode } from '../../../src/tasks/text/tokenizer-pool.ts'
import type { Encoded, EncodedText } from '../../../src/tasks/text/tokens.ts'
import { zeroShot } from '../../../src/tasks/text/zero-shot.ts'
import { callOf, textInput } from '../../support/text-models.ts'

/** What Python computed: test/models/text/make.py. */
const FOLDER = join(import.meta.dir, '../../models/text')
const read = (name: string) => Bun.file(join(FOLDER, `${name}.json`)).json()
const [TEXTS, EXPECTED] = await Promise.all([read('texts'), read('expected')])
const inputOf = (name: string) => textInput(join(FOLDER, `${name}.json`))

function windowsOf(text: EncodedText | undefined): readonly Encoded[] {
  if (text === undefined || 'tooLong' in text) throw new Error('a text was not encoded')
  return text.windows
}

for (const name of ['bert', 'roberta', 'unigram']) {
  describe(`the tokenizer ${name}`, async () => {
    const { tokenizer: file } = await inputOf(name)
    const expected = EXPECTED[name]
    const all = { file, tokensMax: 2 ** 31, cut: 'right' } as const

    test('gives the ids and the offsets of Rust’s library, in UTF-16 units, whatever the file says of truncation and padding', async () => {
      const encoded = await encode({ ...all, texts: TEXTS, hasDetails: true })
      for (const [index, text] of encoded.entries()) {
        const [{ ids, details } = { ids: [] }] = windowsOf(text)
        const offsets = details?.starts.map((start, token) => [start, details.ends[token]])
        expect({ text: TEXTS[index], ids, offsets }).toEqual({
          text: TEXTS[index],
          ids: expected.texts[index].ids,
          offsets: expected.texts[index].offsets,
        })
      }
    })

    test('cuts texts and pairs at either side as the library does, and one side only where that is asked for', async () => {
      const cases: readonly (readonly [unknown, readonly (string | readonly [string, string])[], 'left' | 'right', boolean])[] = [
        [expected.cut.left, TEXTS, 'left', false],
        [expected.cut.right, TEXTS, 'right', false],
        [expected.pairs.left, EXPECTED.pairs, 'left', false],
        [expected.pairs.right, EXPECTED.pairs, 'right', false],
        [
          expected.first.map(([, , ...rest]: readonly unknown[]) => rest),
          expected.first.map(([one, two]: readonly string[]) => [one, two]),
          'right',
          true,
        ],
      ]
      for (const [truth, texts, cut, cutsFirst] of cases) {
        const encoded = await encode({ file, texts, tokensMax: 12, cut, cutsFirst })
        expect(encoded.map((text) => windowsOf(text).flatMap(({ ids, types }) => [ids, types]))).toEqual(
          truth as (readonly number[])[][],
        )
      }
    })

    test('makes no more windows than whoever asks takes', async () => {
      const asked = { file, texts: ['. '.repeat(2000)], tokensMax: 12, cut: 'right', stride: 9, windowTokensMax: 48 } as const
      expect(windowsOf((await encode(asked))[0]).map(({ ids }) => ids.length)).toEqual([12, 12, 12, 12, 12])
    })

    test('cuts long texts into windows that overlap', async () => {
      const encoded = await encode({ file, texts: TEXTS, tokensMax: 12, cut: 'right', stride: 3 })
      expect(encoded.map((text) => windowsOf(text).map(({ ids }) => ids))).toEqual(expected.windows)
    })

    test('says how long a text is that must not be cut', async () => {
      const encoded = await encode({ file, texts: ['a', 'word '.repeat(50)], tokensMax: 12, cut: 'none' })
      const [whole] = await encode({ ...all, texts: ['word '.repeat(50)] })
      expect(encoded[0]).toHaveProperty('windows')
      expect(encoded[1]).toEqual({ tooLong: windowsOf(whole)[0]?.ids.length ?? 0 })
    })

    test('tells of places and parts of tokens only whoever asks', async () => {
      const [window] = windowsOf((await encode({ ...all, texts: ['a'] }))[0])
      expect(Object.keys(window ?? {})).toEqual(['ids', 'types'])
    })

    test('makes texts of ids again', async () => {
      const task = { task: 'embedding', sources: {}, text: await inputOf(name) } as const
      const ids = expected.texts.map((text: { readonly ids: readonly number[] }) => text.ids)
      const texts = await decode({ task }, ids)
      expect(texts).toEqual(expected.texts.map((text: { readonly decoded: string }) => text.decoded))
    })
  })
}

test('tokens of a text come with their part of it and their place, also behind emoji', async () => {
  const task = { task: 'embedding', sources: {}, text: await inputOf('bert') } as const
  const [tokens] = await tokenize({ task }, ['😀 Ada'])
  expect(tokens?.map(({ text, isSpecial, start, end }) => [text, isSpecial, start, end])).toEqual([
    ['[CLS]', true, undefined, undefined],
    ['😀', false, 0, 2],
    ['Ada', false, 3, 6],
    ['[SEP]', true, undefined, undefined],
  ])
  expect((await tokenize({ task }, ['😀 Ada'], { addSpecialTokens: false }))[0]?.length).toBe(2)
  expect(tokenize({ task }, ['a'.repeat(300_000)])).rejects.toMatchObject({ code: 'INPUTS_TOO_MANY' })
  expect(decode({ task }, [[1.5]])).rejects.toMatchObject({ code: 'INPUT_INVALID' })
})

describe('entities', () => {
  for (const name of ['bert', 'roberta']) {
    for (const { text, strategy, entities } of EXPECTED.entities[name]) {
      test(`of ${JSON.stringify(text)} by ${name} with the strategy ${strategy} are those of transformers`, async () => {
        const { labels, table } = EXPECTED.entities
        const call = callOf(
          {
            task: 'tokens',
            sources: {},
            text: { ...(await inputOf(name)), tokensMax: 128 },
            scores: { output: 'logits', labels, activation: 'softmax' },
          },
          { output: 'logits', ofToken: (id) => table[id] },
        )
        const { entities: found } = await classifyTokens(call, [text], { aggregation: strategy as Aggregation })
        expect(found[0]?.map(({ label, score, start, end }) => ({ label, score: expect.closeTo(score, 5), start, end }))).toEqual(
          entities,
        )
        for (const { word, start, end } of strategy === 'none' ? [] : (found[0] ?? [])) expect(word).toBe(text.slice(start, end))
      })
    }
  }

  test('of a text that is longer than the model are found by windows, and each once', async () => {
    const { labels, table } = EXPECTED.entities
    const call = callOf(
      { task: 'tokens', sources: {}, text: await inputOf('bert'), scores: { output: 'logits', labels, activation: 'softmax' } },
      { output: 'logits', ofToken: (id) => table[id] },
    )
    const text = 'Ada Lovelace 😀 lives in New York and Paris. '.repeat(3)
    const whole = { ...call, task: { ...call.task, text: { ...(await inputOf('bert')), tokensMax: 512 } } }
    const { entities } = await classifyTokens(call, [text], { aggregation: 'simple', stride: 4 })
    const { entities: once } = await classifyTokens(whole, [text], { aggregation: 'simple' })
    const placesOf = (found: typeof entities) => new Set(found[0]?.map(({ start }) => start))
    expect([...placesOf(entities)].at(-1)).toBe([...placesOf(once)].at(-1))
    const sorted = [...(entities[0] ?? [])]
    for (const [index, entity] of sorted.entries()) expect(entity.start).toBeGreaterThanOrEqual(sorted[index - 1]?.end ?? 0)
    expect(classifyTokens(call, [text], { stride: 4 })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  })
})

describe('pooling', () => {
  const { tokens, poolings, prompt } = EXPECTED.pooling
  const vectors = { data: Float32Array.from(tokens.flat()), tokens: 5, size: 4 }
  const close = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 6))

  test('is that of sentence-transformers, with and without a prompt', () => {
    for (const kind of Object.keys(poolings) as Pooling[]) {
      expect([kind, ...pool({ ...vectors, begin: 0 }, [kind])]).toEqual([kind, ...close(poolings[kind])])
      expect([kind, ...pool({ ...vectors, begin: 2 }, [kind])]).toEqual([kind, ...close(prompt[kind])])
    }
  })

  test('of several kinds puts them one behind the other', () => {
    expect([...pool({ ...vectors, begin: 0 }, ['cls', 'mean'])]).toEqual(close([...poolings.cls, ...poolings.mean]))
  })

  test('is followed by length 1 where that is asked for, and a vector of zeros stays', () => {
    expect(Math.hypot(...normalize(Float32Array.of(3, 4)))).toBeCloseTo(1, 6)
    expect([...normalize(new Float32Array(2))]).toEqual([0, 0])
  })
})

test('labels without training have the scores of transformers, together and each by itself', async () => {
  for (const { logits, entailment, multi, scores } of EXPECTED.zeroShot) {
    const names = logits.map((_: unknown, index: number) => `label ${index}`)
    let row = 0
    const labels = ['a', 'b', 'c'].with(entailment, 'ENTAILMENT')
    const call = callOf(
      {
        task: 'zero-shot',
        sources: {},
        text: { ...(await inputOf('bert')), tokensMax: 64 },
        scores: { output: 'logits', labels, activation: 'softmax' },
      },
      { output: 'logits', ofText: () => logits[row++] },
    )
    // The texts have equal lengths, so their order is that of the labels.
    const found = await zeroShot(call, 'I love this film', { labels: names, isMultiLabel: multi })
    const byName = new Map(found.map(({ label, score }) => [label, score]))
    expect(names.map((name: string) => byName.get(name))).toEqual(scores.map((score: number) => expect.closeTo(score, 5)))
    expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).sort((a, b) => b - a))
  }
})

test('a sparse vector has the words whose greatest score is positive, as the logarithm of 1 + it', async () => {
  const call = callOf(
    { task: 'fill', sources: {}, text: await inputOf('bert'), scores: { output: 'logits', labels: [], activation: 'softmax' } },
    { output: 'logits', ofToken: (id) => [-1, id === 2 ? 3 : -1, id === 3 ? 1 : 0.5, 0] },
  )
  const { entries } = await embedSparse(call, ['hello'])
  expect(entries).toEqual([
    [
      { index: 1, value: Math.log1p(3) },
      { index: 2, value: Math.log1p(1) },
    ],
  ])
})

test('a mask is filled with the likeliest tokens, and a text without one is rejected', async () => {
  const text = await inputOf('bert')
  const [good, bad] = await Promise.all(
    ['a', 'b'].map(
      async (word) =>
        (await encode({ file: text.tokenizer, texts: [word], tokensMax: 9, cut: 'right', hasSpecial: false })).flatMap(
          windowsOf,
        )[0]?.ids[0] ?? 0,
    ),
  )
  const scores = Array.from({ length: 100 }, () => 0)
  scores[good ?? 0] = 5
  scores[bad ?? 0] = 4
  const call = callOf(
    { task: 'fill', sources: {}, text, scores: { output: 'logits', labels: [], activation: 'softmax' } },
    { output: 'logits', ofToken: () => scores },
  )
  const { fillings } = await fillMask(call, ['it is [MASK].', '[MASK] [MASK]'], { topK: 2 })
  const sum = Math.exp(5) + Math.exp(4) + 98
  expect(fillings[0]).toEqual([
    [
      { score: expect.closeTo(Math.exp(5) / sum, 6), token: good ?? 0, tokenText: 'a', sequence: 'it is a.' },
      { score: expect.closeTo(Math.exp(4) / sum, 6), token: bad ?? 0, tokenText: 'b', sequence: 'it is b.' },
    ],
  ])
  expect(fillings[1]?.length).toBe(2)
  expect(fillMask(call, ['nothing'])).rejects.toMatchObject({ code: 'INPUT_INVALID', detail: 'Text 0 has no [MASK] to fill' })
})

test('labels of many texts are held before they are made', async () => {
  const held: number[] = []
  const call = callOf(
    {
      task: 'classify',
      sources: {},
      text: await inputOf('bert'),
      scores: { output: 'logits', labels: ['a', 'b', 'c'], activation: 'none' },
    },
    { output: 'logits', ofText: () => [1, 2, 3] },
  )
  await classify({ ...call, hold: (bytes) => void held.push(bytes) }, ['x', 'y'])
  expect(held.at(-1)).toBe(2 * 3 * 128)
})
