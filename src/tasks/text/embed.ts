import { VestalError } from '../../core/errors.ts'
import { didYouMean } from '../../core/nearest.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import { breathe } from '../breath.ts'
import type { TaskCall } from '../call.ts'
import type { TaskDescription, TextInput, VectorOutput } from '../task.ts'
import { scoresOf } from './classify.ts'
import { type Dense, denseLayers } from './dense.ts'
import { normalize, pool } from './pooling.ts'
import { computeRows, floatsOf, tokenFloatsOf } from './rows.ts'
import { encodeTexts, mismatch, type Text, type TextRow, type TruncationOptions, textInputOf } from './texts.ts'
import { encode } from './tokenizer-pool.ts'

export interface EmbedOptions extends TruncationOptions {
  /** Put before each text, in place of the prompt of a name. */
  readonly prompt?: string | undefined
  /** Name of a prompt of the model; default that of its folder, if it has one. */
  readonly promptName?: string | undefined
  /** Whether vectors have length 1; default as the model's folder says. */
  readonly normalize?: boolean | undefined
  /** Numbers of a vector: the first ones, normalised afterwards. Default all. */
  readonly dimensions?: number | undefined
}

/** Vectors, and how many tokens each text has. */
export interface Embeddings {
  readonly vectors: readonly Float32Array[]
  readonly tokens: readonly number[]
}

/**
 * Gives a vector for each text, as sentence-transformers computes it: prompt, tokens, model, pooling, dense layers, the first dimensions,
 * length 1.
 * @throws VestalError TASK_MISMATCH, INPUT_INVALID, INPUT_TOO_LONG, INPUTS_TOO_MANY, and as the engine
 */
export async function embed(call: TaskCall, texts: readonly Text[], options: EmbedOptions = {}): Promise<Embeddings> {
  const vector = vectorOf(call.task)
  checkDimensions(options.dimensions, vector)
  const { rows, promptTokens } = await promptedRows(call, texts, options)
  const dense = await denseLayers(vector.dense)
  const isNormalized = options.normalize ?? vector.isNormalized
  const begin = vector.includesPrompt ? 0 : promptTokens
  const vectors = await computeRows(call, rows, {
    outputs: [vector.output],
    read(results, row) {
      const whole = denseOf(pooled(results, { row, vector, begin }), dense)
      const cut = options.dimensions === undefined ? whole : whole.slice(0, options.dimensions)
      return isNormalized ? normalize(cut) : cut
    },
  })
  call.hold?.(vectors.reduce((sum, { byteLength }) => sum + byteLength, 0))
  return { vectors, tokens: rows.map(({ ids }) => ids.length) }
}

function vectorOf({ task, vector }: TaskDescription): VectorOutput {
  if (task !== 'embedding' || vector === undefined) throw mismatch(task, ['embedding'])
  return vector
}

function checkDimensions(asked: number | undefined, { dimensions }: VectorOutput): void {
  if (asked === undefined || (Number.isInteger(asked) && asked >= 1 && asked <= dimensions)) return
  throw new VestalError('INPUT_INVALID', {
    detail: { dimensions: `must be an integer from 1 to ${dimensions}, the model’s own` },
  })
}

/** A prompt stands before each text: a long one would be as many times its length. */
const PROMPT_CHARACTERS_MAX = 16_384

async function promptedRows(call: TaskCall, texts: readonly Text[], options: EmbedOptions) {
  const input = textInputOf(call.task)
  if ((options.prompt?.length ?? 0) > PROMPT_CHARACTERS_MAX)
    throw new VestalError('INPUT_INVALID', {
      detail: { prompt: `has ${options.prompt?.length} characters; the most is ${PROMPT_CHARACTERS_MAX}` },
    })
  const prompt = options.prompt ?? promptOf(input, options.promptName)
  // Ids are what the model gets: nothing can be put before them.
  if (options.prompt !== undefined || options.promptName !== undefined)
    if (texts.some((text) => typeof text !== 'string'))
      throw new VestalError('INPUT_INVALID', { detail: 'A prompt cannot be put before ids of tokens; send texts' })
  const rows = await encodeTexts(call, texts, { ...options, prompt, isStripped: true })
  return {
    rows,
    promptTokens: prompt === '' || call.task.vector?.includesPrompt !== false ? 0 : await tokensBefore(call, input, prompt),
  }
}

/** The text that a name stands for, or that of the default. @throws VestalError INPUT_INVALID */
function promptOf({ prompts, defaultPrompt }: TextInput, name: string | undefined = defaultPrompt): string {
  if (name === undefined) return ''
  const prompt = Object.hasOwn(prompts, name) ? prompts[name] : undefined
  if (prompt !== undefined) return prompt
  const names = Object.keys(prompts)
  const known = names.length === 0 ? 'the model has none' : `the model has ${names.join(', ')}`
  throw new VestalError('INPUT_INVALID', {
    detail: { prompt_name: `${JSON.stringify(name.slice(0, 64))} is not known; ${known}${didYouMean(name, names)}` },
  })
}

/** Tokens of a prompt and the special ones before it. */
async function tokensBefore(call: TaskCall, { tokenizer, tokensMax }: TextInput, prompt: string): Promise<number> {
  const [encoded] = await encode({ file: tokenizer, texts: [prompt], tokensMax, cut: 'right', hasDetails: true }, call)
  const sequences = encoded !== undefined && 'windows' in encoded ? (encoded.windows[0]?.details?.sequences ?? []) : []
  return sequences.lastIndexOf(0) + 1
}

interface Pooled {
  readonly row: TextRow
  readonly vector: VectorOutput
  /** First token that counts. */
  readonly begin: number
}

function pooled(results: NamedTensors, { row, vector, begin }: Pooled): Float32Array {
  const { output, form, pooling } = vector
  if (form === 'vector') return Float32Array.from(floatsOf(results, output, 1).data)
  return pool({ ...tokenFloatsOf(results, output, row), begin }, pooling)
}

function denseOf(vector: Float32Array, layers: readonly Dense[]): Float32Array {
  return layers.reduce((input, layer) => layer(input), vector)
}

/** A vector for each token of each text, as the model gives them. @throws VestalError as `embed` */
export async function embedTokens(
  call: TaskCall,
  texts: readonly Text[],
  options: Pick<EmbedOptions, 'prompt' | 'promptName' | 'truncate' | 'truncationSide'> = {},
): Promise<{ readonly vectors: readonly (readonly Float32Array[])[]; readonly tokens: readonly number[] }> {
  const { output, form } = vectorOf(call.task)
  if (form !== 'tokens')
    throw new VestalError('TASK_MISMATCH', { detail: 'The model gives one vector for each text, and none for tokens' })
  const { rows } = await promptedRows(call, texts, options)
  const vectors = await computeRows(call, rows, {
    outputs: [output],
    read(results, row) {
      const { data, tokens, size } = tokenFloatsOf(results, output, row)
      call.hold?.(tokens * size * NUMBER_BYTES)
      return Array.from({ length: tokens }, (_, token) =>
        Float32Array.from({ length: size }, (_, place) => data[token * size + place] ?? 0),
      )
    },
  })
  return { vectors, tokens: rows.map(({ ids }) => ids.length) }
}

/** Bytes of a number of a token's vector, and of its text in the answer. */
const NUMBER_BYTES = 16

/** A place of a sparse vector, by its index in the vocabulary. */
export interface SparseEntry {
  readonly index: number
  readonly value: number
}

/** Rows of a masked language model at once: the scores of one are as many as its tokens times its vocabulary. */
const SPARSE_AT_ONCE = 4

/**
 * Gives a sparse vector for each text, as SPLADE does: of each word of the vocabulary the logarithm of 1 + its greatest score, where that
 * is positive.
 * @throws VestalError TASK_MISMATCH, and as `embed`
 */
export async function embedSparse(
  call: TaskCall,
  texts: readonly Text[],
  options: Pick<EmbedOptions, 'prompt' | 'promptName' | 'truncate' | 'truncationSide'> = {},
): Promise<{ readonly entries: readonly (readonly SparseEntry[])[]; readonly tokens: readonly number[] }> {
  const { output } = scoresOf(call.task, 'fill')
  const { rows } = await promptedRows(call, texts, options)
  const entries = await computeRows(call, rows, {
    outputs: [output],
    atOnceMax: SPARSE_AT_ONCE,
    async read(results, row) {
      const { data, tokens, size } = tokenFloatsOf(results, output, row)
      const most = new Float64Array(size)
      for (let token = 0; token < tokens; token += 1) {
        for (let index = 0; index < size; index += 1) {
          const score = data[token * size + index] ?? 0
          if (score > (most[index] ?? 0)) most[index] = score
        }
        await breathe()
      }
      const found = [...most.entries()].filter(([, score]) => score > 0)
      call.hold?.(found.length * ENTRY_BYTES)
      return found.map(([index, score]) => ({ index, value: Math.log1p(score) }))
    },
  })
  return { entries, tokens: rows.map(({ ids }) => ids.length) }
}

/** Bytes of an entry as an object. */
const ENTRY_BYTES = 48
