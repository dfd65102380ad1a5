import { type TSchema, Type } from '@sinclair/typebox'
import { VERSION } from '../../core/version.ts'
import { type Answer, orNull, strict, text, words, yes } from '../../schema/build.ts'
import { shortScore } from '../../tasks/bodies/vector-json.ts'
import type { LabelScore } from '../../tasks/scores.ts'
import type { TaskDescription } from '../../tasks/task.ts'
import { classify, rerank } from '../../tasks/text/classify.ts'
import { embed, embedSparse, embedTokens } from '../../tasks/text/embed.ts'
import { decode, type Token, tokenize } from '../../tasks/text/tokenize.ts'
import type { Target } from '../predict/codec.ts'
import { empty, fault, maybe, readFields, readTextList, readTexts, type Text, tooMany, whole } from './bodies.ts'
import { codePointsOf } from './code-points.ts'
import type { Operation } from './operation.ts'
import { jsonOfVectors, listOf } from './vectors.ts'

/** Texts, pairs or lists of ids of one request, as Text Embeddings Inference has it by default. */
const INPUTS_MAX = 32
/** Sentences that one is compared with, which is a text of the request too. */
const SENTENCES_MAX = INPUTS_MAX - 1

/** No choice of words: generators of clients make one name of two that differ in their case alone. */
export const side = Type.String({ pattern: '^(?:[Rr]ight|[Ll]eft)$', rule: 'must be right or left' })

const TRUNCATION = {
  truncate: maybe(Type.Boolean(), 'Cuts a text that is too long; default true. With false such a text is a 422.'),
  truncation_direction: maybe(side, 'The side that is cut, right or left; default that of the model'),
}
const TEXTS = {
  inputs: given(`A text, or up to ${INPUTS_MAX} in a list; or ids of tokens, where the setting token_ids accepts them`),
}
const PROMPT = { prompt_name: maybe(Type.String(), 'Name of a prompt of the model, which is put before each text') }
const RAW = { raw_scores: maybe(Type.Boolean(), 'Gives scores as the model computed them; default false') }

const EmbedRequest = strict({
  ...TEXTS,
  ...TRUNCATION,
  ...PROMPT,
  normalize: maybe(Type.Boolean(), 'Makes vectors of length 1; default true'),
  dimensions: maybe(whole(1), 'Numbers of a vector: the first ones'),
})
const EmbedTokensRequest = strict({ ...TEXTS, ...TRUNCATION, ...PROMPT })
const RerankRequest = strict({
  query: Type.String({ description: 'What is looked for' }),
  texts: given(`Up to ${INPUTS_MAX} texts, in a list`),
  ...TRUNCATION,
  ...RAW,
  return_text: maybe(Type.Boolean(), 'Gives each text back beside its score; default false'),
})
const PredictRequest = strict({
  inputs: given(`A text; two texts in a list, which are one pair; or up to ${INPUTS_MAX} lists of one or two texts each`),
  ...TRUNCATION,
  ...RAW,
})
const Sentences = strict({
  source_sentence: Type.String({ description: 'The sentence that the others are compared with' }),
  sentences: given(`Up to ${SENTENCES_MAX} sentences, in a list`),
})
const SimilarityParameters = strict({ ...TRUNCATION, ...PROMPT })
const SimilarityRequest = strict({
  inputs: Sentences,
  parameters: Type.Optional(given('`truncate`, `truncation_direction` and `prompt_name`')),
})
const TokenizeRequest = strict({
  inputs: given(`A text, or up to ${INPUTS_MAX} in a list`),
  add_special_tokens: maybe(Type.Boolean(), 'Adds the tokens that the model expects around a text; default true'),
})
const DecodeRequest = strict({
  ids: given(`Ids of the tokens of a text, or up to ${INPUTS_MAX} lists of them`),
  skip_special_tokens: maybe(Type.Boolean(), 'Default true'),
})

/** A field that is read by code: a schema of the document has no form for what may come. */
function given(description: string): TSchema {
  return Type.Unknown({ description })
}

/** How a text that is too long is cut. */
interface Truncation {
  readonly truncate: boolean
  readonly truncationSide: 'left' | 'right' | undefined
}

interface TruncationFields {
  readonly truncate?: boolean | undefined
  readonly truncation_direction?: string | undefined
}

/** Reads how a request has its texts cut. */
export function truncationOf({ truncate = true, truncation_direction: side }: TruncationFields): Truncation {
  return { truncate, truncationSide: side === undefined ? undefined : side.toLowerCase() === 'left' ? 'left' : 'right' }
}

interface Texts extends Truncation {
  readonly texts: readonly Text[]
  readonly promptName: string | undefined
}

/** `POST /embed`: a vector for each text, in a list for one text too. */
export const teiEmbed: Operation<Texts & { readonly normalize: boolean; readonly dimensions: number | undefined }> = {
  read(body, { mayBeIds }) {
    const fields = readFields(EmbedRequest, body)
    const { texts } = readTexts(fields.inputs, { field: 'inputs', max: INPUTS_MAX, mayBeIds })
    const { normalize = true, dimensions, prompt_name: promptName } = fields
    return { texts, promptName, normalize, dimensions, ...truncationOf(fields) }
  },
  async answer({ texts, ...options }, call) {
    const { vectors } = await embed(call, texts, options)
    return listOf(await jsonOfVectors(vectors))
  },
}

/** `POST /embed_all`: a vector for each token of each text. */
export const teiEmbedAll: Operation<Texts> = {
  read: readEmbedTokens,
  async answer({ texts, ...options }, call) {
    const { vectors } = await embedTokens(call, texts, options)
    const written: string[] = []
    for (const each of vectors) written.push(listOf(await jsonOfVectors(each)))
    return listOf(written)
  },
}

/** `POST /embed_sparse`: a weight for some of the vocabulary. */
export const teiEmbedSparse: Operation<Texts> = {
  read: readEmbedTokens,
  async answer({ texts, ...options }, call) {
    const { entries } = await embedSparse(call, texts, options)
    return JSON.stringify(entries.map((each) => each.map(({ index, value }) => ({ index, value: shortScore(value) }))))
  },
}

function readEmbedTokens(body: unknown, { mayBeIds }: { readonly mayBeIds: boolean }): Texts {
  const fields = readFields(EmbedTokensRequest, body)
  const { texts } = readTexts(fields.inputs, { field: 'inputs', max: INPUTS_MAX, mayBeIds })
  return { texts, promptName: fields.prompt_name, ...truncationOf(fields) }
}

interface Rerank extends Truncation {
  readonly query: string
  readonly texts: readonly string[]
  readonly rawScores: boolean
  readonly hasTexts: boolean
}

/** `POST /rerank`: how well each text fits, best first. */
export const teiRerank: Operation<Rerank> = {
  read(body) {
    const fields = readFields(RerankRequest, body)
    const { query, raw_scores: rawScores = false, return_text: hasTexts = false } = fields
    const texts = readTextList(fields.texts, { field: 'texts', max: INPUTS_MAX })
    return { query, texts, rawScores, hasTexts, ...truncationOf(fields) }
  },
  async answer({ query, texts, hasTexts, ...options }, call) {
    const { scores } = await rerank(call, query, texts, options)
    return JSON.stringify(
      bestFirst(scores).map(({ index, score }) => ({ index, ...(hasTexts && { text: texts[index] }), score: shortScore(score) })),
    )
  },
}

/** Places of scores and the scores, the highest first; equal ones in their order. */
export function bestFirst(scores: readonly number[]): readonly { readonly index: number; readonly score: number }[] {
  return scores.map((score, index) => ({ index, score })).sort((one, other) => other.score - one.score)
}

/** What a classifier reads: a text, or two that belong together. */
export type Sequence = string | readonly [string, string]

interface Predict extends Truncation {
  readonly inputs: readonly Sequence[]
  /** One input without a list around it is answered without one. */
  readonly isOne: boolean
  readonly rawScores: boolean
}

/** `POST /predict`: a score for each label, best first. */
export const teiPredict: Operation<Predict> = {
  read(body) {
    const fields = readFields(PredictRequest, body)
    return { ...readSequences(fields.inputs), rawScores: fields.raw_scores ?? false, ...truncationOf(fields) }
  },
  async answer({ inputs, isOne, rawScores, ...options }, call) {
    const { scores } = await classify(call, inputs, { ...options, ...(rawScores && { activation: 'none' }) })
    const written = scores.map((each) => each.map(scoreAndLabel))
    return JSON.stringify(isOne ? written[0] : written)
  },
}

function scoreAndLabel({ label, score }: LabelScore) {
  return { score: shortScore(score), label }
}

/** `"a"` is a text, `["a", "b"]` a pair, `[["a"], ["a", "b"]]` a batch. */
function readSequences(value: unknown): Pick<Predict, 'inputs' | 'isOne'> {
  if (typeof value === 'string') return { inputs: [value], isOne: true }
  if (!Array.isArray(value)) throw fault('inputs', 'must be a text, a pair of texts, or a list of lists of one or two texts')
  if (value.length === 0) throw empty('inputs')
  if (typeof value[0] === 'string') return { inputs: [sequenceOf(value, 'inputs')], isOne: true }
  if (value.length > INPUTS_MAX) throw tooMany('inputs', value.length, INPUTS_MAX)
  return { inputs: value.map((each, index) => sequenceOf(each, `inputs[${index}]`)), isOne: false }
}

function sequenceOf(value: unknown, where: string): Sequence {
  if (Array.isArray(value) && value.length <= 2) {
    const [first, second] = value
    if (typeof first === 'string' && value.length === 1) return first
    if (typeof first === 'string' && typeof second === 'string') return [first, second]
  }
  throw fault(where, 'must be a list of one or two texts')
}

interface Similarity extends Truncation {
  readonly source: string
  readonly sentences: readonly string[]
  readonly promptName: string | undefined
}

/** `POST /similarity`: the cosine between one sentence and each of the others. */
export const teiSimilarity: Operation<Similarity> = {
  read(body) {
    const { inputs, parameters = {} } = readFields(SimilarityRequest, body)
    const { prompt_name: promptName, ...cut } = readFields(SimilarityParameters, parameters, 'parameters')
    const sentences = readTextList(inputs.sentences, { field: 'inputs.sentences', max: SENTENCES_MAX })
    return { source: inputs.source_sentence, sentences, promptName, ...truncationOf(cut) }
  },
  async answer({ source, sentences, ...options }, call) {
    const { vectors } = await embed(call, [source, ...sentences], { ...options, normalize: true })
    const [first, ...others] = vectors
    return JSON.stringify(others.map((vector) => shortScore(dot(vector, first))))
  },
}

function dot(one: Float32Array, other: Float32Array | undefined): number {
  let sum = 0
  for (const [index, number] of one.entries()) sum += number * (other?.[index] ?? 0)
  return sum
}

interface Tokenize {
  readonly texts: readonly string[]
  readonly addSpecialTokens: boolean
}

/** `POST /tokenize`: the tokens of each text, with their places in code points as Rust and Python count them. */
export const teiTokenize: Operation<Tokenize> = {
  read(body) {
    const fields = readFields(TokenizeRequest, body)
    const { texts } = readTexts(fields.inputs, { field: 'inputs', max: INPUTS_MAX })
    // The cast: ids are rejected above.
    return { texts: texts as readonly string[], addSpecialTokens: fields.add_special_tokens ?? true }
  },
  async answer({ texts, addSpecialTokens }, call) {
    const found = await tokenize(call, texts, { addSpecialTokens })
    return JSON.stringify(found.map((tokens, index) => shownTokens(tokens, texts[index] ?? '')))
  },
}

function shownTokens(tokens: readonly Token[], whole: string) {
  const place = codePointsOf(whole)
  return tokens.map(({ id, text: part, isSpecial: special, start, end }) => {
    if (start === undefined || end === undefined) return { id, text: part, special, start: null, stop: null }
    return { id, text: part, special, start: place(start), stop: place(end) }
  })
}

interface Decode {
  readonly ids: readonly (readonly number[])[]
  readonly skipSpecialTokens: boolean
}

/** `POST /decode`: the text of tokens. */
export const teiDecode: Operation<Decode> = {
  read(body) {
    const fields = readFields(DecodeRequest, body)
    const { texts } = readTexts(fields.ids, { field: 'ids', max: INPUTS_MAX, mayBeIds: true })
    if (texts.some((each) => typeof each === 'string')) throw fault('ids', 'must be ids of tokens, or a list of lists of them')
    // The cast: what is a text is rejected above.
    return { ids: texts as readonly (readonly number[])[], skipSpecialTokens: fields.skip_special_tokens ?? true }
  },
  answer: async ({ ids, ...options }, call) => JSON.stringify(await decode(call, ids, options)),
}

/** `GET /info`. */
export function teiInfo({ model, version }: Target): Answer<typeof Info> {
  const { task } = version
  return {
    model_id: model.name,
    model_sha: null,
    model_dtype: 'float32',
    model_type: task === undefined ? {} : modelType(task),
    max_input_length: task?.text?.tokensMax ?? 0,
    max_client_batch_size: INPUTS_MAX,
    auto_truncate: true,
    version: VERSION,
  }
}

function modelType({ vector, scores, task }: TaskDescription): Answer<typeof Info>['model_type'] {
  if (vector !== undefined) return { embedding: { pooling: vector.form === 'vector' ? 'none' : vector.pooling.join('+') } }
  if (scores === undefined) return {}
  const id2label = Object.fromEntries(scores.labels.map((label, id) => [id, label]))
  const label2id = Object.fromEntries(scores.labels.map((label, id) => [label, id]))
  return task === 'rerank' ? { reranker: { id2label, label2id } } : { classifier: { id2label, label2id } }
}

const Info = Type.Object({
  model_id: text('Name of the model'),
  model_sha: orNull(Type.String(), 'Always null'),
  model_dtype: text('Datatype of vectors and scores'),
  model_type: Type.Object(
    {},
    { description: 'An object with `embedding`, `classifier` or `reranker`', additionalProperties: true },
  ),
  max_input_length: Type.Integer({ description: 'Tokens of one text; 0 where the model takes no texts' }),
  max_client_batch_size: Type.Integer({ description: 'Texts of one request' }),
  auto_truncate: yes('Whether a text that is too long is cut unless the request says otherwise'),
  version: text('Version of Vestal'),
})

const Scores = Type.Array(Type.Unknown({ description: 'Objects with `score` and `label`, or lists of them' }))
const Numbers = Type.Array(Type.Number())

/** What the routes of Text Embeddings Inference take and give, by name. */
export const TEI_SCHEMAS = {
  TeiEmbedRequest: EmbedRequest,
  TeiEmbedding: Type.Array(Numbers, { description: 'A vector for each text' }),
  TeiEmbedTokensRequest: EmbedTokensRequest,
  TeiTokenEmbedding: Type.Array(Type.Array(Numbers), { description: 'A vector for each token of each text' }),
  TeiSparseEmbedding: Type.Array(Type.Array(Type.Object({ index: Type.Integer(), value: Type.Number() })), {
    description: 'Weights by index in the vocabulary, for each text',
  }),
  TeiRerankRequest: RerankRequest,
  TeiRanks: Type.Array(Type.Object({ index: Type.Integer(), text: Type.Optional(Type.String()), score: Type.Number() }), {
    description: 'Best first',
  }),
  TeiPredictRequest: PredictRequest,
  TeiPredictions: Scores,
  TeiSimilarityRequest: SimilarityRequest,
  TeiSimilarities: Type.Array(Type.Number(), { description: 'Cosines, in the order of the sentences' }),
  TeiTokenizeRequest: TokenizeRequest,
  TeiTokens: Type.Array(
    Type.Array(
      Type.Object({
        id: Type.Integer(),
        text: Type.String(),
        special: Type.Boolean(),
        start: maybe(Type.Integer(), 'Where it begins in the text, in code points; null where the tokenizer added it'),
        stop: maybe(Type.Integer(), 'Where it ends'),
      }),
    ),
  ),
  TeiDecodeRequest: DecodeRequest,
  TeiTexts: Type.Array(Type.String(), { description: 'A text for each list of ids' }),
  TeiInfo: Info,
  TeiFailure: Type.Object({
    error: text('What is wrong'),
    error_type: words(['Validation', 'Empty', 'Backend', 'Overloaded', 'Unhealthy']),
  }),
}
