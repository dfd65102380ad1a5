/** What goes in and comes out of each task over HTTP, as JSON Schema, for the documentation of a model. */
import type { TaskDescription } from '../task.ts'
import { taskParameters } from './answer-task.ts'

/** A schema in the keywords that JSON Schema and OpenAPI 3.0 share. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** The shapes of a model's task. */
export interface TaskShapes {
  readonly input: JsonSchema
  readonly parameters: JsonSchema
  readonly output: JsonSchema
  /** An input to try; absent where it is a file. */
  readonly example?: unknown
}

interface Shape {
  readonly input: JsonSchema
  readonly output: JsonSchema
  readonly example?: unknown
  /** It is asked one input at a time; otherwise a list of inputs is answered with a list. */
  readonly isSingle?: true
}

/** More labels than these are not listed, since a document may have many models of 1 000 classes. */
const LABELS_MAX = 100

const TEXT = { type: 'string', description: 'A text' }
const LINE = 'A man is eating food.'
const number = { type: 'number' }
const integer = { type: 'integer' }
const string = { type: 'string' }

/** The shapes of a task: what `input`, `parameters` and `output` are. */
export function taskShapes(description: TaskDescription): TaskShapes {
  const { input, output, example, isSingle } = SHAPES[description.task](description)
  return {
    input: isSingle ? input : oneOrMany(input),
    parameters: taskParameters(description.task),
    output: isSingle ? output : oneOrMany(output),
    ...(example !== undefined && { example }),
  }
}

const SHAPES: Readonly<Record<TaskDescription['task'], (description: TaskDescription) => Shape>> = {
  embedding: ({ vector }) => ({ input: TEXT, output: { ...listOf(number), maxItems: vector?.dimensions }, example: LINE }),
  classify: ({ scores }) => ({ input: textOrPair(), output: scored(scores?.labels), example: LINE }),
  rerank: () => ({
    input: object({ query: string, texts: listOf(string) }),
    output: listOf(object({ index: integer, score: number, text: string }, ['index', 'score'])),
    example: { query: 'What is eaten?', texts: [LINE, 'The sky is blue.'] },
    isSingle: true,
  }),
  tokens: ({ scores }) => ({
    input: TEXT,
    output: listOf(
      object(
        {
          entity: label(scores?.labels),
          entity_group: string,
          index: integer,
          score: number,
          word: string,
          start: integer,
          end: integer,
        },
        ['score', 'word', 'start', 'end'],
      ),
    ),
    example: 'Ada lives in Paris.',
  }),
  'zero-shot': () => ({ input: TEXT, output: scored(), example: LINE }),
  fill: () => ({
    input: TEXT,
    // A list of lists where a text has several masks.
    output: { type: 'array', items: {}, description: 'Of one mask its tokens, best first; of several a list for each' },
  }),
  'image-classify': ({ scores }) => ({ input: file('picture'), output: scored(scores?.labels) }),
  detect: ({ boxes }) => ({
    input: file('picture'),
    output: listOf(
      object({
        label: label(boxes?.labels),
        score: number,
        box: object({ xmin: integer, ymin: integer, xmax: integer, ymax: integer }),
      }),
    ),
  }),
  segment: ({ masks }) => ({
    input: file('picture'),
    output: listOf(
      object({ label: label(masks?.labels), mask: { type: 'string', format: 'byte', description: 'A PNG in base64' } }),
    ),
  }),
  'audio-classify': ({ scores }) => ({ input: file('sound'), output: scored(scores?.labels) }),
}

function oneOrMany(one: JsonSchema): JsonSchema {
  return { anyOf: [one, listOf(one)] }
}

function listOf(items: JsonSchema): JsonSchema {
  return { type: 'array', items }
}

function object(properties: Readonly<Record<string, JsonSchema>>, required = Object.keys(properties)): JsonSchema {
  return { type: 'object', properties, required }
}

function textOrPair(): JsonSchema {
  return { anyOf: [TEXT, object({ text: string, text_pair: string }, ['text'])] }
}

function file(media: 'picture' | 'sound'): JsonSchema {
  return { type: 'string', format: 'byte', description: `A ${media} in base64, or a data URI of one` }
}

function scored(labels?: readonly string[]): JsonSchema {
  return listOf(object({ label: label(labels), score: number }))
}

function label(labels: readonly string[] = []): JsonSchema {
  return labels.length === 0 || labels.length > LABELS_MAX ? string : { type: 'string', enum: [...new Set(labels)] }
}
