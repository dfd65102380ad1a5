import { VestalError } from '../../core/errors.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { TaskCall } from '../call.ts'
import { activated } from '../scores.ts'
import type { ScoreOutput } from '../task.ts'
import { scoresOf } from './classify.ts'
import { computeRows, floatsOf } from './rows.ts'
import { encodeTexts, type TextRow, type TruncationOptions } from './texts.ts'

/** How tokens become entities; the last three first give all tokens of a word one label. */
export type Aggregation = 'none' | 'simple' | 'first' | 'average' | 'max'

export interface ClassifyTokensOptions extends TruncationOptions {
  /** Default `none`: one entity for each token. */
  readonly aggregation?: Aggregation | undefined
  /** Labels that are left out; default `O`. */
  readonly ignoreLabels?: readonly string[] | undefined
  /** Tokens that windows of a long text share; without it a long text is cut or rejected. */
  readonly stride?: number | undefined
}

/** A part of a text with a label. */
export interface Entity {
  /** The label, without its prefix `B-` or `I-` where tokens were joined. */
  readonly label: string
  readonly score: number
  /** The token, or the text of the entity. */
  readonly word: string
  /** Where it begins and ends in the text, in UTF-16 units. */
  readonly start: number
  readonly end: number
  /** Place of the token among those of its text; absent where tokens were joined. */
  readonly index?: number
}

/** A token of a text with the scores of its labels. */
interface ScoredToken {
  readonly token: string
  readonly scores: Float64Array
  readonly start: number
  readonly end: number
  readonly index: number
  /** Whether it goes on with the word of the token before it. */
  readonly isInside: boolean
}

/** Tokens that have one label together. */
interface LabelledPart {
  readonly class: number
  readonly score: number
  readonly start: number
  readonly end: number
}

/**
 * Finds the parts of texts that have labels, as Hugging Face's token classification does.
 * @throws VestalError TASK_MISMATCH, INPUT_INVALID, INPUT_TOO_LONG, INPUTS_TOO_MANY, and as the engine
 */
export async function classifyTokens(
  call: TaskCall,
  texts: readonly string[],
  options: ClassifyTokensOptions = {},
): Promise<{ readonly entities: readonly (readonly Entity[])[]; readonly tokens: readonly number[] }> {
  const output = scoresOf(call.task, 'tokens')
  const { aggregation = 'none', ignoreLabels = ['O'], stride } = options
  if (stride !== undefined && aggregation === 'none')
    throw new VestalError('INPUT_INVALID', { detail: { stride: 'needs an aggregation strategy other than none' } })
  const { truncate, truncationSide } = options
  const rows = await encodeTexts(call, texts, { truncate, truncationSide, stride, hasDetails: true })
  const scored = await computeRows(call, rows, {
    outputs: [output.output],
    read: (results, row) => tokensOf(results, row, output),
  })
  const ignored = new Set(ignoreLabels)
  const entities = texts.map((text, index) => {
    const windows = scored.filter((_, row) => rows[row]?.text === index)
    const found = windows.flatMap((tokens) => entitiesOf(tokens, { text, output, aggregation }))
    const asked = found.filter(({ label }) => !ignored.has(label))
    return windows.length > 1 ? withoutOverlaps(asked) : asked
  })
  const counts = texts.map((_, index) => rows.reduce((sum, { text, ids }) => (text === index ? sum + ids.length : sum), 0))
  return { entities, tokens: counts }
}

/** The tokens of a row that come from its text, with the scores of their labels. */
function tokensOf(results: NamedTensors, row: TextRow, output: ScoreOutput): readonly ScoredToken[] {
  const { data, sizes } = floatsOf(results, output.output, 2)
  const [tokens = 0, classes = 0] = sizes
  if (tokens !== row.ids.length || classes !== output.labels.length)
    throw new VestalError('INFERENCE_FAILED', {
      detail: `The output "${output.output}" is [1,${sizes}] for ${row.ids.length} tokens and ${output.labels.length} labels`,
    })
  const { details } = row
  return Array.from({ length: tokens }, (_, index) => index).flatMap((index) => {
    if (details?.sequences[index] !== 0) return []
    const [start = 0, end = 0] = [details.starts[index], details.ends[index]]
    const scores = activated(
      Float64Array.from({ length: classes }, (_, label) => data[index * classes + label] ?? 0),
      output.activation,
    )
    return [{ token: details.tokens[index] ?? '', scores, start, end, index, isInside: details.inside[index] === 1 }]
  })
}

interface Aggregating {
  readonly text: string
  readonly output: ScoreOutput
  readonly aggregation: Aggregation
}

function entitiesOf(tokens: readonly ScoredToken[], { text, output: { labels }, aggregation }: Aggregating): readonly Entity[] {
  if (aggregation === 'none')
    return tokens.map(({ token: word, scores, start, end, index }) => {
      const best = bestOf(scores)
      return { label: labels[best] ?? '', score: scores[best] ?? 0, word, start, end, index }
    })
  const parts =
    aggregation === 'simple' ? tokens.map((token) => labelled([token], token.scores)) : wordsOf(tokens).map(WORD[aggregation])
  return joined(parts, labels).map((group) => entityOf(group, { text, labels }))
}

function bestOf(scores: ArrayLike<number>): number {
  let best = 0
  for (let index = 1; index < scores.length; index += 1) if ((scores[index] ?? 0) > (scores[best] ?? 0)) best = index
  return best
}

/** Tokens by their words. */
function wordsOf(tokens: readonly ScoredToken[]): readonly (readonly ScoredToken[])[] {
  const words: ScoredToken[][] = []
  for (const token of tokens) {
    const last = words.at(-1)
    if (token.isInside && last !== undefined) last.push(token)
    else words.push([token])
  }
  return words
}

/** The label of a word: that of its first token, of its surest token, or of the mean of its scores. */
const WORD: Readonly<Record<Exclude<Aggregation, 'none' | 'simple'>, (tokens: readonly ScoredToken[]) => LabelledPart>> = {
  first: (tokens) => labelled(tokens, tokens[0]?.scores ?? new Float64Array()),
  max: (tokens) => {
    const mostOf = ({ scores }: ScoredToken) => scores[bestOf(scores)] ?? 0
    const surest = tokens.reduce((best, token) => (mostOf(token) > mostOf(best) ? token : best))
    return labelled(tokens, surest.scores)
  },
  average: (tokens) => {
    const [first] = tokens
    const mean = (first?.scores ?? new Float64Array()).map(
      (_, label) => tokens.reduce((sum, { scores }) => sum + (scores[label] ?? 0), 0) / tokens.length,
    )
    return labelled(tokens, mean)
  },
}

function labelled(tokens: readonly ScoredToken[], scores: Float64Array): LabelledPart {
  const best = bestOf(scores)
  return { class: best, score: scores[best] ?? 0, start: tokens[0]?.start ?? 0, end: tokens.at(-1)?.end ?? 0 }
}

/** Neighbours of one label, which a `B-` ends. */
function joined(parts: readonly LabelledPart[], labels: readonly string[]): readonly (readonly LabelledPart[])[] {
  const groups: LabelledPart[][] = []
  let last: string | undefined
  for (const part of parts) {
    const { prefix, tag } = tagOf(labels[part.class] ?? '')
    if (tag === last && prefix !== 'B') groups.at(-1)?.push(part)
    else groups.push([part])
    last = tag
  }
  return groups
}

/** The two parts of a label such as `B-PER`; one without a prefix goes on with what is before it. */
function tagOf(label: string): { readonly prefix: 'B' | 'I'; readonly tag: string } {
  if (label.startsWith('B-')) return { prefix: 'B', tag: label.slice(2) }
  return { prefix: 'I', tag: label.startsWith('I-') ? label.slice(2) : label }
}

function entityOf(
  group: readonly LabelledPart[],
  { text, labels }: { readonly text: string; readonly labels: readonly string[] },
): Entity {
  const [start, end] = [group[0]?.start ?? 0, group.at(-1)?.end ?? 0]
  const score = group.reduce((sum, part) => sum + part.score, 0) / group.length
  return { label: tagOf(labels[group[0]?.class ?? 0] ?? '').tag, score, word: text.slice(start, end), start, end }
}

/** Of entities of windows that overlap, the longest, and of equally long ones the surest. */
function withoutOverlaps(entities: readonly Entity[]): readonly Entity[] {
  const kept: Entity[] = []
  for (const entity of [...entities].sort((a, b) => a.start - b.start)) {
    const last = kept.at(-1)
    if (last === undefined || entity.start >= last.end) kept.push(entity)
    else if (isBetter(entity, last)) kept[kept.length - 1] = entity
  }
  return kept
}

function isBetter(one: Entity, other: Entity): boolean {
  const [length, otherLength] = [one.end - one.start, other.end - other.start]
  return length > otherLength || (length === otherLength && one.score > other.score)
}
