/** The tables of model.toml that say what a model does beside tensors: what they name counts before anything that is guessed. */
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { words } from '../../schema/build.ts'
import { table, tableByName, whole } from '../../schema/toml-file.ts'
import { TASKS } from '../task.ts'

/** Longest text that a model may take, in tokens. */
export const TOKENS_MAX = 131_072
/** Class names of an output. */
export const LABELS_MAX = 100_000
export const PROMPTS_MAX = 64
export const PROMPT_LENGTH_MAX = 10_000
/** Pixels of a side. */
export const SIDE_MAX = 8192
const SECONDS_MAX = 3600
/** Words for the ways in which the vectors of tokens become one. */
const POOLINGS = ['cls', 'max', 'mean', 'mean-sqrt', 'weighted-mean', 'last'] as const
const FILTERS = ['nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos', 'opencv-linear'] as const
export const SIMILARITIES = ['cosine', 'dot', 'euclidean', 'manhattan'] as const

const optional = <S extends TSchema>(schema: S) => Type.Optional(schema)
const name = Type.String({ minLength: 1, maxLength: 256, rule: 'must be a name of 1 to 256 characters' })
const path = Type.String({
  pattern: '^(?!/)(?!(.*/)?\\.\\.?(/|$))[^\\\\\\0:]{1,255}$',
  rule: 'must be a path inside the folder of the version, of at most 255 characters',
})
const side = words(['left', 'right'])
const number = (minimum: number, maximum: number) =>
  Type.Number({ minimum, maximum, rule: `must be a number from ${minimum} to ${maximum}` })
const labels = Type.Array(Type.String({ maxLength: 1000 }), {
  minItems: 1,
  maxItems: LABELS_MAX,
  rule: `must be a list of 1 to ${LABELS_MAX} strings`,
})
const pixels = whole([1, SIDE_MAX])
/** Height and width, or both at once. */
const size = Type.Union([pixels, Type.Tuple([pixels, pixels])], {
  rule: `must be a whole number from 1 to ${SIDE_MAX}, or a list of two: height and width`,
})
const channelValue = number(-1e6, 1e6)
/** One number for each channel, or one for all. */
const byChannel = Type.Union([channelValue, Type.Array(channelValue, { minItems: 1, maxItems: 3 })], {
  rule: 'must be a number, or a list with one for each channel',
})

/** The keys of model.toml that say what a model does. */
export const TASK_TABLES = {
  /** What the model is for; `tensors` has all of these files ignored. */
  task: optional(words(TASKS)),
  huggingface: optional(table({ file: optional(path) })),
  text: optional(
    table({
      tokenizer: optional(path),
      tokens_max: optional(whole([1, TOKENS_MAX])),
      truncation_side: optional(side),
      padding_side: optional(side),
      pad_id: optional(whole([0, 2 ** 31 - 1])),
      strip: optional(Type.Boolean()),
      default_prompt: optional(name),
      inputs: optional(table({ ids: optional(name), mask: optional(name), types: optional(name), positions: optional(name) })),
    }),
  ),
  prompts: optional(
    tableByName(
      Type.String({ maxLength: PROMPT_LENGTH_MAX, rule: `must be a string of at most ${PROMPT_LENGTH_MAX} characters` }),
      {
        maxProperties: PROMPTS_MAX,
        rule: `must be a table of at most ${PROMPTS_MAX} strings`,
      },
    ),
  ),
  embedding: optional(
    table({
      output: optional(name),
      pooling: optional(
        Type.Union([words(POOLINGS), Type.Array(words(POOLINGS), { minItems: 1, maxItems: POOLINGS.length })], {
          rule: `must be one of ${POOLINGS.join(', ')}, or a list of them`,
        }),
      ),
      include_prompt: optional(Type.Boolean()),
      normalize: optional(Type.Boolean()),
      similarity: optional(words(SIMILARITIES)),
    }),
  ),
  scores: optional(
    table({ output: optional(name), labels: optional(labels), activation: optional(words(['softmax', 'sigmoid', 'none'])) }),
  ),
  image: optional(
    table({
      input: optional(name),
      layout: optional(words(['NCHW', 'NHWC'])),
      channels: optional(words(['RGB', 'BGR', 'grey'])),
      resize: optional(words(['warp', 'shortest', 'letterbox', 'none'])),
      size: optional(size),
      longest_max: optional(pixels),
      filter: optional(words(FILTERS)),
      place: optional(words(['center', 'start'])),
      fill: optional(whole([0, 255])),
      crop: optional(size),
      scale: optional(number(0, 1000)),
      mean: optional(byChannel),
      std: optional(byChannel),
    }),
  ),
  boxes: optional(
    table({
      form: optional(words(['yolo', 'yolo-objectness', 'detr'])),
      output: optional(name),
      boxes: optional(name),
      labels: optional(labels),
      threshold: optional(number(0, 1)),
      overlap_max: optional(number(0, 1)),
      across_classes: optional(Type.Boolean()),
    }),
  ),
  masks: optional(table({ output: optional(name), labels: optional(labels) })),
  audio: optional(
    table({
      input: optional(name),
      rate: optional(whole([1000, 192_000])),
      seconds_max: optional(number(0.01, SECONDS_MAX)),
      normalize: optional(Type.Boolean()),
    }),
  ),
} as const

const TaskTables = table(TASK_TABLES)

/** What model.toml says of what a model does, key by key. */
export type TaskTables = Static<typeof TaskTables>
