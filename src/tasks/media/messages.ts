/** What a server and its media processes say to each other, as frames of a local socket. Pure. */
import { broken, type FrameBuffer, type FrameCursor, type ReadBytes } from '../../processes/frames.ts'
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

/** Writes a job as a frame. */
export function jobFrame(job: MediaJob): { readonly kind: number; readonly write: (buffer: FrameBuffer) => void } {
  if (job.kind === 'picture') {
    const write = (buffer: FrameBuffer) => {
      buffer.text(JSON.stringify(job.input))
      buffer.bytes(job.picture)
    }
    return { kind: PICTURE, write }
  }
  const write = (buffer: FrameBuffer) => {
    buffer.text(JSON.stringify(job.placement))
    buffer.tensor(job.scores, noStore)
  }
  return { kind: MASKS, write }
}

/** Reads a job; the server is trusted, and of the same version. */
export function readJob(cursor: FrameCursor): MediaJob {
  const kind = cursor.byte()
  const text = cursor.text()
  if (kind === PICTURE) return { kind: 'picture', input: JSON.parse(text), picture: cursor.bytes() }
  if (kind === MASKS) return { kind: 'masks', placement: JSON.parse(text), scores: cursor.tensor(noFile) }
  return broken('a job of an unknown kind')
}

/** Writes an answer as a frame. */
export function answerFrame(answer: MediaAnswer): { readonly kind: number; readonly write: (buffer: FrameBuffer) => void } {
  switch (answer.kind) {
    case 'picture': {
      const { tensor, placement } = answer.prepared
      const write = (buffer: FrameBuffer) => {
        for (const name of PLACES) buffer.number(placement[name])
        buffer.tensor(tensor, noStore)
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
export function readAnswer(cursor: FrameCursor): MediaAnswer {
  const kind = cursor.byte()
  const answer = readAnswerOf(kind, cursor)
  cursor.finish()
  return answer
}

function readAnswerOf(kind: number, cursor: FrameCursor): MediaAnswer {
  if (kind === PICTURE) {
    const placement = Object.fromEntries(PLACES.map((name) => [name, cursor.number()] as const))
    // The cast: each of the names was read.
    return { kind: 'picture', prepared: { placement: placement as unknown as Placement, tensor: cursor.tensor(noFile) } }
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

function noStore(): undefined {
  return undefined
}

const noFile: ReadBytes = () => broken('a tensor in a file, and there is none')
