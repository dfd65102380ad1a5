/** What a server and its media processes say to each other, as frames of a local socket. Pure. */
import { broken, type FrameBuffer, type FrameCursor, type ReadBytes, type StoreBytes } from '../../processes/frames.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { MaskPicture, PictureTensor } from '../image/decoder.ts'
import type { Placement } from '../image/placement.ts'
import type { ImageInput } from '../task.ts'

export type MediaJob =
  | { readonly kind: 'picture'; readonly picture: Uint8Array; readonly input: ImageInput }
  /** `scores` is [classes, height, width]. */
  | { readonly kind: 'masks'; readonly scores: Tensor; readonly placement: Placement }

export type MediaAnswer =
  | { readonly kind: 'picture'; readonly prepared: PictureTensor }
  | { readonly kind: 'masks'; readonly masks: readonly MaskPicture[] }
  /** What the caller sent cannot be used; the text completes "the picture …". */
  | { readonly kind: 'rejected'; readonly reason: string }
  /** This system cannot do it. */
  | { readonly kind: 'unavailable'; readonly reason: string }

/** Kinds of frames, of jobs and of answers. */
const [PICTURE, MASKS, REJECTED, UNAVAILABLE] = [1, 2, 3, 4]

/** A frame of a kind, whose long bytes `store` takes. */
interface MediaFrame {
  readonly kind: number
  readonly write: (buffer: FrameBuffer, store: StoreBytes) => void
}

/** Writes a job as a frame. */
export function jobFrame(job: MediaJob): MediaFrame {
  if (job.kind === 'picture') {
    const { picture, input } = job
    const write = (buffer: FrameBuffer, store: StoreBytes) => {
      buffer.text(JSON.stringify(input))
      buffer.tensor({ datatype: 'UINT8', shape: [picture.length], data: picture }, store)
    }
    return { kind: PICTURE, write }
  }
  const write = (buffer: FrameBuffer, store: StoreBytes) => {
    buffer.text(JSON.stringify(job.placement))
    buffer.tensor(job.scores, store)
  }
  return { kind: MASKS, write }
}

/** Reads a job; the server is trusted, and of the same version. */
export function readJob(cursor: FrameCursor, readBytes: ReadBytes): MediaJob {
  const kind = cursor.byte()
  const text = cursor.text()
  if (kind !== PICTURE && kind !== MASKS) return broken('a job of an unknown kind')
  const tensor = cursor.tensor(readBytes)
  if (kind === MASKS) return { kind: 'masks', placement: JSON.parse(text), scores: tensor }
  if (tensor.data instanceof Uint8Array) return { kind: 'picture', input: JSON.parse(text), picture: tensor.data }
  return broken('a picture that is no bytes')
}

/** Writes an answer as a frame. */
export function answerFrame(answer: MediaAnswer): MediaFrame {
  switch (answer.kind) {
    case 'picture': {
      const { tensor, placement } = answer.prepared
      const write = (buffer: FrameBuffer, store: StoreBytes) => {
        for (const name of PLACES) buffer.number(placement[name])
        buffer.tensor(tensor, store)
      }
      return { kind: PICTURE, write }
    }
    case 'masks': {
      const write = (buffer: FrameBuffer) => {
        buffer.count(answer.masks.length)
        for (const { label, png } of answer.masks) {
          buffer.count(label)
          buffer.bytes(png)
        }
      }
      return { kind: MASKS, write }
    }
    case 'rejected':
      return { kind: REJECTED, write: (buffer) => buffer.text(answer.reason) }
    case 'unavailable':
      return { kind: UNAVAILABLE, write: (buffer) => buffer.text(answer.reason) }
  }
}

/** Reads an answer: of a process that a picture may have taken over, so that nothing of it is trusted but its form. */
export function readAnswer(cursor: FrameCursor, readBytes: ReadBytes): MediaAnswer {
  const kind = cursor.byte()
  const answer = readAnswerOf(kind, cursor, readBytes)
  cursor.finish()
  return answer
}

function readAnswerOf(kind: number, cursor: FrameCursor, readBytes: ReadBytes): MediaAnswer {
  if (kind === PICTURE) {
    const placement = Object.fromEntries(PLACES.map((name) => [name, cursor.number()] as const))
    // The cast: each of the names was read.
    return { kind: 'picture', prepared: { placement: placement as unknown as Placement, tensor: cursor.tensor(readBytes) } }
  }
  if (kind === MASKS) {
    const masks = cursor.list(() => ({ label: cursor.count(), png: cursor.bytes() }))
    return { kind: 'masks', masks }
  }
  if (kind === REJECTED) return { kind: 'rejected', reason: cursor.text() }
  if (kind === UNAVAILABLE) return { kind: 'unavailable', reason: cursor.text() }
  return broken('an answer of an unknown kind')
}

const PLACES = ['width', 'height', 'scaleX', 'scaleY', 'offsetX', 'offsetY', 'inputWidth', 'inputHeight'] as const
