import { Type } from '@sinclair/typebox'
import { VestalError } from '../../core/errors.ts'
import { strict, text, words, yes } from '../../schema/build.ts'
import { isObject } from '../../tensor/exact-json.ts'
import type { LabelScore } from '../scores.ts'
import { classify, rerank } from '../text/classify.ts'
import { embed } from '../text/embed.ts'
import { type Filling, fillMask } from '../text/fill-mask.ts'
import { type Aggregation, classifyTokens, type Entity } from '../text/token-classes.ts'
import { zeroShot } from '../text/zero-shot.ts'
import type { TaskBodies } from './task-bodies.ts'
import { bodiesOf, classification } from './task-parameters.ts'
import { shortScore, vectorTexts } from './vector-json.ts'

// The names of parameters are those of Hugging Face's tasks, where it has one.

const TRUNCATION = {
  truncate: Type.Optional(yes('Whether a text that is too long is cut; otherwise the request is rejected. Default true')),
  truncation_side: Type.Optional(
    words(['left', 'right'], { description: 'The side at which it is cut; default as the model has it' }),
  ),
}
const EmbedParameters = strict({
  prompt: Type.Optional(text('Text before each input, in place of a named one')),
  prompt_name: Type.Optional(text('Name of a prompt of the model')),
  normalize: Type.Optional(yes('Whether vectors have length 1; default as the model has it')),
  dimensions: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65_536,
      description: 'How many numbers of each vector; the first ones, normalised afterwards',
    }),
  ),
  ...TRUNCATION,
})
const ClassifyParameters = strict({
  ...classification('input'),
  ...TRUNCATION,
})

const RerankParameters = strict({
  raw_scores: Type.Optional(yes('Whether scores are the model’s own numbers; default false')),
  top_n: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 65_536, description: 'How many of the texts, best first; default all' }),
  ),
  return_texts: Type.Optional(yes('Whether the answer repeats the texts; default false')),
  ...TRUNCATION,
})

const TokensParameters = strict({
  aggregation_strategy: Type.Optional(
    words(['none', 'simple', 'first', 'average', 'max'], {
      description: 'How tokens become entities; default none: each by itself',
    }),
  ),
  ignore_labels: Type.Optional(Type.Array(Type.String(), { maxItems: 1000, description: 'Labels that are left out; default O' })),
  stride: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 65_536,
      description: 'Tokens that windows of a long text share; by default a long text is cut',
    }),
  ),
  ...TRUNCATION,
})
const ZeroShotParameters = strict({
  candidate_labels: Type.Array(Type.String(), { maxItems: 1000, description: 'Labels that a text may have' }),
  hypothesis_template: Type.Optional(text('A sentence with {} where a label stands; default `This example is {}.`')),
  multi_label: Type.Optional(yes('Whether each label is judged by itself; default false: the scores are 1 in sum')),
  ...TRUNCATION,
})
const FillParameters = strict({
  top_k: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: 'Tokens for each mask, best first; default 5' })),
  ...TRUNCATION,
})

/** The bodies of tasks whose input are texts. */
export const TEXT_TASKS = {
  embedding: bodiesOf(
    EmbedParameters,
    async (input, { prompt, prompt_name: promptName, normalize, dimensions, ...others }, call) => {
      const { texts, isOne } = textsOf(input)
      const { vectors } = await embed(call, texts, { prompt, promptName, normalize, dimensions, ...truncationOf(others) })
      return listOrOne(await vectorTexts(vectors), isOne)
    },
  ),
  classify: bodiesOf(ClassifyParameters, async (input, { top_k: most, function_to_apply: activation, ...others }, call) => {
    const isOne = !Array.isArray(input)
    const inputs = (isOne ? [input] : input).map(textOrPair)
    const { scores } = await classify(call, inputs, { activation, ...truncationOf(others) })
    return listOrOne(
      scores.map((labels) => JSON.stringify(labels.slice(0, most).map(shown))),
      isOne,
    )
  }),
  rerank: bodiesOf(
    RerankParameters,
    async (input, { raw_scores: rawScores, top_n: most, return_texts: hasTexts = false, ...others }, call) => {
      const { query, texts } = queryOf(input)
      const { scores } = await rerank(call, query, texts, { rawScores, ...truncationOf(others) })
      const ranked = scores.map((score, index) => ({ index, score: shortScore(score), ...(hasTexts && { text: texts[index] }) }))
      return JSON.stringify(ranked.sort((a, b) => b.score - a.score).slice(0, most))
    },
  ),
  tokens: bodiesOf(
    TokensParameters,
    async (input, { aggregation_strategy: aggregation, ignore_labels: ignoreLabels, stride, ...others }, call) => {
      const { texts, isOne } = textsOf(input)
      const { entities } = await classifyTokens(call, texts, { aggregation, ignoreLabels, stride, ...truncationOf(others) })
      return listOrOne(
        entities.map((found) => JSON.stringify(found.map((entity) => shownEntity(entity, aggregation)))),
        isOne,
      )
    },
  ),
  'zero-shot': bodiesOf(
    ZeroShotParameters,
    async (input, { candidate_labels: labels, hypothesis_template: template, multi_label: isMultiLabel, ...others }, call) => {
      const { texts, isOne } = textsOf(input)
      const answers: string[] = []
      // One after the other: each is a row for each of its labels.
      for (const each of texts) {
        const scores = await zeroShot(call, each, { labels, template, isMultiLabel, ...truncationOf(others) })
        answers.push(JSON.stringify(scores.map(shown)))
      }
      return listOrOne(answers, isOne)
    },
  ),
  fill: bodiesOf(FillParameters, async (input, { top_k: topK, ...others }, call) => {
    const { texts, isOne } = textsOf(input)
    const { fillings } = await fillMask(call, texts, { topK, ...truncationOf(others) })
    return listOrOne(
      fillings.map((masks) => JSON.stringify(shownFillings(masks))),
      isOne,
    )
  }),
} satisfies Readonly<Record<string, TaskBodies>>

function shown({ label, score }: LabelScore) {
  return { label, score: shortScore(score) }
}

/** As Hugging Face's clients read it: a token has an `entity`, and what was joined an `entity_group`. */
export function shownEntity({ label, score, word, start, end, index }: Entity, aggregation: Aggregation = 'none') {
  const named = aggregation === 'none' ? { entity: label, index } : { entity_group: label }
  return { ...named, score: shortScore(score), word, start, end }
}

/** A list for the one mask of a text, or a list of lists for several. */
export function shownFillings(masks: readonly (readonly Filling[])[]) {
  const lists = masks.map((fillings) =>
    fillings.map(({ score, token, tokenText, sequence }) => ({
      score: shortScore(score),
      token,
      token_str: tokenText,
      sequence,
    })),
  )
  return lists.length === 1 ? lists[0] : lists
}

function truncationOf({
  truncate,
  truncation_side: truncationSide,
}: {
  readonly truncate?: boolean
  readonly truncation_side?: 'left' | 'right'
}) {
  return { truncate, truncationSide }
}

/** The answers of a list of inputs, or of the one that stood alone. */
function listOrOne(texts: readonly string[], isOne: boolean): string {
  return isOne ? (texts[0] ?? 'null') : `[${texts.join(',')}]`
}

function textsOf(input: unknown): { readonly texts: readonly string[]; readonly isOne: boolean } {
  if (typeof input === 'string') return { texts: [input], isOne: true }
  if (Array.isArray(input) && input.every((each) => typeof each === 'string')) return { texts: input, isOne: false }
  throw invalid('must be a text or a list of texts')
}

function textOrPair(input: unknown): string | readonly [string, string] {
  if (typeof input === 'string') return input
  const { text, text_pair: pair, ...others } = isObject(input) ? input : {}
  if (typeof text === 'string' && Object.keys(others).length === 0) {
    if (pair === undefined) return text
    if (typeof pair === 'string') return [text, pair]
  }
  throw invalid('must be a text, a pair {"text", "text_pair"}, or a list of these')
}

function queryOf(input: unknown): { readonly query: string; readonly texts: readonly string[] } {
  const { query, texts, ...others } = isObject(input) ? input : {}
  const isList = Array.isArray(texts) && texts.every((each) => typeof each === 'string')
  if (typeof query === 'string' && isList && Object.keys(others).length === 0) return { query, texts }
  throw invalid('must be an object with "query", a text, and "texts", a list of texts')
}

function invalid(rule: string): VestalError {
  return new VestalError('BODY_INVALID', { detail: { input: rule } })
}
