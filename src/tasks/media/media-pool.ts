import { extname, join } from 'node:path'
import { VestalError } from '../../core/errors.ts'
import { createJobPool } from '../../processes/job-pool.ts'
import { jobFrame, type MediaAnswer, type MediaJob, readAnswer } from './messages.ts'

export interface MediaPoolOptions {
  /** Processes at most, and with them jobs at once; default 2. */
  readonly processesMax?: number | undefined
  /** Milliseconds that a job may take; default 10 seconds. */
  readonly jobMsMax?: number
  /** Bytes of memory (resident set) that a process may hold; default 1 GiB. */
  readonly memoryBytesMax?: number
  /** Milliseconds without a job after which a process ends; default a minute. */
  readonly idleMs?: number
  /** The command that starts a process; default this program. */
  readonly command?: readonly string[]
  /** Called where a process ends that was not to end: `SIGSEGV`, `exit code 1`, `time limit`, `memory limit`. */
  readonly lost?: (cause: string) => void
}

/** Processes that decode what clients send, so that a picture that crashes its decoder, or never ends, harms no other request. */
export interface MediaPool {
  /**
   * Does a job once a process is free; callers limit how many wait.
   * @throws VestalError MEDIA_UNREADABLE where it breaks a limit or its process, UNSUPPORTED where this system cannot, WORKER_LOST
   */
  run(job: MediaJob): Promise<Exclude<MediaAnswer, { kind: 'unavailable' }>>
  /** Ends all processes, with what they do. */
  close(): void
}

const PROCESSES_MAX = 2
const JOB_MS_MAX = 10_000
const MEMORY_BYTES_MAX = 1024 ** 3
const IDLE_MS = 60_000
/** A process that holds more once its job is done is replaced: decoders keep what they took. */
const KEPT_BYTES = 384 * 1024 * 1024
/**
 * For the C library, whose memory the decoders take: what a picture of usual size took is kept for the next one, since the system clears each page
 * that it gives out.
 */
const ENVIRONMENT = { MALLOC_TRIM_THRESHOLD_: String(64 * 2 ** 20), MALLOC_MMAP_THRESHOLD_: String(32 * 2 ** 20) }
/** Answering HTTP comes first. */
const NICENESS = 5

/** Prepares processes, which start with the first jobs. */
export function createMediaPool(options: MediaPoolOptions = {}): MediaPool {
  const pool = createJobPool<MediaJob, MediaAnswer>({
    command: options.command ?? mediaCommand(),
    write: jobFrame,
    read: readAnswer,
    processesMax: options.processesMax ?? PROCESSES_MAX,
    jobMsMax: options.jobMsMax ?? JOB_MS_MAX,
    memoryBytesMax: options.memoryBytesMax ?? MEMORY_BYTES_MAX,
    keptBytesMax: KEPT_BYTES,
    idleMs: options.idleMs ?? IDLE_MS,
    hasExchange: true,
    environment: ENVIRONMENT,
    niceness: NICENESS,
    isLast: ({ kind }) => kind === 'unavailable',
    brokenBy: (reason) => new VestalError('MEDIA_UNREADABLE', { detail: `The picture ${reason}`, reason }),
    lost: options.lost,
  })
  return {
    async run(job) {
      const answer = await pool.run(job)
      if (answer.kind !== 'unavailable') return answer
      throw new VestalError('UNSUPPORTED', { detail: 'This server cannot decode pictures on this system', reason: answer.reason })
    },
    close: () => pool.close(),
  }
}

/** The command that starts a media process: this program again; an executable knows by its first argument. */
function mediaCommand(): readonly string[] {
  if (Bun.isStandaloneExecutable) return [process.execPath, 'media']
  // In the package the program has the ending of this file: .js.
  return [process.execPath, '--no-install', '--smol', join(import.meta.dir, `main${extname(import.meta.path)}`)]
}
