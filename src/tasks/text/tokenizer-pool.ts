import { extname, join } from 'node:path'
import { VestalError } from '../../core/errors.ts'
import { usableCores } from '../../platform/cores.ts'
import { createJobPool, type JobPool, type JobTurn } from '../../processes/job-pool.ts'
import type { TaskCall } from '../call.ts'
import { jsonFrame, readAnswer, type TokenizerAnswer, type TokenizerJob } from './tokenizer-messages.ts'
import type { DecodeRequest, EncodedText, EncodeRequest } from './tokens.ts'

/** Processes at most: two, so that a text that hangs its process does not hold up all others; each encodes in several threads. */
const PROCESSES_MAX = Math.max(2, Math.min(4, Math.floor(usableCores() / 4)))
/** A job has at most 64 Ki characters, which take less than a tenth of a second; a large tokenizer is read in a second. */
const JOB_MS_MAX = 10_000
const MEMORY_BYTES_MAX = 2 * 1024 ** 3
/** A process that is not needed gives its memory back. */
const IDLE_MS = 600_000

let pool: JobPool<TokenizerJob, TokenizerAnswer> | undefined
let lost: (cause: string) => void = () => undefined

/** Sets who is notified of processes that end unexpectedly; replaces the former listener. */
export function reportLostTokenizers(report: (cause: string) => void): void {
  lost = report
}

/** The one of this program, which starts processes with the first texts: the library ends its process where it panics. */
function tokenizers(): JobPool<TokenizerJob, TokenizerAnswer> {
  pool ??= createJobPool({
    command: tokenizerCommand(),
    write: jsonFrame,
    read: readAnswer,
    processesMax: PROCESSES_MAX,
    jobMsMax: JOB_MS_MAX,
    memoryBytesMax: MEMORY_BYTES_MAX,
    idleMs: IDLE_MS,
    lost: (cause) => lost(cause),
    brokenBy: (reason) => new VestalError('TOKENIZING_FAILED', { detail: `The text, or one sent with it, ${reason}` }),
  })
  return pool
}

/** The command that starts a process: this program again; an executable knows by its first argument. */
function tokenizerCommand(): readonly string[] {
  if (Bun.isStandaloneExecutable) return [process.execPath, 'tokenizer']
  // In the package the program has the ending of this file: .js.
  return [process.execPath, '--no-install', '--smol', join(import.meta.dir, `tokenizer-main${extname(import.meta.path)}`)]
}

/** What is known of the request that texts are encoded for: its subject takes turns with others, and its time and signal count. */
export type Encoder = Pick<TaskCall, 'subject' | 'signal' | 'leftMs'>

/** Characters that cost as much as a text beside its characters. */
const TEXT_CHARACTERS = 64

function turnOf({ subject, signal, leftMs }: Encoder, texts: EncodeRequest['texts'] = []): JobTurn {
  const characters = texts.reduce(
    (sum, text) => sum + TEXT_CHARACTERS + (typeof text === 'string' ? text.length : text[0].length + text[1].length),
    0,
  )
  return { subject, signal, timeoutMs: leftMs?.(), cost: Math.max(1, characters / TEXT_CHARACTERS) }
}

/**
 * Encodes texts as Rust's `tokenizers` does, in a process of its own. The truncation and the padding that the file describes are not used.
 * @throws VestalError TOKENIZING_FAILED, MODEL_UNAVAILABLE, WORKER_LOST, REQUEST_ABORTED, QUEUE_TIMEOUT
 */
export async function encode(request: EncodeRequest, by: Encoder = {}): Promise<readonly EncodedText[]> {
  if (request.texts.length === 0) return []
  const { texts } = await answerTo({ kind: 'encode', request }, 'encoded', turnOf(by, request.texts))
  if (texts.length === request.texts.length) return texts
  throw new VestalError('WORKER_LOST', { reason: 'a tokenizer process gave another number of texts' })
}

/** The texts of lists of ids. @throws VestalError as `encode` */
export async function decode(request: DecodeRequest, by: Encoder): Promise<readonly string[]> {
  const { texts } = await answerTo({ kind: 'decode', request }, 'decoded', turnOf(by))
  return texts
}

async function answerTo<Kind extends 'encoded' | 'decoded'>(
  job: TokenizerJob,
  kind: Kind,
  turn: JobTurn,
): Promise<TokenizerAnswer & { readonly kind: Kind }> {
  const answer = await tokenizers().run(job, turn)
  if (answer.kind === 'failed') {
    const { code, message: detail } = answer.failure
    throw new VestalError(code === 'failed' ? 'TOKENIZING_FAILED' : 'MODEL_UNAVAILABLE', { detail, cause: answer.failure })
  }
  // The cast: the kinds are compared.
  if (answer.kind === kind) return answer as TokenizerAnswer & { readonly kind: Kind }
  throw new VestalError('WORKER_LOST', { reason: 'a tokenizer process gave another kind of answer' })
}
