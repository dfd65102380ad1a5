/** What a media process does: it decodes what a server sends it, one piece after the other, until its socket is closed. */
import { ExchangeFile } from '../../processes/exchange.ts'
import { ANSWERS_FILE, JOBS_FILE, SOCKET } from '../../processes/job-pool.ts'
import { openMessageSocket } from '../../processes/message-socket.ts'
import type { MaskPicture } from '../image/decoder.ts'
import { masksOf } from '../image/masks.ts'
import { preprocess } from '../image/preprocess.ts'
import { answerFrame, type MediaAnswer, type MediaJob, readJob } from './messages.ts'

/** Bytes of a job, with what it is decoded to, after which memory is given back. */
const LARGE_BYTES = 16 * 1024 * 1024

/** Answers jobs in the order in which they come. */
export function serveMedia(): void {
  const [jobs, answers] = [new ExchangeFile(JOBS_FILE), new ExchangeFile(ANSWERS_FILE)]
  let last = Promise.resolve()
  const socket = openMessageSocket(SOCKET, {
    frame(cursor) {
      const job = readJob(cursor, jobs.readBytes)
      last = last.then(async () => {
        const { kind, write } = answerFrame(await answerOf(job))
        answers.begin()
        socket.send(kind, (buffer) => write(buffer, answers.store))
      })
    },
    // Without exit handlers: those of native libraries may fail, and nothing depends on them.
    closed: () => process.kill(process.pid, 'SIGKILL'),
  })
}

async function answerOf(job: MediaJob): Promise<MediaAnswer> {
  const decoder = await importDecoder()
  if (decoder instanceof Error) return { kind: 'unavailable', reason: decoder.message }
  try {
    return job.kind === 'picture' ? await prepare(job, decoder) : await drawMasks(job, decoder)
  } catch (error) {
    if (error instanceof decoder.PictureError || error instanceof RangeError) return { kind: 'rejected', reason: error.message }
    throw error
  }
}

type Decoder = typeof import('./decode-picture.ts')

/** Imported late, so that what keeps it from loading is a reason that reaches the server. */
async function importDecoder(): Promise<Decoder | Error> {
  try {
    return await import('./decode-picture.ts')
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

async function prepare(job: Extract<MediaJob, { kind: 'picture' }>, { decodePicture }: Decoder): Promise<MediaAnswer> {
  const pixels = await decodePicture(job.picture)
  const { shape, data, placement } = preprocess(pixels, job.input)
  if (pixels.data.length + data.byteLength > LARGE_BYTES) setImmediate(() => Bun.gc(true))
  return { kind: 'picture', prepared: { tensor: { datatype: job.input.datatype, shape, data }, placement } }
}

async function drawMasks(
  { scores, placement }: Extract<MediaJob, { kind: 'masks' }>,
  { greyPng }: Decoder,
): Promise<MediaAnswer> {
  const [classes = 0, height = 0, width = 0] = scores.shape
  if (!ArrayBuffer.isView(scores.data)) throw new Error('scores are numbers')
  // The cast: scores are FP32 or FP16, whose elements are numbers.
  const map = { classes, height, width, data: scores.data as Float32Array }
  const masks: MaskPicture[] = []
  for (const { label, data } of masksOf(map, placement))
    masks.push({ label, png: await greyPng(data, placement.width, placement.height) })
  return { kind: 'masks', masks }
}
