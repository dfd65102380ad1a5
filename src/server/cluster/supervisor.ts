import { keyOf } from '../../config/settings.ts'
import type { Address } from '../../platform/taken-port.ts'
import type { FamilySnapshot } from '../../telemetry/metrics/family.ts'
import { MetricAggregate } from '../../telemetry/metrics/merge.ts'
import { ENGINE_SETTINGS } from '../engine-options.ts'
import type { ChildEvents, ChildProcess, ChildState } from './child-process.ts'
import { openLink } from './engine-links.ts'
import { checkHealth, type HealthCheckOptions } from './health-check.ts'
import type { EngineState, ReloadOutcome, SupervisorMethod } from './ipc.ts'
import { type Replica, Replicas } from './replicas.ts'
import { EngineRestartLoop, type Launched, ReplicaRestartLoop } from './restart-loop.ts'
import { reloadProcesses } from './two-phase-reload.ts'

export interface SupervisorOptions extends HealthCheckOptions {
  /** HTTP processes to run. */
  readonly count: number
  readonly address: Address
  readonly scheme: 'http' | 'https'
  /** The metrics of the supervisor itself. */
  readonly ownMetrics: () => readonly FamilySnapshot[]
  /** Starts an HTTP process. @throws what the system says where it cannot */
  readonly startHttp: (number: number, events: ChildEvents) => ChildProcess
  /** Starts the engine process, which computes for all HTTP processes. @throws what the system says where it cannot */
  readonly startEngine: (events: Required<ChildEvents>) => ChildProcess
  /** Where the engine process keeps files that requests bring; absent where they may bring none. */
  readonly engineFolder?: string | undefined
  /** Milliseconds until a process that does not come to serve is killed. */
  readonly startMsMax: number
  /** Milliseconds until a process that drains is killed, and until one that stops is. */
  readonly drainMsMax: number
  readonly stopMsMax: number
}

const METRICS_MS = 1000
const STOPPING_MS = 250

/** Runs several HTTP processes on one port and one engine process, restarts them, and replaces the HTTP processes on request. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #replicas: Replicas
  readonly #restartLoop: ReplicaRestartLoop
  /** HTTP processes that have not ended, also those that are replaced. */
  readonly #children = new Set<ChildProcess>()
  readonly #metrics = new MetricAggregate<ChildProcess>()
  readonly #engineLoop: EngineRestartLoop
  /** Processes that receive messages, and so can be linked. */
  readonly #connected = new Set<ChildProcess>()
  #engineState: EngineState = { entries: [] }
  /** The number of reloads when the engine process started. */
  #engineReloads = 0
  #isStopping = false
  #restarts = 0
  #reloads = 0
  #rolling: Promise<void> | undefined
  #isRollWanted = false
  #lastReload: Promise<unknown> = Promise.resolve()

  constructor(options: SupervisorOptions) {
    const { count, address, scheme, logger, startMsMax } = options
    this.#options = options
    this.#replicas = new Replicas(count, address, scheme)
    this.#restartLoop = new ReplicaRestartLoop({
      replicas: this.#replicas,
      logger,
      startMsMax,
      launch: (replica) => this.#launch(replica),
    })
    this.#engineLoop = new EngineRestartLoop({
      ...options,
      launch: () => this.#launchEngine(),
      onServing: (engine) => this.#catchUp(engine, this.#engineReloads),
    })
  }

  get restarts(): number {
    return this.#restarts
  }

  get engineRestarts(): number {
    return this.#engineLoop.restarts
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  /** The number of HTTP processes by state. */
  states(): ReadonlyMap<ChildState, number> {
    const counts = new Map<ChildState, number>()
    for (const { state } of this.#children) counts.set(state, (counts.get(state) ?? 0) + 1)
    return counts
  }

  /**
   * Starts the engine process and the first HTTP process, which creates what all need (the database, the first account), and then the
   * other ones. Gives the exit code of one that could not start.
   */
  async start(): Promise<number | undefined> {
    const replicas = this.#startReplicas()
    const engine = this.#engineLoop.start()
    const code = await Promise.race([engine.then((failed) => failed ?? replicas), replicas])
    return code ?? (await engine)
  }

  async #startReplicas(): Promise<number | undefined> {
    const [first, ...others] = this.#replicas
    for (const replicas of [first === undefined ? [] : [first], others]) {
      const codes = await Promise.all(replicas.map((replica) => this.#restartLoop.start(replica, replica === first)))
      const code = codes.find((ended) => ended !== undefined)
      if (code !== undefined) return code
    }
    return undefined
  }

  /** Reads the settings again in all processes. */
  reload(kind: 'reload' | 'roll' = 'reload'): Promise<ReloadOutcome> {
    const { engine } = this.#engineLoop
    const serving = () => [
      ...[...this.#children].filter(({ state }) => state === 'serving'),
      ...(engine?.state === 'ready' ? [engine] : []),
    ]
    const result = this.#lastReload.then(() => reloadProcesses(serving(), kind))
    this.#lastReload = result.catch(() => undefined)
    return result.finally(() => {
      this.#reloads += 1
    })
  }

  /** Reads the settings again, has one process log the outcome, and replaces every process where all settings are right. */
  async reloadAndRoll(): Promise<void> {
    const outcome = await this.reload('roll')
    if (this.#isStopping) return
    const child = this.#replicas.serving()
    if (child === undefined) this.#options.logger.error('the settings cannot be reloaded: no process is serving')
    else child.send({ kind: 'reloaded', outcome })
    if (outcome.kind !== 'right') return
    const kept = ENGINE_SETTINGS.map(keyOf).filter((key) => outcome.reloaded.needsRestart.includes(key))
    if (kept.length > 0)
      this.#options.logger.warn(`the engine process is not replaced: restart the server to apply ${kept.join(', ')}`)
    await this.roll()
  }

  /** Replaces one process after the other. A call while this goes on makes it begin once more afterwards. */
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
  async gatherMetrics(): Promise<readonly FamilySnapshot[]> {
    const children = [...this.#children].filter(({ state }) => state === 'serving' || state === 'draining')
    const { engine } = this.#engineLoop
    if (engine?.state === 'ready') children.push(engine)
    const requests = children.map(async (child) => {
      // The last known metrics count for a process that is too busy to respond.
      const families = await child.request('metrics', METRICS_MS).catch(() => undefined)
      if (families !== undefined && child.state !== 'gone') this.#metrics.update(child, families)
    })
    await Promise.all(requests)
    return this.#metrics.snapshot(this.#options.ownMetrics())
  }

  /** Lets every HTTP process finish its in-flight requests and exit, and then the engine process. Gives 0 where all exit with 0. */
  async stop(): Promise<number> {
    this.#isStopping = true
    this.#restartLoop.stop()
    this.#replicas.close()
    const codes = [...this.#children].map((child) => {
      // One that is ready may accept already, before it reports so.
      if (child.state !== 'starting') {
        child.send({ kind: 'stop' })
        return closedWithin(child, this.#options.stopMsMax)
      }
      child.kill()
      return child.closed.then(() => 0)
    })
    const ended = await Promise.all(codes)
    ended.push(await this.#engineLoop.stop(this.#options.stopMsMax))
    return ended.every((code) => code === 0) ? 0 : 1
  }

  /** Kills every process. */
  kill(): void {
    for (const child of this.#children) child.kill()
    this.#engineLoop.kill()
  }

  #launchEngine(): ChildProcess {
    this.#engineReloads = this.#reloads
    const engine = this.#options.startEngine({
      onRequest: (method) => this.#respond(method),
      onConnected: (connected) => {
        connected.send({ kind: 'restore', state: this.#engineState, folder: this.#options.engineFolder })
        this.#connected.add(connected)
        for (const child of this.#children) this.#link(child)
      },
      onEngineState: (state) => {
        this.#engineState = state
      },
      // Only HTTP processes report these.
      onFinalMetrics: () => undefined,
      onStopping: () => undefined,
      onEngineLinkLost: () => undefined,
    })
    void engine.exited.then(() => {
      this.#connected.delete(engine)
      this.#metrics.ended(engine)
    })
    return engine
  }

  /** Links an HTTP process with the engine process, once both receive messages. */
  #link(child: ChildProcess): void {
    const { engine } = this.#engineLoop
    if (engine === undefined || !this.#connected.has(engine) || !this.#connected.has(child)) return
    const { http, engine: other, close } = openLink()
    // Where one of them has ended, the other finds its end closed.
    if (engine.link(other)) child.link(http)
    close()
  }

  #launch(replica: Replica): Launched {
    const reloads = this.#reloads
    const child: ChildProcess = this.#options.startHttp(replica.number, {
      onRequest: (method) => this.#respond(method),
      onConnected: (connected) => {
        this.#connected.add(connected)
        this.#link(connected)
      },
      onEngineLinkLost: (unlinked) => this.#link(unlinked),
      onStopping: (stopping) => void this.#stopping(replica, stopping),
      onFinalMetrics: (ended, { metrics }) => this.#metrics.update(ended, metrics),
    })
    this.#children.add(child)
    void child.exited.then((how) => this.#ended(replica, child, how))
    void child.closed.then(() => {
      this.#children.delete(child)
      this.#connected.delete(child)
      this.#metrics.ended(child)
    })
    const onServing = async () => {
      void checkHealth(child, this.#options)
      await this.#catchUp(child, reloads)
    }
    return { child, onServing }
  }

  /** Has a process read the settings again where the others did so while it started. */
  async #catchUp(child: ChildProcess, reloads: number): Promise<void> {
    if (this.#reloads !== reloads) await reloadProcesses([child], 'reload')
  }

  #respond(method: SupervisorMethod): Promise<unknown> {
    return method === 'reload' ? this.reload() : this.gatherMetrics()
  }

  /** A substitute accepts at once. A terminal or a service manager signals all processes and then this one: then nothing is restarted. */
  async #stopping(replica: Replica, child: ChildProcess): Promise<void> {
    if (this.#isStopping) return
    this.#replicas.replaceSubstitute(child)
    if (replica.child === child) this.#replicas.substitute(replica)
    await Bun.sleep(STOPPING_MS)
    this.#restart(replica, child, 'received a stop signal')
  }

  #ended(replica: Replica, child: ChildProcess, how: number | string): void {
    this.#replicas.replaceSubstitute(child)
    this.#restart(replica, child, `ended with ${how}`)
  }

  /** Replaces a process that has ended, or is about to, without an order of the supervisor. */
  #restart(replica: Replica, child: ChildProcess, reason: string): void {
    if (replica.child !== child) return
    replica.child = undefined
    if (this.#isStopping) return
    this.#replicas.substitute(replica)
    this.#restarts += 1
    this.#options.logger.error(`process ${replica.number} ${reason}; starting a replacement`)
    this.#restartLoop.restart(replica)
  }

  async #rollAll(): Promise<void> {
    const { logger } = this.#options
    do {
      this.#isRollWanted = false
      logger.info('rolling restart: replacing every process, one after the other')
      for (const replica of this.#replicas) {
        const isReplaced = await this.#replace(replica)
        if (this.#isStopping) return
        if (isReplaced) continue
        logger.error(
          `rolling restart ended: the replacement of process ${replica.number} did not start; the old processes keep serving`,
        )
        return
      }
      logger.info('rolling restart finished: every process was replaced')
    } while (this.#isRollWanted)
  }

  /** The new process accepts before the old one drains, from the same socket, so at every moment one of them accepts. */
  async #replace(replica: Replica): Promise<boolean> {
    await this.#restartLoop.settled(replica)
    const old = replica.child
    if ((await this.#restartLoop.start(replica)) !== undefined) return false
    if (old === undefined || old.state === 'gone') return true
    old.drain()
    this.#replicas.replaceSubstitute(old)
    await closedWithin(old, this.#options.drainMsMax)
    return true
  }
}

/** Waits for the end of a process, and kills it after a time. Gives its exit code. */
async function closedWithin(child: ChildProcess, msMax: number): Promise<number> {
  const timer = setTimeout(() => child.kill(), msMax)
  const code = await child.closed
  clearTimeout(timer)
  return code
}
