import type { Logger } from '../../log/logger.ts'
import type { FamilySnapshot } from '../../metrics/family.ts'
import type { Address } from '../taken-port.ts'
import { type GatheredMetrics, gatherMetrics } from './gathered-metrics.ts'
import type { MemberProcess, MemberProcessOptions } from './member-process.ts'
import type { ReloadOutcome, SupervisorQuestion } from './messages.ts'
import { type Place, Places } from './places.ts'
import { reloadTogether } from './reload-together.ts'

export interface SupervisorOptions {
  readonly count: number
  readonly address: Address
  readonly scheme: 'http' | 'https'
  readonly logger: Logger
  /** What the supervisor itself counts. */
  readonly ownMetrics: () => readonly FamilySnapshot[]
  readonly startMember: (number: number, hooks: MemberHooks) => MemberProcess
  /** Milliseconds until a process that was told to drain is ended, and until one that was told to stop is. */
  readonly drainMsMax: number
  readonly stopMsMax: number
}

export type MemberHooks = Pick<MemberProcessOptions, 'answer' | 'counted'>

const [RETRY_MS, RETRY_MS_MAX] = [250, 10_000]
const METRICS_MS = 1000

/** Keeps so many processes serving on one port, and replaces them. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #places: Places
  readonly #members = new Set<MemberProcess>()
  readonly #metrics: GatheredMetrics<MemberProcess> = gatherMetrics()
  #isStopping = false
  #restarts = 0
  #reloads = 0
  #rolling: Promise<void> | undefined
  #isRollWanted = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#places = new Places(options.count, options.address, options.scheme)
  }

  get restarts(): number {
    return this.#restarts
  }

  /** Processes by what they do. */
  states(): ReadonlyMap<MemberProcess['state'], number> {
    const counts = new Map<MemberProcess['state'], number>()
    for (const { state } of this.#members) counts.set(state, (counts.get(state) ?? 0) + 1)
    return counts
  }

  /** Starts the first process alone, since it makes what all need, and then the others. Gives the code of one that could not start. */
  async start(): Promise<number | undefined> {
    const [first, ...others] = this.#places
    for (const places of [first === undefined ? [] : [first], others]) {
      const codes = await Promise.all(places.map((place) => this.#fill(place, place === first)))
      const code = codes.find((ended) => ended !== undefined)
      if (code !== undefined) return code
    }
    return undefined
  }

  /** Reads settings again in all processes. Where all of it is right, and it was asked for, each process is replaced after that. */
  reload(kind: 'reload' | 'roll'): Promise<ReloadOutcome> {
    const result = this.#turn.then(() => reloadTogether([...this.#members].filter(({ state }) => state === 'serving')))
    this.#turn = result.catch(() => undefined)
    return result.then((outcome) => {
      this.#reloads += 1
      if (kind === 'roll' && outcome.kind === 'right') void this.roll()
      return outcome
    })
  }

  /** Has a process read the settings again for the whole server. */
  signalled(): void {
    const member = this.#places.serving()
    if (member === undefined) this.#options.logger.error('no process serves that could read the settings again')
    else member.tell({ kind: 'signal' })
  }

  /** Replaces one process after the other. Asked for while it is at it, it begins once more after that. */
  roll(): Promise<void> {
    if (this.#rolling !== undefined) {
      this.#isRollWanted = true
      return this.#rolling
    }
    this.#rolling = this.#rollAll().finally(() => {
      this.#rolling = undefined
    })
    return this.#rolling
  }

  /** The metrics of all processes, and of this one. */
  async gather(): Promise<readonly FamilySnapshot[]> {
    await Promise.all(
      [...this.#members]
        .filter(({ state }) => state === 'serving' || state === 'draining')
        .map(async (member) => {
          // What it told last stands in for a process that is too busy to tell.
          const families = await member.ask('metrics', METRICS_MS).catch(() => undefined)
          if (families !== undefined && this.#members.has(member)) this.#metrics.update(member, families)
        }),
    )
    return this.#metrics.read(this.#options.ownMetrics())
  }

  /** Tells every process to finish what is at hand and end. Gives 0 where all of them did. */
  async stop(): Promise<number> {
    this.#isStopping = true
    this.#places.close()
    const codes = [...this.#members].map((member) => {
      if (member.state === 'serving' || member.state === 'draining') {
        member.tell({ kind: 'stop' })
        return this.#endOf(member, this.#options.stopMsMax)
      }
      member.kill()
      return member.exited.then(() => 0)
    })
    return (await Promise.all(codes)).every((code) => code === 0) ? 0 : 1
  }

  /** Ends every process at once. */
  kill(): void {
    for (const member of this.#members) member.kill()
  }

  /** Puts a new process into a place. Gives its exit code where it could not start. */
  #fill(place: Place, isAnnounced = false): Promise<number | undefined> {
    const filled = this.#startIn(place, isAnnounced).finally(() => {
      if (place.filling === filled) place.filling = undefined
    })
    place.filling = filled
    return filled
  }

  async #startIn(place: Place, isAnnounced: boolean): Promise<number | undefined> {
    const reloads = this.#reloads
    const member = this.#launch(place)
    try {
      await member.ready
      await this.#places.listen(place, member, isAnnounced)
    } catch (error) {
      // What is told of an end is told by itself; anything else is why it had to end.
      if (member.state === 'ready') this.#options.logger.error(`process ${place.number} cannot listen`, { error })
      member.kill()
      return (await member.exited) || 1
    }
    // It may have read the settings before the others read them again.
    if (this.#reloads !== reloads) await reloadTogether([member])
    return undefined
  }

  #launch(place: Place): MemberProcess {
    const member: MemberProcess = this.#options.startMember(place.number, {
      answer: (what) => this.#answer(what),
      counted: (ended, families) => this.#metrics.update(ended, families),
    })
    this.#members.add(member)
    void member.gone.then((how) => this.#gone(place, member, how))
    void member.exited.then(() => {
      this.#members.delete(member)
      this.#metrics.ended(member)
    })
    return member
  }

  #answer(what: SupervisorQuestion): Promise<unknown> {
    return what === 'metrics' ? this.gather() : this.reload(what)
  }

  /** A process that is gone, and was not to go, is followed by another. */
  #gone(place: Place, member: MemberProcess, how: number | string): void {
    this.#places.rescueAfter(member)
    if (place.member !== member) return
    place.member = undefined
    if (this.#isStopping) return
    this.#places.rescue(place)
    this.#restarts += 1
    this.#options.logger.error(`process ${place.number} ended with ${how}; another takes its place`)
    if (place.filling === undefined) void this.#refill(place)
  }

  /** Tries until a process serves in the place, after longer and longer pauses. */
  async #refill(place: Place): Promise<void> {
    while (!this.#isStopping) {
      const delayMs = place.failures === 0 ? 0 : Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** (place.failures - 1))
      place.failures += 1
      if (delayMs > 0) await Bun.sleep(delayMs)
      // A roll may have come first.
      await place.filling
      if (this.#isStopping || place.member !== undefined) return
      const code = await this.#fill(place)
      if (code === undefined || this.#isStopping) return
      this.#options.logger.error(`process ${place.number} could not start and ended with ${code}`)
    }
  }

  async #rollAll(): Promise<void> {
    const { logger } = this.#options
    do {
      this.#isRollWanted = false
      logger.info('every process is replaced by another, one after the other')
      for (const place of this.#places) {
        if (this.#isStopping) return
        if (!(await this.#replace(place))) {
          logger.error(`process ${place.number} cannot be replaced: the new one did not start; the rest stay as they are`)
          return
        }
      }
      logger.info('every process has been replaced')
    } while (this.#isRollWanted)
  }

  /** The new process accepts before the old one is told to leave, from the same socket: no connection is ever without one of them. */
  async #replace(place: Place): Promise<boolean> {
    await place.filling
    const old = place.member
    if ((await this.#fill(place)) !== undefined) {
      // The old one may have ended in the meantime, when this one was to follow it.
      if (place.member === undefined && !this.#isStopping) void this.#refill(place)
      return this.#isStopping
    }
    if (old === undefined || old.state === 'gone') return true
    old.drain()
    this.#places.rescueAfter(old)
    await this.#endOf(old, this.#options.drainMsMax)
    return true
  }

  async #endOf(member: MemberProcess, msMax: number): Promise<number> {
    const timer = setTimeout(() => member.kill(), msMax)
    const code = await member.exited
    clearTimeout(timer)
    return code
  }
}
