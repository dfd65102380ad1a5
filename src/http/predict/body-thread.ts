/** The program of a thread that reads large bodies: `body-threads.ts` starts it. */
import { yieldThread } from '../../platform/yield-thread.ts'
import { type BodyJob, doJob, type ThreadMessage } from './body-job.ts'
import type { BodyCodec, CodecName } from './codec.ts'
import { openInference } from './open-inference.ts'
import { rows } from './rows.ts'

/** The cast: what a form is, only its own codec knows. */
const CODECS = { rows, 'open-inference': openInference } as Readonly<Record<CodecName, unknown>> as Readonly<
  Record<CodecName, BodyCodec<unknown>>
>
/** Answering HTTP comes first. */
const NICENESS = 5

declare const self: Worker

yieldThread(NICENESS)
self.onmessage = async ({ data }: MessageEvent<BodyJob>) => {
  const { message, transfer } = await doJob(CODECS[data.codec], data)
  self.postMessage(message, [...transfer])
}
self.postMessage({ kind: 'started' } satisfies ThreadMessage)
