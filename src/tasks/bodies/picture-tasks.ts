import { Type } from '@sinclair/typebox'
import { VestalError } from '../../core/errors.ts'
import { strict, words } from '../../schema/build.ts'
import type { TaskCall } from '../call.ts'
import { classifyImages } from '../image/classify-images.ts'
import { type DetectedBox, detect } from '../image/detect.ts'
import { type Segment, segment } from '../image/segment.ts'
import { checkCount } from '../items.ts'
import type { TaskBodies } from './task-bodies.ts'
import { bodiesOf, classification } from './task-parameters.ts'
import { shortScore } from './vector-json.ts'

// The names of parameters are those of Hugging Face's tasks, where it has one.

const share = (description: string) => Type.Optional(Type.Number({ minimum: 0, maximum: 1, description }))
const ClassifyParameters = strict({
  ...classification('picture'),
})
const DetectParameters = strict({
  threshold: share('Least score of a box; default as the model has it'),
  overlap_max: share('Overlap from which the lesser of two boxes is dropped; default as the model has it'),
})
const SegmentParameters = strict({
  subtask: Type.Optional(words(['semantic'], { description: 'The one kind of segmentation that there is' })),
})

/** The bodies of tasks whose input are pictures. */
export const PICTURE_TASKS = {
  'image-classify': bodiesOf(ClassifyParameters, async (input, { top_k: topK, function_to_apply: activation }, call) => {
    const { pictures, isOne } = picturesOf(input, call)
    const scores = await classifyImages(call, pictures, { topK, activation })
    return listOrOne(
      scores.map((labels) => labels.map(({ label, score }) => ({ label, score: shortScore(score) }))),
      isOne,
    )
  }),
  detect: bodiesOf(DetectParameters, async (input, { threshold, overlap_max: overlapMax }, call) => {
    const { pictures, isOne } = picturesOf(input, call)
    const found = await detect(call, pictures, { threshold, overlapMax })
    return listOrOne(
      found.map((boxes) => boxes.map(shownBox)),
      isOne,
    )
  }),
  segment: bodiesOf(SegmentParameters, async (input, _parameters, call) => {
    const { pictures, isOne } = picturesOf(input, call)
    const segments = await segment(call, pictures)
    return listOrOne(
      segments.map((each) => each.map(shownSegment)),
      isOne,
    )
  }),
} satisfies Readonly<Record<string, TaskBodies>>

function listOrOne(results: readonly unknown[], isOne: boolean): string {
  return JSON.stringify(isOne ? results[0] : results)
}

/** Pixels are whole numbers, as Hugging Face's pipelines have them. */
function shownBox({ label, score, box }: DetectedBox) {
  const { xmin, ymin, xmax, ymax } = box
  return {
    label,
    score: shortScore(score),
    box: { xmin: Math.trunc(xmin), ymin: Math.trunc(ymin), xmax: Math.trunc(xmax), ymax: Math.trunc(ymax) },
  }
}

/** Without a score: the JavaScript client of Hugging Face throws where there is one that is no number. */
function shownSegment({ label, png }: Segment) {
  return { label, mask: Buffer.from(png.buffer, png.byteOffset, png.byteLength).toString('base64') }
}

function picturesOf(input: unknown, call: TaskCall): { readonly pictures: readonly Uint8Array[]; readonly isOne: boolean } {
  const { files, isOne } = filesOf(input, 'picture', call)
  return { pictures: files, isOne }
}

type Media = 'picture' | 'sound'

/** Pictures or sounds of a body: bytes, or texts with base64. @throws VestalError BODY_INVALID, INPUTS_TOO_MANY */
export function filesOf(
  input: unknown,
  media: Media,
  { limits, hold }: Pick<TaskCall, 'limits' | 'hold'>,
): { readonly files: readonly Uint8Array[]; readonly isOne: boolean } {
  const isOne = !Array.isArray(input)
  const inputs: readonly unknown[] = isOne ? [input] : input
  // Before any is decoded: a body has room for millions of empty ones.
  checkCount(inputs.length, media, limits?.itemsMax)
  const files = inputs.map((each, index) => fileOf(each, isOne ? 'input' : `input[${index}]`, media))
  // What stood in a text, or in a form, is there twice.
  if (!(input instanceof Uint8Array)) hold?.(files.reduce((sum, { length }) => sum + length, 0))
  return { files, isOne }
}

const ruleOf = (media: Media) => `must be a ${media} in base64, a data URI of one, or a list of these`

function fileOf(input: unknown, field: string, media: Media): Uint8Array {
  if (input instanceof Uint8Array) return input
  if (typeof input !== 'string') throw invalid(field, ruleOf(media))
  if (/^\s*(?:[a-z][a-z+.-]*:)?\/\//i.test(input.slice(0, 64)))
    throw invalid(field, `must be the ${media} itself, in base64: this server fetches no URL`)
  return bytesOfBase64(input, field, media)
}

/** The bytes of base64, alone or in a data URI. @throws VestalError BODY_INVALID */
export function bytesOfBase64(text: string, field: string, media: Media = 'picture'): Uint8Array {
  const uri = /^data:[^,]{0,200}?;base64,/i.exec(text.slice(0, 256))
  if (uri === null && text.startsWith('data:')) throw invalid(field, 'must be a data URI with ";base64,"')
  const base64 = uri === null ? text : text.slice(uri[0].length)
  try {
    return Uint8Array.fromBase64(base64)
  } catch (error) {
    throw new VestalError('BODY_INVALID', { detail: { [field]: ruleOf(media) }, cause: error })
  }
}

function invalid(field: string, rule: string): VestalError {
  return new VestalError('BODY_INVALID', { detail: { [field]: rule } })
}
