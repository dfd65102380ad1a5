import { SettingsError } from '../../config/load.ts'
import { invariant } from '../../core/invariant.ts'
import type { PreparedReload } from '../reload.ts'
import type { ChildMethod, FinalMetrics, FromChild, ReloadOutcome, ToChild } from './ipc.ts'

/** The descriptor of the local socket through which the supervisor sends descriptors. */
export const SOCKET_DESCRIPTOR = 3

/** What the supervisor requests of an HTTP process and of the engine process. */
export interface RequestHandlers {
  readonly metrics: () => FinalMetrics['metrics']
  /** @throws SettingsError */
  readonly prepareReload: () => Promise<PreparedReload>
}

/** The IPC channel of a process to its supervisor. */
export interface SupervisorChannel {
  /** Does nothing where the supervisor has ended. */
  send(message: FromChild): void
  /** Resolves once a message is written, or the supervisor has ended. */
  sendLast(message: FromChild): Promise<void>
  /** Calls back with every message but requests, which the channel responds to with the handlers that there are by then. */
  receive(handlers: () => RequestHandlers | undefined, onMessage: (message: OtherMessage) => void): void
}

export type OtherMessage = Exclude<ToChild, { readonly kind: 'request' }>

/** Opens the channel to the supervisor that started this process. @throws SettingsError where none did */
export function openSupervisorChannel(verb: string): SupervisorChannel {
  if (process.connected !== true)
    throw new SettingsError([`${verb}: is started by \`vestal start --processes\`; do not run it yourself`])
  const send = (message: FromChild) => {
    if (process.connected === true) process.send?.(message)
  }
  return {
    send,
    sendLast: (message) =>
      new Promise((resolve) => {
        if (process.connected !== true) resolve()
        else process.send?.(message, undefined, undefined, () => resolve())
      }),
    receive(handlers, onMessage) {
      const respond = createResponder(handlers)
      process.on('message', (message: ToChild) => {
        if (message.kind !== 'request') onMessage(message)
        else void respond(message.method).then((result) => send({ kind: 'response', id: message.id, result }))
      })
    },
  }
}

/** Computes the results of requests. A prepared reload waits for `apply` or `discard`. */
function createResponder(handlersNow: () => RequestHandlers | undefined) {
  let prepared: PreparedReload | undefined
  return async (method: ChildMethod): Promise<unknown> => {
    if (method === 'ping') return null
    const handlers = handlersNow()
    invariant(handlers !== undefined, 'the supervisor sends requests to processes that serve')
    if (method === 'metrics') return handlers.metrics()
    if (method === 'prepare') {
      prepared?.discard()
      prepared = undefined
      try {
        prepared = await handlers.prepareReload()
        return { kind: 'right', reloaded: prepared.reloaded } satisfies ReloadOutcome
      } catch (error) {
        // A bug of ours is reported as a fault: thrown here, it would end every process at once.
        const faults = error instanceof SettingsError ? error.faults : [`settings: cannot be checked: ${String(error)}`]
        return { kind: 'wrong', faults } satisfies ReloadOutcome
      }
    }
    if (method === 'apply') prepared?.apply()
    else prepared?.discard()
    prepared = undefined
    return null
  }
}
