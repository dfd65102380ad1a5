import { VestalError } from '../../core/errors.ts'
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts'
import type { TaskCall } from '../call.ts'
import { checkCount, named, nameOf } from '../items.ts'
import type { ImageInput, TaskDescription, TaskName } from '../task.ts'
import type { PictureDecoder, PictureTensor } from './decoder.ts'
import type { Placement } from './placement.ts'

/** Bytes of one picture, as it is sent. */
const PICTURE_BYTES_MAX = 20 * 1024 * 1024

/** How the pictures of a model become its input. @throws VestalError TASK_MISMATCH */
export function imageInputOf({ task, image }: TaskDescription, ...tasks: readonly TaskName[]): ImageInput {
  if (image !== undefined && (tasks.length === 0 || tasks.includes(task))) return image
  const asked = tasks.length === 0 ? 'pictures' : tasks.join(' or ')
  throw new VestalError('TASK_MISMATCH', { detail: `The model is for the task ${task}; this asks for ${asked}` })
}

/**
 * Computes pictures, each as a request of one row, and reads of each what is asked for; the results are in the order of the pictures.
 * @throws VestalError INPUT_INVALID and MEDIA_UNREADABLE, which name the picture; INPUTS_TOO_MANY, BODY_TOO_LARGE, and as the engine and `read`
 */
export async function computePictures<Result>(
  call: TaskCall,
  pictures: readonly Uint8Array[],
  outputs: readonly string[],
  read: (results: NamedTensors, placement: Placement, decoder: PictureDecoder) => Result | Promise<Result>,
): Promise<readonly Result[]> {
  const input = imageInputOf(call.task)
  const decoder = decoderOf(call)
  checkPictures(pictures, call.limits?.itemsMax)
  const work = async (picture: Uint8Array, index: number) => {
    const { tensor, placement } = await preparePicture(picture, { decoder, input, index, count: pictures.length })
    call.hold?.(bytesOf(tensor))
    if (call.signal?.aborted === true) throw new VestalError('REQUEST_ABORTED')
    const results = await call.infer(new Map([[input.input, tensor]]), { outputs })
    return await read(results, placement, decoder)
  }
  return await Promise.all(pictures.map(work))
}

/** What decodes the pictures of a call. @throws VestalError UNSUPPORTED */
function decoderOf({ pictures }: TaskCall): PictureDecoder {
  if (pictures !== undefined) return pictures
  throw new VestalError('UNSUPPORTED', { detail: 'Pictures are not decoded here; send the tensors of the model' })
}

/** @throws VestalError INPUTS_TOO_MANY, BODY_TOO_LARGE, INPUT_INVALID */
export function checkPictures(pictures: readonly Uint8Array[], itemsMax?: number): void {
  if (pictures.length === 0) throw new VestalError('INPUT_INVALID', { detail: 'The request has no picture' })
  checkCount(pictures.length, 'picture', itemsMax)
  for (const [index, { length }] of pictures.entries()) {
    if (length > PICTURE_BYTES_MAX)
      throw new VestalError('BODY_TOO_LARGE', {
        detail: `${nameOf({ media: 'picture', index, count: pictures.length })} has ${length} bytes; the most is ${PICTURE_BYTES_MAX}`,
      })
  }
}

interface Preparing {
  readonly decoder: PictureDecoder
  readonly input: ImageInput
  /** Of the picture among those of its request. */
  readonly index: number
  readonly count: number
}

/** Decodes one picture of a request. @throws VestalError INPUT_INVALID and MEDIA_UNREADABLE, which name it */
export async function preparePicture(picture: Uint8Array, { decoder, input, index, count }: Preparing): Promise<PictureTensor> {
  try {
    return await decoder.prepare(picture, input)
  } catch (error) {
    throw named(error, { media: 'picture', index, count })
  }
}

/** An output of the model. @throws VestalError INFERENCE_FAILED where it is not there, or no tensor of floating-point numbers */
export function outputOf(results: NamedTensors, name: string): Tensor {
  const tensor = results.get(name)
  if (tensor?.datatype.startsWith('FP')) return tensor
  throw wrongOutput(name, `is ${tensor?.datatype ?? 'missing'}; its task needs floating-point numbers`)
}

/** The error of an output that is not what the task needs, in words that follow the output's name. */
export function wrongOutput(name: string, what: string): VestalError {
  return new VestalError('INFERENCE_FAILED', { detail: `The output "${name}" of the model ${what}` })
}

function bytesOf({ data }: Tensor): number {
  return ArrayBuffer.isView(data) ? data.byteLength : 0
}
