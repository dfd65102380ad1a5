import { VestalError } from '../../core/errors.ts'
import { filesOf } from '../../tasks/bodies/picture-tasks.ts'
import type { RowForm } from '../../tensor/rows.ts'
import { ELEMENTS_MAX } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { BodyCodec, Question } from './codec.ts'
import { type MediaQuestion, readMediaBody } from './media-body.ts'
import { rows } from './rows.ts'

/** The body of a `model.ts` whose input is a picture: a file, a form, or base64 in JSON, answered as rows are. */
export function pictureBody(contentType: string | null): BodyCodec<RowForm> {
  return {
    ...rows,
    name: undefined,
    decode(bytes) {
      const read = readMediaBody({ bytes, contentType })
      return read instanceof Promise ? read.then(questionOf) : questionOf(read)
    },
  }
}

function questionOf({ input, parameters }: MediaQuestion): Question<RowForm> {
  if (parameters !== undefined)
    throw new VestalError('BODY_INVALID', {
      detail: { parameters: 'is not a field of this body: model.ts takes the picture alone' },
    })
  return pictureQuestion([input])
}

/** A request of one picture, which is bytes or base64. @throws VestalError BODY_INVALID, INPUT_INVALID where there are several */
export function pictureQuestion(pictures: readonly unknown[]): Question<RowForm> {
  const { files } = filesOf(pictures.length === 1 ? pictures[0] : pictures, 'picture', {})
  if (files.length !== 1)
    throw new VestalError('INPUT_INVALID', { detail: `The model takes one picture in a request; ${files.length} came` })
  return { tensors: new Map(), pictures: files, form: 'rows' }
}

/** @throws VestalError INPUT_INVALID where a picture has more pixels than a `model.ts` can be given */
export function checkDecoded({ shape: [, height = 0, width = 0], data }: Tensor): void {
  if (data.length <= ELEMENTS_MAX) return
  throw new VestalError('INPUT_INVALID', {
    detail: `The picture has ${width}×${height} pixels; model.ts takes at most ${Math.floor(ELEMENTS_MAX / 3e6)} million`,
  })
}
