import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TaskCall } from '../../../src/tasks/call.ts'
import { readTokenizer } from '../../../src/tasks/folder/tokenizer-facts.ts'
import type { TaskDescription, TextInput, VectorOutput } from '../../../src/tasks/task.ts'
import { classify, rerank } from '../../../src/tasks/text/classify.ts'
import { type EmbedOptions, embed, embedTokens } from '../../../src/tasks/text/embed.ts'
import { fillMask } from '../../../src/tasks/text/fill-mask.ts'
import { pool } from '../../../src/tasks/text/pooling.ts'
import { tensorsOf } from '../../../src/tasks/text/rows.ts'
import { type Aggregation, classifyTokens } from '../../../src/tasks/text/token-classes.ts'
import { decode, tokenize } from '../../../src/tasks/text/tokenize.ts'
import { zeroShot } from '../../../src/tasks/text/zero-shot.ts'
import type { Datatype } from '../../../src/tensor/datatypes.ts'
import type { NamedTensors, Tensor } from '../../../src/tensor/tensor.ts'
import { bertTokenizer, callOf, idOfToken, textInput, VOCABULARY } from '../../support/text-models.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-limits-'))
afterAll(() => rmSync(folder, { recursive: true }))
const [path, exact, maskless] = ['tokenizer', 'exact', 'maskless'].map((name) => join(folder, `${name}.json`))
await Bun.write(path ?? '', bertTokenizer())
// What is no character stays a token.
await Bun.write(exact ?? '', bertTokenizer().replace('"clean_text":true', '"clean_text":false'))
await Bun.write(maskless ?? '', bertTokenizer().replaceAll('[MASK]', '[GAP]'))
const text = await textInput(path ?? '')

const [CLS, SEP, UNK, ALPHA, BETA] = ['[CLS]', '[SEP]', '[UNK]', 'alpha', 'beta'].map(idOfToken) as [
  number,
  number,
  number,
  number,
  number,
]
const VECTOR: VectorOutput = {
  output: 'h',
  form: 'tokens',
  pooling: ['mean'],
  includesPrompt: true,
  dense: [],
  isNormalized: false,
  dimensions: 2,
  similarity: 'cosine',
}
const embedding = (input: Partial<TextInput> = {}, vector: Partial<VectorOutput> = {}): TaskDescription => ({
  task: 'embedding',
  sources: {},
  text: { ...text, ...input },
  vector: { ...VECTOR, ...vector },
})
const scored = (task: TaskDescription['task'], labels: readonly string[], input: TextInput = text): TaskDescription => ({
  task,
  sources: {},
  text: input,
  scores: { output: 'h', labels, activation: 'none' },
})
const invalid = (detail: unknown) => ({ code: 'INPUT_INVALID', detail })

/** A call that notes the tensors which the model gets. */
function watched(task: TaskDescription, more: Partial<TaskCall> = {}) {
  const rows: NamedTensors[] = []
  const call = { ...callOf(task, { output: 'h', ofToken: (id) => [id, 1] }), ...more }
  return {
    rows,
    call: {
      ...call,
      infer: (inputs: NamedTensors) => {
        rows.push(inputs)
        return call.infer(inputs)
      },
    },
    /** Ids of each row, in the order of what was computed. */
    ids: () => rows.map((row) => Array.from((row.get('input_ids') as Tensor).data as BigInt64Array, Number)),
  }
}

/** A call whose model gives one output whatever it gets. */
function answering(task: TaskDescription, shape: readonly number[], datatype: Datatype = 'FP32', name = 'h'): TaskCall {
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1))
  return { task, inputs: [], infer: async () => new Map([[name, { datatype, shape, data }]]) }
}

describe('the texts of one request', () => {
  test('may be as many as its limit, and no more, in all its operations together', async () => {
    const { call } = watched(embedding(), { limits: { itemsMax: 3 } })
    expect((await embed(call, ['', '', ''])).vectors).toHaveLength(3)
    expect(embed(call, [''])).rejects.toMatchObject({
      code: 'INPUTS_TOO_MANY',
      detail: 'The request has 4 texts; the most is 3; send them in several requests',
    })
    expect((await embed(watched(embedding(), { limits: { itemsMax: 3 } }).call, [''])).tokens).toEqual([2])
  })

  test('may have as many tokens as its limit, and no more, in all its operations together', async () => {
    const { call } = watched(embedding(), { limits: { tokensMax: 7 } })
    expect((await embed(call, ['alpha', ''])).tokens).toEqual([3, 2])
    expect((await embed(call, [''])).tokens).toEqual([2])
    expect(embed(call, [''])).rejects.toMatchObject({ code: 'INPUTS_TOO_MANY' })
    // The texts that are encoded together first are within the limit.
    const long = Array.from({ length: 65 }, () => '')
    expect(embed(watched(embedding(), { limits: { tokensMax: 129 } }).call, long)).rejects.toMatchObject({
      code: 'INPUTS_TOO_MANY',
      detail: 'The request has more than 129 tokens in sum; the most is that; send the texts in several requests',
    })
    expect((await embed(watched(embedding(), { limits: { tokensMax: 130 } }).call, long)).tokens).toHaveLength(65)
  })

  test('are held by their tokens, and their vectors by their numbers', async () => {
    const held: number[] = []
    const { call } = watched(embedding(), { hold: (bytes) => void held.push(bytes) })
    await embed(call, ['alpha', ''])
    expect(held).toEqual([5 * 48, 2 * 2 * 4])
    held.length = 0
    await embedTokens(call, ['alpha'])
    expect(held).toEqual([3 * 48, 3 * 2 * 16])
  })

  test('are given up where the caller is gone', async () => {
    const { call, rows } = watched(embedding(), { signal: AbortSignal.abort() })
    expect(embed(call, ['alpha'])).rejects.toMatchObject({ code: 'REQUEST_ABORTED' })
    await Promise.resolve()
    expect(rows).toHaveLength(0)
  })

  test('are answered in their order, also among ids and where the longest go first', async () => {
    const { call, ids } = watched(embedding())
    const { tokens, vectors } = await embed(call, ['', [ALPHA], 'alpha beta', [BETA, BETA, BETA]])
    expect(tokens).toEqual([2, 1, 4, 3])
    expect(vectors.map(([first]) => first)).toEqual(
      [(CLS + SEP) / 2, ALPHA, (CLS + ALPHA + BETA + SEP) / 4, BETA].map(Math.fround),
    )
    expect(ids().map(({ length }) => length)).toEqual([4, 3, 2, 1])
  })

  test('end with the first that fails, and no more are computed', async () => {
    let runs = 0
    const failing: TaskCall = {
      ...callOf(embedding(), { output: 'h' }),
      infer: async () => {
        runs += 1
        throw new Error('no')
      },
    }
    await expect(
      embed(
        failing,
        Array.from({ length: 100 }, () => ''),
      ),
    ).rejects.toThrow('no')
    await new Promise(setImmediate)
    expect(runs).toBe(32)
  })
})

describe('a text that is longer than the model takes', () => {
  const idsOf = async (value: string, input: Partial<TextInput> = {}, options: EmbedOptions = {}) => {
    const { call, ids } = watched(embedding(input))
    await embed(call, [value], options)
    return ids()[0]
  }

  test('is cut where its tokens end', async () => {
    const most = Array.from({ length: 10 }, () => ALPHA)
    expect(await idsOf('alpha '.repeat(10))).toEqual([CLS, ...most, SEP])
    expect(await idsOf(`${'alpha '.repeat(10)}beta`)).toEqual([CLS, ...most, SEP])
    expect(await idsOf(`${'alpha '.repeat(10)}beta`, { truncationSide: 'left' })).toEqual([CLS, ...most.slice(1), BETA, SEP])
    expect(await idsOf(`${'alpha '.repeat(10)}beta`, { truncationSide: 'left' }, { truncationSide: 'right' })).toEqual([
      CLS,
      ...most,
      SEP,
    ])
  })

  test('has at most 250 characters for each token that counts', async () => {
    const spaces = ' '.repeat(2999)
    expect(await idsOf(`${' '.repeat(2995)}alpha`)).toEqual([CLS, ALPHA, SEP])
    expect(await idsOf(`${' '.repeat(3000)}alpha`)).toEqual([CLS, SEP])
    expect(await idsOf(`alpha${' '.repeat(2995)}`, { truncationSide: 'left' })).toEqual([CLS, ALPHA, SEP])
    expect(await idsOf(`alpha ${' '.repeat(2995)}`, { truncationSide: 'left' })).toEqual([CLS, UNK, SEP])
    const whole = embed(watched(embedding()).call, [`${spaces}ab`], { truncate: false })
    expect(whole).rejects.toMatchObject({
      code: 'INPUT_TOO_LONG',
      detail: expect.stringContaining('Text 0 has 3001 characters; the model takes 12 tokens, so the limit is 3000'),
    })
    expect((await embed(watched(embedding()).call, [`${spaces} `], { truncate: false })).tokens).toEqual([2])
  })

  test('is not cut within a character of two units, at either side', async () => {
    const input = await textInput(exact ?? '')
    const spaces = ' '.repeat(2999)
    expect(await idsOf(`${spaces}😀`, input)).toEqual([CLS, SEP])
    expect(await idsOf(`😀${spaces}`, { ...input, truncationSide: 'left' })).toEqual([CLS, SEP])
    expect(await idsOf(`${spaces.slice(1)}😀x`, input)).toEqual([CLS, idOfToken('😀'), SEP])
    expect(await idsOf(`x😀${spaces.slice(1)}`, { ...input, truncationSide: 'left' })).toEqual([CLS, idOfToken('😀'), SEP])
    // The first half of a character, or another one, is not the second half of this one.
    expect(await idsOf(`${spaces}\uE000`, { ...input, truncationSide: 'left' })).toEqual([CLS, UNK, SEP])
  })

  test('loses the space around it only where its model asks for that', async () => {
    const prompted = (isStripped: boolean) => idsOf(' alpha ', { isStripped }, { prompt: 'x' })
    expect([await prompted(true), await prompted(false)]).toEqual([
      [CLS, UNK, SEP],
      [CLS, UNK, ALPHA, SEP],
    ])
  })
})

describe('ids in the place of a text', () => {
  const rowOf = async (ids: readonly number[], options: EmbedOptions = {}) => {
    const { call, rows } = watched(embedding())
    await embed(call, [ids], options)
    return rows[0]
  }

  test('are the tokens that the model gets, with no type and all of them counted', async () => {
    const row = await rowOf([CLS, ALPHA])
    const numbers = (name: string) => Array.from(row?.get(name)?.data ?? [], Number)
    expect(['input_ids', 'token_type_ids', 'attention_mask'].map(numbers)).toEqual([
      [CLS, ALPHA],
      [0, 0],
      [1, 1],
    ])
  })

  test('are cut at either side, or rejected where they are not to be cut', async () => {
    const ids = Array.from({ length: 13 }, (_, id) => id)
    const first = async (options: EmbedOptions) => Array.from((await rowOf(ids, options))?.get('input_ids')?.data ?? [], Number)
    expect(await first({})).toEqual(ids.slice(0, 12))
    expect(await first({ truncationSide: 'left' })).toEqual(ids.slice(1))
    expect(rowOf(ids, { truncate: false })).rejects.toMatchObject({
      code: 'INPUT_TOO_LONG',
      detail: expect.stringContaining('Text 0 has 13 tokens; the model takes 12'),
    })
    expect((await rowOf(ids.slice(1), { truncate: false }))?.get('input_ids')?.shape).toEqual([1, 12])
  })

  test('must be whole numbers that a model may have', async () => {
    for (const ids of [[-1], [1.5], [2 ** 31], [1, Number.NaN]])
      expect(rowOf(ids)).rejects.toMatchObject(invalid('Text 0 must be ids of tokens, integers from 0 on'))
    expect(rowOf([])).rejects.toMatchObject(invalid('Text 0 has no tokens'))
    expect((await rowOf([0, 2 ** 31 - 1]))?.get('input_ids')?.shape).toEqual([1, 2])
  })

  test('take no prompt', async () => {
    const prompts = { query: 'query: ' }
    const ask = (
      texts: readonly (string | readonly number[])[],
      options: EmbedOptions,
      input: Partial<TextInput> = { prompts },
    ) => embed(watched(embedding(input)).call, texts, options)
    const rejection = invalid('A prompt cannot be put before ids of tokens; send texts')
    expect(ask([[ALPHA]], { prompt: 'x' })).rejects.toMatchObject(rejection)
    expect(ask(['alpha', [ALPHA]], { promptName: 'query' })).rejects.toMatchObject(rejection)
    expect((await ask(['alpha'], { promptName: 'query' })).tokens).toEqual([5])
    expect((await ask([[ALPHA]], {}, { prompts, defaultPrompt: 'query' })).tokens).toEqual([1])
  })

  test('are of the type that the model has', () => {
    const inputs = [
      { name: 'input_ids', datatype: 'INT32' as const, shape: [-1, -1] },
      { name: 'place', datatype: 'INT64' as const, shape: [-1, -1] },
    ]
    const task = embedding({ inputs: { ids: 'input_ids', positions: 'place' } })
    const row = tensorsOf({ task, inputs }, { text: 0, ids: [7, 8, 9], types: [0, 1, 1] })
    expect([...row]).toEqual([
      ['input_ids', { datatype: 'INT32', shape: [1, 3], data: new Int32Array([7, 8, 9]) }],
      ['place', { datatype: 'INT64', shape: [1, 3], data: new BigInt64Array([0n, 1n, 2n]) }],
    ])
  })
})

describe('a prompt', () => {
  test('may have 16384 characters and no more', async () => {
    const ask = (length: number) => embed(watched(embedding()).call, ['alpha'], { prompt: ' '.repeat(length) })
    expect((await ask(16_384)).tokens).toEqual([2])
    expect(ask(16_385)).rejects.toMatchObject(invalid({ prompt: 'has 16385 characters; the most is 16384' }))
  })

  test('is not pooled where its model says so, with the special token before it', async () => {
    const vectorOf = async (includesPrompt: boolean, prompt?: string) =>
      (await embed(watched(embedding({}, { includesPrompt, pooling: ['mean'] })).call, ['beta'], { prompt })).vectors[0]?.[0]
    expect(await vectorOf(true, 'alpha ')).toBe((CLS + ALPHA + BETA + SEP) / 4)
    expect(await vectorOf(false, 'alpha ')).toBe((BETA + SEP) / 2)
    expect(await vectorOf(false)).toBe(Math.fround((CLS + BETA + SEP) / 3))
  })

  test('of an unknown name is rejected, also where the model has none', async () => {
    const ask = (promptName: string, prompts = {}) => embed(watched(embedding({ prompts })).call, ['a'], { promptName })
    expect(ask('x'.repeat(65))).rejects.toMatchObject(
      invalid({ prompt_name: `"${'x'.repeat(64)}" is not known; the model has none` }),
    )
    expect(ask('constructor', { q: '' })).rejects.toMatchObject(
      invalid({ prompt_name: expect.stringContaining('the model has q') }),
    )
  })
})

describe('an output that is not what its task needs', () => {
  const failed = (detail: string) => ({ code: 'INFERENCE_FAILED', detail })
  const needs = (got: string) =>
    failed(`The output "h" of the model is ${got}; its task needs floats of 3 dimensions with one row`)

  test('fails the request, with what it is', async () => {
    const ask = (...output: [readonly number[], Datatype?, string?]) => embed(answering(embedding(), ...output), ['alpha'])
    expect((await ask([1, 3, 2])).vectors).toEqual([new Float32Array(2)])
    expect(ask([1, 3, 2], 'FP32', 'other')).rejects.toMatchObject(needs('missing'))
    expect(ask([1, 3, 2], 'INT32')).rejects.toMatchObject(needs('INT32 [1,3,2]'))
    expect(ask([1, 3])).rejects.toMatchObject(needs('FP32 [1,3]'))
    expect(ask([2, 3, 2])).rejects.toMatchObject(needs('FP32 [2,3,2]'))
    expect(ask([1, 4, 2])).rejects.toMatchObject(failed('The output "h" has 4 tokens of 3'))
  })

  test('fails labels of texts and of tokens', async () => {
    expect(classify(answering(scored('classify', ['a', 'b']), [1, 3]), ['alpha'])).rejects.toMatchObject(
      failed('The output "h" of the model is FP32 [1,3]; its task needs 2 floating-point numbers, one for each label'),
    )
    for (const [shape, shown] of [
      [[1, 4, 2], '[1,4,2]'],
      [[1, 3, 3], '[1,3,3]'],
    ] as const)
      expect(classifyTokens(answering(scored('tokens', ['a', 'b']), shape), ['alpha'])).rejects.toMatchObject(
        failed(`The output "h" is ${shown} for 3 tokens and 2 labels`),
      )
    expect(fillMask(answering(scored('fill', []), [1, 4, 5]), ['[MASK]'])).rejects.toMatchObject(
      failed('The output "h" has 4 tokens of 3'),
    )
  })

  test('of another task than is asked for is said to be so', async () => {
    const mismatch = (detail: string) => ({ code: 'TASK_MISMATCH', detail })
    const classifier = watched(scored('classify', ['a'])).call
    expect(embed(classifier, [''])).rejects.toMatchObject(mismatch('The model is for the task classify; this asks for embedding'))
    expect(rerank(classifier, '', [''])).rejects.toMatchObject(
      mismatch('The model is for the task classify; this asks for rerank'),
    )
    expect(classify(watched(embedding()).call, [''])).rejects.toMatchObject(
      mismatch('The model is for the task embedding; this asks for classify or rerank or zero-shot'),
    )
    expect(embedTokens(watched(embedding({}, { form: 'vector' })).call, [''])).rejects.toMatchObject(
      mismatch('The model gives one vector for each text, and none for tokens'),
    )
    expect(zeroShot(watched(scored('zero-shot', ['yes', 'no'])).call, '', { labels: ['a'] })).rejects.toMatchObject(
      mismatch('The model has no label that begins with "entail"'),
    )
    expect(fillMask(watched(scored('fill', [], await textInput(maskless ?? ''))).call, ['a'])).rejects.toMatchObject(
      mismatch('The tokenizer of the model has neither [MASK] nor <mask>'),
    )
  })
})

describe('labels', () => {
  test('of a reranker are raw where that is asked for', async () => {
    const task: TaskDescription = { ...scored('rerank', ['a']), scores: { output: 'h', labels: ['a'], activation: 'sigmoid' } }
    const call = callOf(task, { output: 'h', ofText: (ids) => [ids.length] })
    expect((await rerank(call, 'alpha', ['', 'beta'], { rawScores: true })).scores).toEqual([4, 5])
    expect((await rerank(call, 'alpha', ['', 'beta'])).scores).toEqual([4, 5].map((score) => 1 / (1 + Math.exp(-score))))
    expect((await rerank(call, 'alpha', ['', 'beta'])).tokens).toEqual([4, 5])
  })

  const entails = (labels: readonly string[], scores: readonly number[]) =>
    callOf(scored('zero-shot', labels), { output: 'h', ofText: () => scores })

  test('without training are judged against the label that contradicts: the first, or the last where the first entails', async () => {
    const share = (yes: number, no: number) => expect.closeTo(Math.exp(yes) / (Math.exp(yes) + Math.exp(no)), 6)
    const ask = (labels: readonly string[], scores: readonly number[]) =>
      zeroShot(entails(labels, scores), 'a', { labels: ['x'] })
    expect(await ask(['no', 'maybe', 'entailment'], [1, 5, 2])).toEqual([{ label: 'x', score: share(2, 1) }])
    expect(await ask(['entails', 'maybe', 'no'], [2, 5, 1])).toEqual([{ label: 'x', score: share(2, 1) }])
  })

  test('without training need a label and a template of at most 8192 characters, with a place for it', async () => {
    const ask = (labels: readonly string[], template?: string) =>
      zeroShot(entails(['no', 'entail'], [0, 1]), 'a', { labels, template })
    expect(ask([])).rejects.toMatchObject(invalid({ candidate_labels: 'must name one label at least' }))
    expect(ask(['x'], '{ }')).rejects.toMatchObject(invalid({ hypothesis_template: 'must have {} where the label stands' }))
    expect(ask(['x'], `{}${' '.repeat(8191)}`)).rejects.toMatchObject(
      invalid({ hypothesis_template: 'has 8193 characters; the most is 8192' }),
    )
    expect(await ask(['$&'], `{}${' '.repeat(8190)}`)).toMatchObject([{ label: '$&' }])
  })
})

describe('labels of tokens', () => {
  const LABELS = ['O', 'B-A', 'I-A', 'I-B', 'C']
  const scoresOf: Readonly<Record<string, readonly number[]>> = {
    alpha: [0, 3, 0, 0, 0],
    beta: [0, 0, 2, 0, 0],
    gamma: [0, 0, 0, 1, 0],
    film: [0, 0, 0, 0, 1],
    '##s': [0, 0, 0, 4, 0],
  }
  const byId = new Map(Object.entries(scoresOf).map(([token, scores]) => [idOfToken(token), scores]))
  const call = callOf(scored('tokens', LABELS, { ...text, tokensMax: 32 }), {
    output: 'h',
    ofToken: (id) => byId.get(id) ?? [1, 0, 0, 0, 0],
  })
  const entitiesOf = async (value: string, aggregation: Aggregation, ignoreLabels?: readonly string[]) =>
    (await classifyTokens(call, [value], { aggregation, ignoreLabels })).entities[0]?.map(({ label, word, score }) => [
      label,
      word,
      score,
    ])

  test('go on with those before them of the same kind, and begin anew where they say so', async () => {
    expect(await entitiesOf('alpha beta alpha gamma film', 'simple')).toEqual([
      ['A', 'alpha beta', 2.5],
      ['A', 'alpha', 3],
      ['B', 'gamma', 1],
      ['C', 'film', 1],
    ])
    expect(await entitiesOf('alpha is alpha', 'simple')).toEqual([
      ['A', 'alpha', 3],
      ['A', 'alpha', 3],
    ])
    expect(await entitiesOf('is alpha', 'simple', [])).toEqual([
      ['O', 'is', 1],
      ['A', 'alpha', 3],
    ])
  })

  test('are those of a word’s first token, of its surest, or of the mean', async () => {
    expect(await entitiesOf('alphas', 'simple')).toEqual([
      ['A', 'alpha', 3],
      ['B', 's', 4],
    ])
    expect(await entitiesOf('alphas', 'first')).toEqual([['A', 'alphas', 3]])
    expect(await entitiesOf('alphas', 'max')).toEqual([['B', 'alphas', 4]])
    expect(await entitiesOf('alphas', 'average')).toEqual([['B', 'alphas', 2]])
    expect(await entitiesOf('alpha beta', 'first')).toEqual([['A', 'alpha beta', 2.5]])
  })

  test('keep their prefixes and their places where tokens are not joined', async () => {
    const { entities, tokens } = await classifyTokens(call, ['is alphas', ''])
    expect(entities).toEqual([
      [
        { label: 'B-A', score: 3, word: 'alpha', start: 3, end: 8, index: 2 },
        { label: 'I-B', score: 4, word: '##s', start: 8, end: 9, index: 3 },
      ],
      [],
    ])
    expect(tokens).toEqual([5, 2])
  })

  test('of windows that overlap are counted with all their tokens, and found once', async () => {
    const short = { ...call, task: scored('tokens', LABELS, { ...text, tokensMax: 6 }) }
    const { entities, tokens } = await classifyTokens(short, ['alpha is alpha is alpha', 'is'], {
      aggregation: 'simple',
      stride: 2,
    })
    expect(entities.map((found) => found.map(({ start }) => start))).toEqual([[0, 9, 18], []])
    expect(tokens).toEqual([6 + 5, 3])
  })
})

describe('masks', () => {
  test('may be 256 in one request', async () => {
    const masks = (count: number) => '[MASK]'.repeat(count)
    const call = callOf(scored('fill', [], { ...text, tokensMax: 300 }), { output: 'h', ofToken: () => [0, 1] })
    expect((await fillMask(call, [masks(156), masks(100)], { topK: 1 })).fillings.map(({ length }) => length)).toEqual([156, 100])
    expect(fillMask(call, [masks(157), masks(100)])).rejects.toMatchObject({
      code: 'INPUTS_TOO_MANY',
      detail: 'The request has 257 masks; the most is 256: send the texts in several requests',
    })
  })

  test('are filled with five tokens where nothing else is said, whose texts are held', async () => {
    const held: number[] = []
    const call = callOf(scored('fill', []), { output: 'h', ofToken: () => [0, 1, 5, 4, 3, 9, 2] })
    const { fillings, tokens } = await fillMask({ ...call, hold: (bytes) => void held.push(bytes) }, ['[MASK] beta'])
    expect(fillings[0]?.[0]?.map(({ token }) => token)).toEqual([5, 2, 3, 4, 6])
    expect(fillings[0]?.[0]?.[0]).toMatchObject({ tokenText: 'alpha', sequence: 'alpha beta' })
    expect(held.at(-1)).toBe((fillings[0]?.[0] ?? []).reduce((sum, { sequence }) => sum + sequence.length, 0) * 4)
    expect(tokens).toEqual([4])
  })
})

describe('tokens of texts and texts of tokens', () => {
  const task = embedding()

  test('have their limits', async () => {
    expect(
      await tokenize(
        { task },
        Array.from({ length: 2049 }, () => ''),
      ).catch(({ detail }) => detail),
    ).toBe('The request has 2049 texts of 0 characters; the most is 2048 and 262144')
    expect(await tokenize({ task }, [' '.repeat(262_143), '  ']).catch(({ code }) => code)).toBe('INPUTS_TOO_MANY')
    expect((await tokenize({ task }, [' '.repeat(262_143), ' '])).map(({ length }) => length)).toEqual([2, 2])
    const lists = (count: number, length: number) => Array.from({ length: count }, () => Array<number>(length).fill(ALPHA))
    expect(await decode({ task }, lists(2, 32_769)).catch(({ detail }) => detail)).toBe(
      'The request has 2 lists of 65538 ids; the most is 2048 and 65536',
    )
    expect(await decode({ task }, lists(2049, 1)).catch(({ code }) => code)).toBe('INPUTS_TOO_MANY')
    expect(await decode({ task }, lists(2048, 32))).toHaveLength(2048)
  })

  test('take ids of 32 bits, and others are rejected', async () => {
    for (const id of [-1, 2 ** 32, 0.5])
      expect(decode({ task }, [[ALPHA], [id]])).rejects.toMatchObject(invalid('Ids of tokens must be integers from 0 on'))
    expect(await decode({ task }, [[2 ** 32 - 1, ALPHA], [CLS]])).toEqual(['alpha', ''])
    expect(await decode({ task }, [[CLS, ALPHA]], { skipSpecialTokens: false })).toEqual(['[CLS] alpha'])
  })
})

test('a tokenizer is known by its file, its vocabulary, its padding and the tokens of some texts', async () => {
  const bytes = await Bun.file(path ?? '').bytes()
  const { samples, ...facts } = await readTokenizer(path ?? '')
  const sha256 = new Bun.CryptoHasher('sha256').update(bytes).digest('hex')
  expect(facts).toEqual({ sha256, vocabulary: VOCABULARY.length, padId: 0 })
  expect(samples[0]).toEqual([CLS, idOfToken('good'), SEP])
  expect(samples.map((ids) => [ids[0], ids.at(-1)])).toEqual(samples.map(() => [CLS, SEP]))
  expect(Math.max(...samples.map(({ length }) => length))).toBeLessThanOrEqual(32)
  const padded = async (padding: unknown) => {
    const changed = join(folder, 'padded.json')
    await Bun.write(changed, JSON.stringify({ ...JSON.parse(bertTokenizer()), padding }))
    return (await readTokenizer(changed)).padId
  }
  expect(await padded(null)).toBeUndefined()
  const pointer = join(folder, 'pointer.json')
  await Bun.write(pointer, 'version https://git-lfs.github.com/spec/v1\n')
  expect(readTokenizer(pointer)).rejects.toThrow('is a Git LFS pointer')
})

describe('pooling', () => {
  const pooled = (values: readonly number[], kind: Parameters<typeof pool>[1][number], begin = 0) => [
    ...pool({ data: values, tokens: values.length, size: 1, begin }, [kind]),
  ]

  test('of no token that counts gives zeros, not what cannot be counted', () => {
    for (const kind of ['mean', 'mean-sqrt', 'weighted-mean'] as const) expect(pooled([1, 2], kind, 2)).toEqual([0])
  })

  test('weighs tokens by their places', () => {
    expect(pooled([6, 3], 'weighted-mean')).toEqual([4])
    expect(pooled([6, 3, 8], 'weighted-mean', 1)).toEqual([6])
    expect(pooled([2, 6], 'mean-sqrt')).toEqual([Math.fround(8 / Math.SQRT2)])
  })

  test('of the most keeps what is no number', () => {
    expect([pooled([Number.NaN, 1], 'max'), pooled([1, Number.NaN], 'max')]).toEqual([[Number.NaN], [Number.NaN]])
    expect(pooled([-2, -1], 'max')).toEqual([-1])
  })
})
