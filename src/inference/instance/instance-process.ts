import { extname, join } from 'node:path'
import { invariant } from '../../core/invariant.ts'
import { emptyEnvironment, residentBytesOf } from '../../processes/child.ts'
import { createExchangeFile } from '../../processes/exchange.ts'
import { FrameAssembler } from '../../processes/frames.ts'
import { openSocket } from '../../processes/open-socket.ts'
import type { BatchCheck, BatchTrial } from '../messages.ts'
import { FrameReader, FrameWriter, LANES } from './frames.ts'
import type { FromInstance, LoadedMessage, RunMessage, ToInstance } from './messages.ts'

/** What ended an instance process. */
export interface InstanceEnd {
  /** `SIGFPE`, `exit code 1`, or which limit it broke and by what, in words for the log. */
  readonly cause: string
  /** One of few words: the signal, the exit code, or the kind of limit. */
  readonly label: string
  /** The server killed it, for a limit that it broke. */
  readonly isKilled: boolean
  /** Another model of the process was at work: nothing that this one was given had begun. */
  readonly isOthers?: true
}

/** Why the server kills an instance process. */
export type KillLabel = 'run limit' | 'load limit' | 'memory limit' | 'broken protocol' | 'stopped'

export interface InstanceEvents {
  readonly message: (message: FromInstance) => void
  /** Its next run or check begins now, which had to wait for other models of its process. */
  readonly begun?: () => void
  /** It is gone, and nothing comes from it any more. */
  readonly ended: (end: InstanceEnd) => void
}

/** A process that computes with a model, as the server has it; or one model's part of a process that several share. */
export interface InstanceProcess {
  readonly pid: number
  /** Tells it something. Tensors are copied before this returns. */
  send(message: ToInstance): void
  /** Hands it a run, which begins when those before it are done. Tensors are copied before this returns. */
  run(message: RunMessage): void
  /** Asks whether rows of several requests may be computed together; its turn is as that of a run. */
  check(trial: BatchTrial, session?: number): void
  /** Ends it at once, whatever it does; both are what `ended` says. */
  kill(label: KillLabel, cause: string): void
  /** Bytes of memory that it holds (resident set); undefined where the system does not say. */
  residentBytes(): number | undefined
  /** Resolves once it is gone. */
  readonly gone: Promise<void>
}

export type StartInstance = (events: InstanceEvents) => InstanceProcess

/** Memory is given back when an instance was idle for this long. */
const IDLE_MS = 5_000

/** The command that starts an instance: this program again; an executable knows by its first argument. */
export function instanceCommand(): readonly string[] {
  if (Bun.isStandaloneExecutable) return [process.execPath, 'instance']
  // In the package the program has the ending of this file: .js.
  return [process.execPath, '--no-install', '--smol', join(import.meta.dir, `main${extname(import.meta.path)}`)]
}

/** ONNX Runtime reads it when it is loaded, and sends nothing anywhere. */
const RUNTIME_ENVIRONMENT = { ORT_DISABLE_TELEMETRY: '1' }

/** Starts an instance process, with nothing of the server's: an empty environment, and of its files the socket and the exchange files. */
export function startInstanceProcess(command: readonly string[], events: InstanceEvents): InstanceProcess {
  const lanes = Array.from({ length: LANES }, () => ({ inputs: createExchangeFile(), outputs: createExchangeFile() }))
  const child = Bun.spawn([...command], {
    cwd: '/',
    env: { ...RUNTIME_ENVIRONMENT, ...emptyEnvironment() },
    stdio: [
      'ignore',
      'ignore',
      'ignore',
      'socket-fd',
      ...lanes.flatMap(({ inputs, outputs }) => [inputs.descriptor, outputs.descriptor]),
    ],
    onExit: (_, code, signal) => ended(signal === null ? `exit code ${code}` : String(signal)),
  })
  const [, , , descriptor] = child.stdio
  invariant(typeof descriptor === 'number', 'a local socket is a descriptor here')
  const assembler = new FrameAssembler()
  const connection = openSocket(descriptor, {
    data: (piece) => assembler.push(piece, received),
    closed: () => ended(undefined),
  })
  const writer = new FrameWriter()
  const gone = Promise.withResolvers<void>()
  /** Lanes without a run, and those of the runs that were handed over, in order. */
  const free = lanes.map((_, lane) => lane)
  const taken: (number | undefined)[] = []
  let why: InstanceEnd | undefined
  let isExited = false
  let isClosed = false
  let idle: Timer | undefined

  const kill = (label: KillLabel, cause: string) => {
    why ??= { cause, label, isKilled: true }
    child.kill('SIGKILL')
  }
  /** Both must be over: what it wrote last may come after its end. */
  function ended(exit: string | undefined): void {
    if (exit === undefined) isClosed = true
    else isExited = true
    if (exit !== undefined) why ??= { cause: exit, label: exit, isKilled: false }
    if (isClosed && !isExited) child.kill('SIGKILL')
    if (!isClosed || !isExited) return
    clearTimeout(idle)
    for (const { inputs, outputs } of lanes) {
      inputs.close()
      outputs.close()
    }
    events.ended(why ?? { cause: 'no known cause', label: 'unknown', isKilled: false })
    gone.resolve()
  }
  function received(frame: Uint8Array): void {
    let message: FromInstance
    try {
      message = read(frame)
    } catch (error) {
      // A process that runs a model's code is not trusted.
      kill('broken protocol', error instanceof Error ? error.message : String(error))
      return
    }
    events.message(message)
  }
  function read(frame: Uint8Array): FromInstance {
    const reader = new FrameReader(frame)
    if (reader.kind === 'control') {
      const message = readControl(reader.control())
      if (message.kind === 'failed' || message.kind === 'checked') finished()
      return message
    }
    if (reader.kind !== 'result' || taken.length === 0) throw new Error('the protocol was broken: an unasked answer')
    const [lane] = taken
    const result = reader.result((lane === undefined ? undefined : lanes[lane]?.outputs.readBytes) ?? noFile)
    finished()
    return { kind: 'result', ...result }
  }
  function finished(): void {
    const lane = taken.shift()
    if (lane === undefined) return
    release(lane, 'little')
    free.push(lane)
    if (taken.length > 0) return
    idle ??= setTimeout(restNow, IDLE_MS).unref()
    idle.refresh()
  }
  function restNow(): void {
    for (const lane of free) release(lane, 'nothing')
  }
  function release(lane: number, keep: 'little' | 'nothing'): void {
    lanes[lane]?.inputs.release(keep)
    lanes[lane]?.outputs.release(keep)
  }
  return {
    pid: child.pid,
    gone: gone.promise,
    kill,
    send: (message) => connection.write(writer.control(message)),
    run({ inputs, outputs, session = 0 }) {
      const [lane] = free
      const file = lane === undefined ? undefined : lanes[lane]?.inputs
      file?.begin()
      const frame = writer.run({ inputs, outputs, lane: lane ?? LANES, session }, file?.store ?? noStore)
      taken.push(free.shift())
      connection.write(frame)
    },
    check(trial, session = 0) {
      const frame = writer.check(trial, session)
      taken.push(undefined)
      connection.write(frame)
    },
    residentBytes: () => residentBytesOf(child.pid),
  }
}

function noFile(): never {
  throw new Error('the protocol was broken: an exchange file that it was not given')
}

function noStore(): undefined {
  return undefined
}

/** The kinds of a control message, with what of it is relied on; the rest is text for people. */
function readControl(value: unknown): FromInstance {
  const message = value as Readonly<Record<string, unknown>> | null
  const { kind, reason, runtimeText } = message ?? {}
  const forLog = typeof runtimeText === 'string' ? { runtimeText } : {}
  if ((kind === 'refused' || kind === 'failed') && typeof reason === 'string') return { kind, reason, ...forLog }
  if (kind === 'unloaded') return { kind }
  if (kind === 'checked') return { kind, check: readCheck(message?.check), ...forLog }
  if (kind !== 'loaded') throw new Error('the protocol was broken: a message of an unknown kind')
  // The casts: the names and shapes of a model are as trusted as its file, and are compared with each request.
  const { labels, metadata, ...loaded } = message as unknown as LoadedMessage
  return { ...loaded, labels: new Map(labels), metadata: new Map(metadata) }
}

function readCheck(value: unknown): BatchCheck {
  const { isSafe, reason, rowOutputs, lengthOutputs, runElements } = (value ?? {}) as Readonly<Record<string, unknown>>
  const isWhole = typeof isSafe === 'boolean' && typeof reason === 'string' && isListOfNames(rowOutputs)
  if (isWhole && lengthOutputs === undefined) return { isSafe, reason, rowOutputs }
  const hasRun = typeof runElements === 'number' && runElements >= 0
  if (isWhole && isListOfNames(lengthOutputs))
    return { isSafe, reason, rowOutputs, lengthOutputs, ...(hasRun && { runElements }) }
  throw new Error('the protocol was broken: a check without its decision')
}

function isListOfNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string')
}
