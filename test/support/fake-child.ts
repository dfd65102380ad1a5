import type { ChildProcess, ChildState } from '../../src/server/cluster/child-process.ts'
import type { ChildMethod, ToChild } from '../../src/server/cluster/ipc.ts'

/** A child process of a supervisor that does what a test says. */
export class FakeChild implements ChildProcess {
  readonly number: number
  readonly pid = 0
  state: ChildState = 'starting'
  readonly sent: ToChild['kind'][] = []
  readonly requests: ChildMethod[] = []
  /** Responds to a request; by default it never does. */
  respond: (method: ChildMethod) => Promise<unknown> = () => new Promise(() => undefined)
  /** Whether a descriptor that is sent reaches it. */
  isReached = true
  /** Replicas that it accepts for as a substitute. */
  readonly substituteFor: number[] = []
  readonly #ready = Promise.withResolvers<void>()
  readonly #listening = Promise.withResolvers<void>()
  readonly #exited = Promise.withResolvers<number | string>()

  constructor(number: number) {
    this.number = number
    for (const { promise } of [this.#ready, this.#listening]) promise.catch(() => undefined)
  }

  get ready(): Promise<void> {
    return this.#ready.promise
  }
  get exited(): Promise<number | string> {
    return this.#exited.promise
  }
  get closed(): Promise<number> {
    return this.#exited.promise.then((how) => (typeof how === 'number' ? how : 1))
  }

  /** Reports that its models are loaded. */
  beReady(): void {
    this.state = 'ready'
    this.#ready.resolve()
  }

  /** Reports that it accepts. */
  serve(): void {
    this.state = 'serving'
    this.#listening.resolve()
  }

  end(how: number | string): void {
    if (this.state === 'gone') return
    this.state = 'gone'
    this.#ready.reject(new Error('the process has ended'))
    this.#listening.reject(new Error('the process has ended'))
    this.#exited.resolve(how)
  }

  listen(): Promise<void> {
    this.sent.push('listen')
    return this.#listening.promise
  }
  acceptFor(replica: number): boolean {
    if (this.isReached) this.substituteFor.push(replica)
    return this.isReached
  }
  /** Links that were sent to it. */
  links = 0
  link(): boolean {
    this.links += 1
    return this.isReached
  }
  release(replica: number): void {
    this.send({ kind: 'release', replica })
  }
  // The cast: a test responds with the result of the method.
  request = (async (method: ChildMethod) => {
    this.requests.push(method)
    return this.respond(method)
  }) as ChildProcess['request']
  send({ kind }: ToChild): void {
    this.sent.push(kind)
  }
  drain(): void {
    this.state = 'draining'
    this.sent.push('drain')
  }
  kill(): void {
    this.end('SIGKILL')
  }
}
