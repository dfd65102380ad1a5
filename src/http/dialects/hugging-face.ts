import { type TObject, Type } from '@sinclair/typebox'
import { VestalError } from '../../core/errors.ts'
import { strict, text, words } from '../../schema/build.ts'
import { answerTask, taskQuestion } from '../../tasks/bodies/answer-task.ts'
import { shownEntity, shownFillings } from '../../tasks/bodies/text-tasks.ts'
import { shortScore } from '../../tasks/bodies/vector-json.ts'
import type { TaskCall } from '../../tasks/call.ts'
import type { LabelScore } from '../../tasks/scores.ts'
import type { TaskName } from '../../tasks/task.ts'
import { classify } from '../../tasks/text/classify.ts'
import { embed } from '../../tasks/text/embed.ts'
import { fillMask } from '../../tasks/text/fill-mask.ts'
import { classifyTokens } from '../../tasks/text/token-classes.ts'
import { zeroShot } from '../../tasks/text/zero-shot.ts'
import { isObject, type JsonObject, parseJson } from '../../tensor/exact-json.ts'
import type { Target, TaskCodec } from '../predict/codec.ts'
import { checkBeginsAsJson, readMediaBody } from '../predict/media-body.ts'
import { type Fields, fault, maybe, readFields, readTextList, readTexts, whole } from './bodies.ts'
import { codePointsOf } from './code-points.ts'
import { type Sequence, side, teiRerank, teiSimilarity, truncationOf } from './tei.ts'
import { jsonOfVectors, listOf } from './vectors.ts'

/** Texts of one request. */
const TEXTS_MAX = 2048
/** Labels of a zero-shot classification: each is a row of the model for each text. */
const LABELS_MAX = 256

const TRUNCATION = {
  truncate: maybe(Type.Boolean(), 'Cuts a text that is too long; default true. With false such a text is a 400.'),
  truncation_direction: maybe(side, 'The side that is cut, right or left; default that of the model'),
}
const topK = maybe(whole(1), 'How many there are in the answer, the best ones; default all')
const FEATURES = {
  ...TRUNCATION,
  normalize: maybe(Type.Boolean(), 'Makes vectors of length 1; default as the model says'),
  prompt_name: maybe(Type.String(), 'Name of a prompt of the model, which is put before each text'),
  dimensions: maybe(whole(1), 'Numbers of a vector: the first ones'),
}
/** `options` is for Hugging Face’s own servers. */
const INPUTS = {
  inputs: Type.Unknown({ description: 'As the task has it: a text, a list of texts, or a picture or sound in base64' }),
  parameters: Type.Optional(Type.Unknown({ description: 'As the task has them' })),
  options: Type.Optional(Type.Unknown({ description: 'Counts for nothing' })),
}
const HuggingFaceRequest = strict({ ...INPUTS, ...FEATURES })
const TaskRequest = strict(INPUTS)
const FeatureParameters = strict(FEATURES)
const ClassifyParameters = strict({
  top_k: topK,
  function_to_apply: maybe(
    words(['sigmoid', 'softmax', 'none']),
    'What makes scores of the model’s numbers; default as the model has it',
  ),
  ...TRUNCATION,
})
const TokensParameters = strict({
  aggregation_strategy: maybe(
    words(['none', 'simple', 'first', 'average', 'max']),
    'How tokens become entities; default simple, as Hugging Face’s own servers have it',
  ),
  ignore_labels: maybe(Type.Array(Type.String(), { maxItems: 1000 }), 'Labels that are left out; default O'),
  stride: maybe(whole(0), 'Tokens that the parts of a long text share; by default a long text is cut'),
  ...TRUNCATION,
})
const ZeroShotParameters = strict({
  candidate_labels: Type.Unknown({ description: `Up to ${LABELS_MAX} labels in a list, or in a text with commas between` }),
  hypothesis_template: maybe(Type.String(), 'A sentence with {} where a label stands; default `This example is {}.`'),
  multi_label: maybe(Type.Boolean(), 'Whether each label is judged by itself; default false'),
  ...TRUNCATION,
})
const FillParameters = strict({
  top_k: maybe(Type.Integer({ minimum: 1, maximum: 100 }), 'Tokens for each mask, best first; default 5'),
  ...TRUNCATION,
})
const Pair = strict({
  text: Type.String(),
  text_pair: maybe(Type.String(), 'A second text, which is read together with the first'),
})

/** What a body asks of a task: a function of the call that gives JSON. */
export type Ask = (call: TaskCall, target: Target) => Promise<string>

/** Reads the body of a task. @throws VestalError BODY_INVALID, INPUT_EMPTY */
type Reader = (body: JsonObject) => Ask

const TEXT_TASKS: Readonly<Partial<Record<TaskName, Reader>>> = {
  embedding: (body) => (isObject(body.inputs) ? similarity(body) : featureExtraction(body)),
  classify: textClassification,
  rerank: (body) => (body.query === undefined ? textClassification(body) : ranking(body)),
  tokens: tokenClassification,
  'zero-shot': zeroShotClassification,
  fill: maskFilling,
}

/** `POST /models/<name>/`: the model's task decides what a body is. */
export const huggingFace: TaskCodec<Ask> = {
  async decode(received, { task: description }) {
    const { task } = description
    if (description.image !== undefined || description.audio !== undefined) {
      const { input, parameters = {} } = await readMediaBody(received, ['options'])
      const question = taskQuestion(description, input, parameters)
      return (call) => answerTask(question, call)
    }
    const { bytes } = received
    const read = TEXT_TASKS[task]
    if (read === undefined) throw new VestalError('UNSUPPORTED', { detail: `The task ${task} has no body of this form` })
    checkBeginsAsJson(bytes, '{"inputs": "a text"}')
    const body = parseJson(bytes)
    if (!isObject(body)) throw fault('body', 'must be an object with "inputs"')
    return read(body)
  },
  answer: async (ask, call, target) => ({ json: await ask(call, target), blobs: [] }),
}

/** The parameters of a body. Feature extraction has them beside `inputs`, and all else in `parameters`. */
function parametersOf<S extends TObject>(schema: S, body: JsonObject): Fields<S> {
  const { parameters } = readFields(TaskRequest, body)
  return readFields(schema, parameters ?? {}, 'parameters')
}

/** A vector for each text, in a list for one text too. */
function featureExtraction(body: JsonObject): Ask {
  const { inputs, parameters, options: _, ...beside } = readFields(HuggingFaceRequest, body)
  const fields: Fields<typeof FeatureParameters> = { ...beside, ...readFields(FeatureParameters, parameters ?? {}, 'parameters') }
  const { texts } = readTexts(inputs, { field: 'inputs', max: TEXTS_MAX })
  const { normalize, dimensions, prompt_name: promptName } = fields
  const options = { normalize, dimensions, promptName, ...truncationOf(fields) }
  return async (call) => listOf(await jsonOfVectors((await embed(call, texts, options)).vectors))
}

/** Sentence similarity has the body of Text Embeddings Inference. */
function similarity({ options: _, ...body }: JsonObject): Ask {
  const asked = teiSimilarity.read(body, { mayBeIds: false })
  return (call, target) => teiSimilarity.answer(asked, call, target)
}

/** What a reranker is asked has the body of Text Embeddings Inference. */
function ranking({ options: _, ...body }: JsonObject): Ask {
  const asked = teiRerank.read(body, { mayBeIds: false })
  return (call, target) => teiRerank.answer(asked, call, target)
}

/** Labels for each text, in a list of lists for one text too: the clients of both languages look into the first. */
function textClassification(body: JsonObject): Ask {
  const { top_k: count, function_to_apply: activation, ...cut } = parametersOf(ClassifyParameters, body)
  const sequences = sequencesOf(body.inputs)
  return async (call) => {
    const { scores } = await classify(call, sequences, { activation, ...truncationOf(cut) })
    return JSON.stringify(scores.map((each) => each.slice(0, count).map(shown)))
  }
}

/** Entities of a text in a list, of several in a list of lists. Places are code points: that is what Python counts. */
function tokenClassification(body: JsonObject): Ask {
  const fields = parametersOf(TokensParameters, body)
  const { aggregation_strategy: aggregation = 'simple', ignore_labels: ignoreLabels, stride, ...cut } = fields
  const { texts, isOne } = plainTexts(body.inputs)
  return async (call) => {
    const { entities } = await classifyTokens(call, texts, { aggregation, ignoreLabels, stride, ...truncationOf(cut) })
    const written = entities.map((found, index) => {
      const place = codePointsOf(texts[index] ?? '')
      return found.map((entity) => shownEntity({ ...entity, start: place(entity.start), end: place(entity.end) }, aggregation))
    })
    return JSON.stringify(isOne ? written[0] : written)
  }
}

/** Labels and scores of a text: an object with the two in lists makes the client of Python throw. */
function zeroShotClassification(body: JsonObject): Ask {
  const {
    candidate_labels,
    hypothesis_template: template,
    multi_label: isMultiLabel,
    ...cut
  } = parametersOf(ZeroShotParameters, body)
  const labels = labelsOf(candidate_labels)
  const { texts, isOne } = plainTexts(body.inputs)
  if (texts.length * labels.length > TEXTS_MAX)
    throw fault('inputs', `has ${texts.length} texts for ${labels.length} labels; a request may have ${TEXTS_MAX} pairs of them`)
  return async (call) => {
    const written: unknown[] = []
    for (const each of texts) {
      const scores = await zeroShot(call, each, { labels, template, isMultiLabel, ...truncationOf(cut) })
      written.push(scores.map(shown))
    }
    return JSON.stringify(isOne ? written[0] : written)
  }
}

function labelsOf(value: unknown): readonly string[] {
  const field = 'parameters.candidate_labels'
  const list = typeof value === 'string' ? value.split(',').map((label) => label.trim()) : value
  const labels = readTextList(list, { field, max: LABELS_MAX })
  if (labels.includes('')) throw fault(field, 'has an empty label')
  return labels
}

/** Tokens for the mask of a text; for several masks a list of lists. */
function maskFilling(body: JsonObject): Ask {
  const { top_k: topK, ...cut } = parametersOf(FillParameters, body)
  const { texts, isOne } = plainTexts(body.inputs)
  return async (call) => {
    const { fillings } = await fillMask(call, texts, { topK, ...truncationOf(cut) })
    const written = fillings.map(shownFillings)
    return JSON.stringify(isOne ? written[0] : written)
  }
}

function plainTexts(inputs: unknown): { readonly texts: readonly string[]; readonly isOne: boolean } {
  const { texts, isOne } = readTexts(inputs, { field: 'inputs', max: TEXTS_MAX })
  // The cast: ids are rejected where nothing allows them.
  return { texts: texts as readonly string[], isOne }
}

function shown({ label, score }: LabelScore) {
  return { label, score: shortScore(score) }
}

function sequencesOf(inputs: unknown): readonly Sequence[] {
  if (isObject(inputs)) return [pairOf(inputs, 'inputs')]
  const list = Array.isArray(inputs) && inputs.some(isObject)
  if (!list) return plainTexts(inputs).texts
  if (inputs.length > TEXTS_MAX) throw fault('inputs', `has ${inputs.length} items; a request may have ${TEXTS_MAX}`)
  return inputs.map((each, index) => (typeof each === 'string' ? each : pairOf(each, `inputs[${index}]`)))
}

function pairOf(value: unknown, where: string): Sequence {
  const { text: first, text_pair: second } = readFields(Pair, value, where)
  return second === undefined ? first : [first, second]
}

/** What the route of Hugging Face takes and gives, by name. */
export const HUGGING_FACE_SCHEMAS = {
  HuggingFaceRequest,
  HuggingFaceAnswer: Type.Array(Type.Unknown(), { description: 'As the task has it' }),
  HuggingFaceFailure: Type.Object({ error: text('What is wrong') }),
}
