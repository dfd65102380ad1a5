import type { Instance } from './job.ts'

/** Which instances can be given a run: those that are idle, and those in one run that may be given the next ahead. */
export class Places<I, O> {
  readonly #mayRunAhead: boolean
  readonly #idle: Instance<I, O>[] = []
  readonly #ahead = new Set<Instance<I, O>>()
  readonly #all = new Set<Instance<I, O>>()

  constructor(mayRunAhead: boolean) {
    this.#mayRunAhead = mayRunAhead
  }

  get hasIdle(): boolean {
    return this.#idle.length > 0
  }

  get idle(): number {
    return this.#idle.length
  }

  get hasAhead(): boolean {
    return this.#ahead.size > 0
  }

  /** Instances that are there, idle or not. */
  get size(): number {
    return this.#all.size
  }

  add(instance: Instance<I, O>): void {
    this.#all.add(instance)
    this.#idle.push(instance)
  }

  remove(instance: Instance<I, O>): void {
    this.#all.delete(instance)
    const index = this.#idle.indexOf(instance)
    if (index >= 0) this.#idle.splice(index, 1)
    this.#ahead.delete(instance)
  }

  /** Takes one that is idle: the one that was busy last, whose memory is warm. */
  takeIdle(): Instance<I, O> | undefined {
    const instance = this.#idle.pop()
    if (instance !== undefined && this.#mayRunAhead) this.#ahead.add(instance)
    return instance
  }

  /** Takes one that is in a run and was given no other yet. */
  takeAhead(): Instance<I, O> | undefined {
    const [instance] = this.#ahead
    if (instance !== undefined) this.#ahead.delete(instance)
    return instance
  }

  /** One has a run less: it is idle, or in the run that it was given ahead. */
  free(instance: Instance<I, O>): void {
    if (!this.#mayRunAhead || this.#ahead.delete(instance)) this.#idle.push(instance)
    else this.#ahead.add(instance)
  }
}
