import { processEnvironment } from '../../config/environment.ts'
import { invariant } from '../../core/invariant.ts'
import type { Link } from '../../inference/remote/link.ts'
import { closeDescriptor, sendDescriptor } from '../../platform/c-library.ts'
import {
  type ChildMethod,
  createRpcClient,
  type EngineState,
  type FinalMetrics,
  type FromChild,
  type Results,
  type SupervisorMethod,
  type ToChild,
} from './ipc.ts'
import type { ListeningSocket } from './shared-port.ts'

/** What a supervisor does as its processes report something. */
export interface ChildEvents {
  /** Computes the result of a request. */
  readonly onRequest: (method: SupervisorMethod) => Promise<unknown>
  /** The process receives messages from now on. */
  readonly onConnected: (child: ChildProcess) => void
  /** An HTTP process has had no link to the engine process for a while. */
  readonly onEngineLinkLost: (child: ChildProcess) => void
  /** The process received a stop signal that the supervisor did not send. */
  readonly onStopping: (child: ChildProcess) => void
  readonly onFinalMetrics: (child: ChildProcess, metrics: FinalMetrics) => void
  /** What a replacement of the engine process needs; only the engine process sends it. */
  readonly onEngineState?: (state: EngineState) => void
}

export interface ChildProcessOptions extends ChildEvents {
  /** The replica that it serves, from 1; 0 is the engine process. */
  readonly number: number
  /** The program and its arguments. */
  readonly command: readonly string[]
  /** Writes a line of its output. */
  readonly write: (line: string, to: 'stdout' | 'stderr') => void
  /** Folder of temporary files; default that of this process. */
  readonly temporaryFolder?: string | undefined
}

/** How long output and messages of a process may arrive after its end. */
const CLOSE_MS = 1000
/** A longer line is split: whatever writes one has gone wrong. */
const LINE_LENGTH_MAX = 64 * 1024

export type ChildState = 'starting' | 'ready' | 'serving' | 'draining' | 'gone'

/** The name of a process in the log. */
export function nameOf({ number }: Pick<ChildProcess, 'number'>): string {
  return number === 0 ? 'the engine process' : `process ${number}`
}

/** An HTTP process or the engine process, as its supervisor sees it. */
export interface ChildProcess {
  readonly number: number
  readonly pid: number
  readonly state: ChildState
  /** Resolves once its models are loaded. Rejects where it ends before. */
  readonly ready: Promise<void>
  /** Resolves as soon as it has ended, with its exit code or the signal that ended it. */
  readonly exited: Promise<number | string>
  /** Resolves with its exit code, 1 where a signal ended it, once its output and messages have been read. */
  readonly closed: Promise<number>
  /** Sends it the replica's listening socket; resolves once it accepts there. */
  listen(socket: ListeningSocket, message: { readonly base: string; readonly isAnnounced: boolean }): Promise<void>
  /** Lets it accept from the socket of another replica as well, until `release`. False where it has ended. */
  acceptFor(replica: number, socket: ListeningSocket): boolean
  release(replica: number): void
  /** Sends one end of a link between an HTTP process and the engine process. False where it has ended. */
  link(end: Link): boolean
  request<M extends ChildMethod>(method: M, timeoutMs: number): Promise<Results[M]>
  send(message: ToChild): void
  drain(): void
  kill(): void
}

/** Starts a process of this program, connected to this one by IPC and a local socket for descriptors. */
export class SpawnedProcess implements ChildProcess {
  readonly number: number
  readonly exited: Promise<number | string>
  readonly closed: Promise<number>
  readonly #options: ChildProcessOptions
  readonly #child: ReturnType<typeof spawn>
  /** This end of the local socket. */
  readonly #socket: number
  readonly #rpc = createRpcClient<ChildMethod>((request) => this.send(request))
  readonly #ready = Promise.withResolvers<void>()
  readonly #listening = Promise.withResolvers<void>()
  readonly #disconnected = Promise.withResolvers<void>()
  #state: ChildState = 'starting'

  /** @throws what the system says where it cannot start a process */
  constructor(options: ChildProcessOptions) {
    this.#options = options
    this.number = options.number
    // Both may fail while nothing waits for them.
    for (const { promise } of [this.#ready, this.#listening]) promise.catch(() => undefined)
    this.#child = spawn(options, {
      onMessage: (message) => this.#received(message),
      onDisconnect: () => this.#disconnected.resolve(),
    })
    const socket = this.#child.stdio[3]
    invariant(typeof socket === 'number', 'a local socket is a descriptor here')
    this.#socket = socket
    const copied = Promise.all([
      copyLines(this.#child.stdout, (line) => options.write(line, 'stdout')),
      copyLines(this.#child.stderr, (line) => options.write(line, 'stderr')),
    ])
    this.exited = this.#child.exited.then(() => this.#ended())
    this.closed = this.exited.then(async () => {
      await Promise.race([Promise.all([copied, this.#disconnected.promise]), Bun.sleep(CLOSE_MS)])
      return this.#child.exitCode ?? 1
    })
  }

  get pid(): number {
    return this.#child.pid
  }

  get state(): ChildState {
    return this.#state
  }

  get ready(): Promise<void> {
    return this.#ready.promise
  }

  listen(
    { descriptor, port }: ListeningSocket,
    message: { readonly base: string; readonly isAnnounced: boolean },
  ): Promise<void> {
    sendDescriptor(this.#socket, descriptor)
    this.send({ kind: 'listen', port, ...message })
    return this.#listening.promise
  }

  acceptFor(replica: number, { descriptor }: ListeningSocket): boolean {
    return this.#sendWith([descriptor], { kind: 'accept-for', replica })
  }

  release(replica: number): void {
    this.send({ kind: 'release', replica })
  }

  link({ socket, requests, answers }: Link): boolean {
    const files = [requests, answers].filter((file) => file !== undefined)
    return this.#sendWith([socket, ...files], { kind: 'engine-link', files: files.length })
  }

  request<M extends ChildMethod>(method: M, timeoutMs: number): Promise<Results[M]> {
    return this.#rpc.request(method, timeoutMs)
  }

  send(message: ToChild): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    try {
      this.#child.send(message)
    } catch {
      // It is ending, and `exited` resolves next.
    }
  }

  drain(): void {
    this.#state = 'draining'
    this.send({ kind: 'drain' })
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #sendWith(descriptors: readonly number[], message: ToChild): boolean {
    try {
      for (const descriptor of descriptors) sendDescriptor(this.#socket, descriptor)
    } catch {
      // Its end is closed.
      return false
    }
    this.send(message)
    return true
  }

  #received(message: FromChild): void {
    const { onRequest, onConnected, onEngineLinkLost, onStopping, onFinalMetrics, onEngineState } = this.#options
    if (message.kind === 'response') this.#rpc.respond(message)
    else if (message.kind === 'final-metrics') onFinalMetrics(this, message)
    else if (message.kind === 'engine-state') onEngineState?.(message.state)
    else if (message.kind === 'request') {
      const { id, method } = message
      void onRequest(method).then((result) => this.send({ kind: 'response', id, result }))
    } else if (this.#state === 'gone') {
      // The last messages may arrive after its end.
      return
    } else if (message.kind === 'connected') onConnected(this)
    else if (message.kind === 'engine-link-lost') onEngineLinkLost(this)
    else if (message.kind === 'stopping') {
      this.#state = 'draining'
      onStopping(this)
    } else {
      if (message.kind === 'ready') this.#ready.resolve()
      else this.#listening.resolve()
      this.#state = message.kind === 'ready' ? 'ready' : 'serving'
    }
  }

  #ended(): number | string {
    this.#state = 'gone'
    const failure = new Error('the process has ended')
    this.#ready.reject(failure)
    this.#listening.reject(failure)
    this.#rpc.close()
    closeDescriptor(this.#socket)
    return this.#child.exitCode ?? this.#child.signalCode ?? 1
  }
}

interface SpawnHandlers {
  readonly onMessage: (message: FromChild) => void
  readonly onDisconnect: () => void
}

function spawn({ command, temporaryFolder }: ChildProcessOptions, { onMessage, onDisconnect }: SpawnHandlers) {
  return Bun.spawn([...command], {
    env: { ...processEnvironment(), ...(temporaryFolder !== undefined && { TMPDIR: temporaryFolder }) },
    // The last is a local socket, which passes descriptors.
    stdio: ['ignore', 'pipe', 'pipe', 'socket-fd'],
    ipc: onMessage,
    onDisconnect,
  })
}

/** Calls back with each whole line of a stream, so that lines of several processes do not mix. */
export async function copyLines(stream: ReadableStream<Uint8Array>, write: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) write(line.slice(0, LINE_LENGTH_MAX))
    if (rest.length <= LINE_LENGTH_MAX) continue
    write(rest.slice(0, LINE_LENGTH_MAX))
    rest = ''
  }
  if (rest !== '') write(rest)
}
