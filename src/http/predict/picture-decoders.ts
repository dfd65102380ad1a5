import { VestalError } from '../../core/errors.ts'
import type { PictureDecoder } from '../../tasks/image/decoder.ts'
import { createMediaPool, type MediaPoolOptions } from '../../tasks/media/media-pool.ts'
import type { MediaAnswer, MediaJob } from '../../tasks/media/messages.ts'
import { createTurns } from '../turns.ts'

/** Decodes pictures in processes apart, for the callers of a server. */
export interface PictureDecoders {
  /** For one caller, whose pictures take turns with those of others; `check` throws where its request is over when its turn comes. */
  of(subject: string, check: () => void): PictureDecoder
  /** Ends the processes. */
  close(): void
}

const PROCESSES_MAX = 2
/** Pictures that wait for a process, of all callers, and of one: two full requests and what they leave room for. */
const WAITING_MAX = 128
const SUBJECT_WAITING_MAX = 48

/** Prepares decoders; processes start with the first pictures. */
export function createPictureDecoders({ processesMax = PROCESSES_MAX, ...options }: MediaPoolOptions = {}): PictureDecoders {
  const pool = createMediaPool({ ...options, processesMax })
  const turns = createTurns({ atOnceMax: processesMax, waitingMax: WAITING_MAX, principalWaitingMax: SUBJECT_WAITING_MAX })
  const run = (subject: string, check: () => void, job: MediaJob): Promise<MediaAnswer> =>
    turns.run(subject, async () => {
      check()
      const answer = await pool.run(job)
      if (answer.kind === 'rejected') throw new VestalError('INPUT_INVALID', { detail: `The picture ${answer.reason}` })
      return answer
    })
  return {
    of: (subject, check) => ({
      async prepare(picture, input) {
        const answer = await run(subject, check, { kind: 'picture', picture, input })
        if (answer.kind !== 'picture') throw new Error('a job of a picture was answered with something else')
        return answer.prepared
      },
      async masks(scores, placement) {
        const answer = await run(subject, check, { kind: 'masks', scores, placement })
        if (answer.kind !== 'masks') throw new Error('a job of masks was answered with something else')
        return answer.masks
      },
    }),
    close: () => pool.close(),
  }
}
