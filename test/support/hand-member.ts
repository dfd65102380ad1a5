import type { MemberProcess, MemberState } from '../../src/server/cluster/member-process.ts'
import type { MemberQuestion, ToMember } from '../../src/server/cluster/messages.ts'

/** A process of a supervisor that does what a test says. */
export class HandMember implements MemberProcess {
  readonly number: number
  readonly pid = 0
  state: MemberState = 'starting'
  readonly told: ToMember['kind'][] = []
  readonly asked: MemberQuestion[] = []
  /** Answers a question; by default it never does. */
  answer: (what: MemberQuestion) => Promise<unknown> = () => new Promise(() => undefined)
  /** Whether a socket that is handed over reaches it. */
  isReached = true
  readonly rescued: number[] = []
  readonly #ready = Promise.withResolvers<void>()
  readonly #listening = Promise.withResolvers<void>()
  readonly #gone = Promise.withResolvers<number | string>()

  constructor(number: number) {
    this.number = number
    for (const { promise } of [this.#ready, this.#listening]) promise.catch(() => undefined)
  }

  get ready(): Promise<void> {
    return this.#ready.promise
  }
  get gone(): Promise<number | string> {
    return this.#gone.promise
  }
  get exited(): Promise<number> {
    return this.#gone.promise.then((how) => (typeof how === 'number' ? how : 1))
  }

  /** It says that its models are loaded. */
  beReady(): void {
    this.state = 'ready'
    this.#ready.resolve()
  }

  /** It says that it accepts. */
  serve(): void {
    this.state = 'serving'
    this.#listening.resolve()
  }

  end(how: number | string): void {
    if (this.state === 'gone') return
    this.state = 'gone'
    this.#ready.reject(new Error('the process has ended'))
    this.#listening.reject(new Error('the process has ended'))
    this.#gone.resolve(how)
  }

  listen(): Promise<void> {
    this.told.push('listen')
    return this.#listening.promise
  }
  rescue(place: number): boolean {
    if (this.isReached) this.rescued.push(place)
    return this.isReached
  }
  /** The other ends that it was linked with. */
  links = 0
  link(): boolean {
    this.links += 1
    return this.isReached
  }
  release(place: number): void {
    this.tell({ kind: 'release', place })
  }
  // The cast: a test answers with what its question asks for.
  ask = (async (what: MemberQuestion) => {
    this.asked.push(what)
    return this.answer(what)
  }) as MemberProcess['ask']
  tell({ kind }: ToMember): void {
    this.told.push(kind)
  }
  drain(): void {
    this.state = 'draining'
    this.told.push('drain')
  }
  kill(): void {
    this.end('SIGKILL')
  }
}
