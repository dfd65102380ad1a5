import { keyOf } from '../../config/settings.ts'
import type { Address } from '../../platform/taken-port.ts'
import type { Logger } from '../../telemetry/log/logger.ts'
import type { FamilySnapshot } from '../../telemetry/metrics/family.ts'
import { ENGINE_SETTINGS } from '../engine-options.ts'
import { EngineKeeper } from './engine-keeper.ts'
import { openLink } from './engine-links.ts'
import { type GatheredMetrics, gatherMetrics } from './gathered-metrics.ts'
import { Keeper, type Launched } from './keeper.ts'
import type { MemberProcess, MemberProcessOptions } from './member-process.ts'
import type { EngineState, ReloadOutcome, SupervisorQuestion } from './messages.ts'
import { type Place, Places } from './places.ts'
import { reloadTogether } from './reload-together.ts'
import { type WatchTimes, watchMember } from './watch-member.ts'

export interface SupervisorOptions extends WatchTimes {
  readonly count: number
  readonly address: Address
  readonly scheme: 'http' | 'https'
  readonly logger: Logger
  /** What the supervisor itself counts. */
  readonly ownMetrics: () => readonly FamilySnapshot[]
  /** @throws what the system says where it starts no process */
  readonly startMember: (number: number, hooks: MemberHooks) => MemberProcess
  /** Starts the process that computes for all of them. @throws what the system says where it starts no process */
  readonly startEngine: (hooks: EngineHooks) => MemberProcess
  /** Where the engine process keeps files that requests bring; absent where they may bring none. */
  readonly engineFolder?: string | undefined
  /** Milliseconds until a process that does not come to serve is ended. */
  readonly startMsMax: number
  /** Milliseconds until a process that was told to drain is ended, and until one that was told to stop is. */
  readonly drainMsMax: number
  readonly stopMsMax: number
}

export type MemberHooks = Pick<MemberProcessOptions, 'answer' | 'counted' | 'leaving' | 'joined' | 'unlinked'>
export type EngineHooks = MemberHooks & Required<Pick<MemberProcessOptions, 'journal'>>

const COUNTS_MS = 1000
const LEAVING_MS = 250

/** Keeps so many processes serving on one port, and replaces them. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #places: Places
  readonly #keeper: Keeper
  readonly #members = new Set<MemberProcess>()
  readonly #metrics: GatheredMetrics<MemberProcess> = gatherMetrics()
  readonly #engine: EngineKeeper
  /** Processes that can be linked. */
  readonly #joined = new Set<MemberProcess>()
  #engineState: EngineState = { entries: [] }
  /** Reloads that there were when the engine process began. */
  #engineReloads = 0
  #isStopping = false
  #restarts = 0
  #reloads = 0
  #rolling: Promise<void> | undefined
  #isRollWanted = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: SupervisorOptions) {
    const { count, address, scheme, logger, startMsMax } = options
    this.#options = options
    this.#places = new Places(count, address, scheme)
    this.#keeper = new Keeper({ places: this.#places, logger, startMsMax, launch: (place) => this.#launch(place) })
    this.#engine = new EngineKeeper({
      ...options,
      launch: () => this.#launchEngine(),
      served: (engine) => this.#caughtUp(engine, this.#engineReloads),
    })
  }

  get restarts(): number {
    return this.#restarts
  }

  get engineRestarts(): number {
    return this.#engine.restarts
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Processes by what they do. */
  states(): ReadonlyMap<MemberProcess['state'], number> {
    const counts = new Map<MemberProcess['state'], number>()
    for (const { state } of this.#members) counts.set(state, (counts.get(state) ?? 0) + 1)
    return counts
  }

  /**
   * Starts the engine process and the first of the others, which makes what all need, and then the rest. Gives the code of one that
   * could not start.
   */
  async start(): Promise<number | undefined> {
    const places = this.#startPlaces()
    const engine = this.#engine.start()
    const code = await Promise.race([engine.then((failed) => failed ?? places), places])
    return code ?? (await engine)
  }

  async #startPlaces(): Promise<number | undefined> {
    const [first, ...others] = this.#places
    for (const places of [first === undefined ? [] : [first], others]) {
      const codes = await Promise.all(places.map((place) => this.#keeper.fill(place, place === first)))
      const code = codes.find((ended) => ended !== undefined)
      if (code !== undefined) return code
    }
    return undefined
  }

  /** Reads settings again in all processes. */
  reload(kind: 'reload' | 'roll' = 'reload'): Promise<ReloadOutcome> {
    const { engine } = this.#engine
    const serving = () => [
      ...[...this.#members].filter(({ state }) => state === 'serving'),
      ...(engine?.state === 'ready' ? [engine] : []),
    ]
    const result = this.#turn.then(() => reloadTogether(serving(), kind))
    this.#turn = result.catch(() => undefined)
    return result.finally(() => {
      this.#reloads += 1
    })
  }

  /** Reads the settings again, has a process note what came of it, and replaces each where all of it is right. */
  async signalled(): Promise<void> {
    const outcome = await this.reload('roll')
    if (this.#isStopping) return
    const member = this.#places.serving()
    if (member === undefined) this.#options.logger.error('no process serves that could read the settings again')
    else member.tell({ kind: 'reloaded', outcome })
    if (outcome.kind !== 'right') return
    const kept = ENGINE_SETTINGS.map(keyOf).filter((key) => outcome.reloaded.needsRestart.includes(key))
    if (kept.length > 0)
      this.#options.logger.warn(`the engine process is not replaced: ${kept.join(', ')} count after a restart of the server`)
    await this.roll()
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
    const members = [...this.#members].filter(({ state }) => state === 'serving' || state === 'draining')
    const { engine } = this.#engine
    if (engine?.state === 'ready') members.push(engine)
    const asked = members.map(async (member) => {
      // What it told last stands in for a process that is too busy to tell.
      const families = await member.ask('metrics', COUNTS_MS).catch(() => undefined)
      if (families !== undefined && member.state !== 'gone') this.#metrics.update(member, families)
    })
    await Promise.all(asked)
    return this.#metrics.read(this.#options.ownMetrics())
  }

  /** Tells every process to finish what is at hand and end, and then the engine process. Gives 0 where all of them did. */
  async stop(): Promise<number> {
    this.#isStopping = true
    this.#keeper.stop()
    this.#places.close()
    const codes = [...this.#members].map((member) => {
      // One that is ready may accept already, before it says so.
      if (member.state !== 'starting') {
        member.tell({ kind: 'stop' })
        return this.#endOf(member, this.#options.stopMsMax)
      }
      member.kill()
      return member.exited.then(() => 0)
    })
    const ended = await Promise.all(codes)
    ended.push(await this.#engine.stop(this.#options.stopMsMax))
    return ended.every((code) => code === 0) ? 0 : 1
  }

  /** Ends every process at once. */
  kill(): void {
    for (const member of this.#members) member.kill()
    this.#engine.kill()
  }

  #launchEngine(): MemberProcess {
    this.#engineReloads = this.#reloads
    const engine = this.#options.startEngine({
      answer: (what) => this.#answer(what),
      counted: () => undefined,
      leaving: () => undefined,
      unlinked: () => undefined,
      joined: (joined) => {
        joined.tell({ kind: 'restore', state: this.#engineState, folder: this.#options.engineFolder })
        this.#joined.add(joined)
        for (const member of this.#members) this.#link(member)
      },
      journal: (state) => {
        this.#engineState = state
      },
    })
    void engine.gone.then(() => {
      this.#joined.delete(engine)
      this.#metrics.ended(engine)
    })
    return engine
  }

  /** Joins an HTTP process and the engine process, once both hear of it. */
  #link(member: MemberProcess): void {
    const { engine } = this.#engine
    if (engine === undefined || !this.#joined.has(engine) || !this.#joined.has(member)) return
    const { http, engine: other, close } = openLink()
    // Where one of them is gone, the other finds its end closed.
    if (engine.link(other)) member.link(http)
    close()
  }

  #launch(place: Place): Launched {
    const reloads = this.#reloads
    const member: MemberProcess = this.#options.startMember(place.number, {
      answer: (what) => this.#answer(what),
      counted: (ended, { metrics }) => this.#metrics.update(ended, metrics),
      leaving: (left) => void this.#leaving(place, left),
      joined: (joined) => {
        this.#joined.add(joined)
        this.#link(joined)
      },
      unlinked: (without) => this.#link(without),
    })
    this.#members.add(member)
    void member.gone.then((how) => this.#gone(place, member, how))
    void member.exited.then(() => {
      this.#members.delete(member)
      this.#joined.delete(member)
      this.#metrics.ended(member)
    })
    const joined = async () => {
      void watchMember(member, this.#options)
      await this.#caughtUp(member, reloads)
    }
    return { member, joined }
  }

  /** A process may have read the settings before the others read them again. */
  async #caughtUp(member: MemberProcess, reloads: number): Promise<void> {
    if (this.#reloads !== reloads) await reloadTogether([member], 'reload')
  }

  #answer(what: SupervisorQuestion): Promise<unknown> {
    if (what === 'reload') return this.reload()
    return this.gather()
  }

  /** Another accepts at once. A terminal, and a system that stops, tell all processes and this one next: none follows then. */
  async #leaving(place: Place, member: MemberProcess): Promise<void> {
    if (this.#isStopping) return
    this.#places.rescueAfter(member)
    if (place.member === member) this.#places.rescue(place)
    await Bun.sleep(LEAVING_MS)
    this.#followed(place, member, 'was told to stop by a signal of its own')
  }

  #gone(place: Place, member: MemberProcess, how: number | string): void {
    this.#places.rescueAfter(member)
    this.#followed(place, member, `ended with ${how}`)
  }

  /** A process that is gone or about to go, and was not to, is followed by another. */
  #followed(place: Place, member: MemberProcess, what: string): void {
    if (place.member !== member) return
    place.member = undefined
    if (this.#isStopping) return
    this.#places.rescue(place)
    this.#restarts += 1
    this.#options.logger.error(`process ${place.number} ${what}; another takes its place`)
    this.#keeper.keep(place)
  }

  async #rollAll(): Promise<void> {
    const { logger } = this.#options
    do {
      this.#isRollWanted = false
      logger.info('every process is replaced by another, one after the other')
      for (const place of this.#places) {
        const isReplaced = await this.#replace(place)
        if (this.#isStopping) return
        if (isReplaced) continue
        logger.error(`process ${place.number} cannot be replaced: the new one did not start; the rest stay as they are`)
        return
      }
      logger.info('every process has been replaced')
    } while (this.#isRollWanted)
  }

  /** The new process accepts before the old one is told to leave, from the same socket: no connection is ever without one of them. */
  async #replace(place: Place): Promise<boolean> {
    await this.#keeper.settled(place)
    const old = place.member
    if ((await this.#keeper.fill(place)) !== undefined) return false
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
