import { extname, join } from 'node:path'
import { invariant } from '../../core/invariant.ts'
import { emptyEnvironment, processorMsOf, residentBytesOf } from '../../processes/child.ts'
import { openMessageSocket } from '../../processes/message-socket.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { InstanceEnd } from '../instance/instance-process.ts'
import { type CodeFrame, FRAME_BYTES_MAX, readFrame, sendFrame, type ToCode } from './messages.ts'

/** Why the server kills a code process. */
export type CodeKill = 'hang' | 'load limit' | 'memory limit' | 'broken protocol' | 'stopped'

export interface CodeEvents {
  /** What it sent, which is not trusted. */
  readonly frame: (frame: CodeFrame<unknown>) => void
  /** It is gone, and nothing comes from it any more. */
  readonly ended: (end: InstanceEnd) => void
}

/** A process that runs a `model.ts`, as the server has it. */
export interface CodeProcess {
  readonly pid: number
  send(header: ToCode, text?: string, tensors?: NamedTensors): void
  /** Ends it at once, whatever it does. */
  kill(label: CodeKill, cause: string): void
  /** Bytes of memory that it holds; undefined where the system does not say. */
  residentBytes(): number | undefined
  /** Milliseconds of a processor that it has used; undefined where the system does not say. */
  processorMs(): number | undefined
  readonly gone: Promise<void>
}

export interface CodeProcessRights {
  /** Names of variables of the server's environment that it gets. */
  readonly environment: readonly string[]
  readonly mayUseNetwork: boolean
}

export type StartCodeProcess = (rights: CodeProcessRights, events: CodeEvents) => CodeProcess

/** The command that starts a code process: this program again; an executable knows by its first argument. */
function codeCommand(): readonly string[] {
  if (Bun.isStandaloneExecutable) return [process.execPath, 'code']
  return [process.execPath, '--no-install', '--smol', join(import.meta.dir, `main${extname(import.meta.path)}`)]
}

/** Starts a code process, with nothing of the server's: an environment of what is named, and of its files one socket. */
export function startCodeProcess({ environment, mayUseNetwork }: CodeProcessRights, events: CodeEvents): CodeProcess {
  const child = Bun.spawn([...codeCommand(), ...(mayUseNetwork ? ['--network'] : [])], {
    cwd: '/',
    env: emptyEnvironment(environment),
    stdio: ['ignore', 'ignore', 'ignore', 'socket-fd'],
    onExit: (_, code, signal) => ended(signal === null ? `exit code ${code}` : String(signal)),
  })
  const [, , , descriptor] = child.stdio
  invariant(typeof descriptor === 'number', 'a local socket is a descriptor here')
  const socket = openMessageSocket(
    descriptor,
    { frame: (cursor) => events.frame(readFrame(cursor)), closed: (reason) => closed(reason) },
    FRAME_BYTES_MAX,
  )
  const gone = Promise.withResolvers<void>()
  let why: InstanceEnd | undefined
  let isExited = false
  let isClosed = false

  const kill = (label: CodeKill, cause: string) => {
    why ??= { cause, label, isKilled: true }
    child.kill('SIGKILL')
  }
  function closed(reason: string | undefined): void {
    isClosed = true
    // A process that runs the code of others is not trusted.
    if (reason !== undefined) why ??= { cause: reason, label: 'broken protocol', isKilled: true }
    if (!isExited) child.kill('SIGKILL')
    ended(undefined)
  }
  /** Both must be over: what it wrote last may come after its end. */
  function ended(exit: string | undefined): void {
    if (exit !== undefined) isExited = true
    if (exit !== undefined) why ??= { cause: exit, label: exit, isKilled: false }
    if (!isClosed || !isExited) return
    events.ended(why ?? { cause: 'no known cause', label: 'unknown', isKilled: false })
    gone.resolve()
  }
  return {
    pid: child.pid,
    gone: gone.promise,
    kill,
    send: (header, text, tensors) => sendFrame(socket, header, text, tensors),
    residentBytes: () => residentBytesOf(child.pid),
    processorMs: () => processorMsOf(child.pid),
  }
}
