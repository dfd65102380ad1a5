import type { Logger } from '../../telemetry/log/logger.ts'
import { type ChildProcess, nameOf } from './child-process.ts'
import { checkHealth, type HealthCheckOptions } from './health-check.ts'
import { type Replica, type Replicas, STEADY_MS } from './replicas.ts'

const [RETRY_MS, RETRY_MS_MAX] = [250, 10_000]
/** Ends in a row after which the next engine process starts at once: all predictions wait for it. */
const ENGINE_RETRIES_AT_ONCE = 3

/** The pause before a retry, which doubles with each. */
function retryDelayMs(retries: number): number {
  return Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** retries)
}

/** Kills a process that has not started in time. Gives what ends the limit. */
function limitStart(child: ChildProcess, { logger, startMsMax }: StartLimit): () => void {
  const timer = setTimeout(() => {
    logger.error(`${nameOf(child)} did not start within ${startMsMax / 1000} s; killing it`)
    child.kill()
  }, startMsMax)
  return () => clearTimeout(timer)
}

interface StartLimit {
  readonly logger: Logger
  /** Milliseconds until a process that does not come to serve is killed. */
  readonly startMsMax: number
}

/** A process that has begun to start. */
export interface Launched {
  readonly child: ChildProcess
  /** Called once it serves. */
  readonly onServing: () => Promise<void>
}

export interface ReplicaRestartLoopOptions extends StartLimit {
  readonly replicas: Replicas
  /** @throws what the system says where it cannot start a process */
  readonly launch: (replica: Replica) => Launched
}

/** Starts the processes of replicas, one at a time for each, and restarts them with back-off. */
export class ReplicaRestartLoop {
  readonly #options: ReplicaRestartLoopOptions
  #isStopping = false

  constructor(options: ReplicaRestartLoopOptions) {
    this.#options = options
  }

  /** Starts no process from now on. */
  stop(): void {
    this.#isStopping = true
  }

  /** Resolves once no process of a replica is starting. */
  async settled(replica: Replica): Promise<void> {
    while (replica.starting !== undefined) await replica.starting
  }

  /** Starts a process for a replica, beside the one that may serve it. Gives its exit code where it could not start. */
  async start(replica: Replica, isAnnounced = false): Promise<number | undefined> {
    await this.settled(replica)
    return this.#startNow(replica, isAnnounced)
  }

  /** Retries until a process serves the replica. */
  restart(replica: Replica): void {
    if (replica.isRestarting === true) return
    replica.isRestarting = true
    void this.#restart(replica)
  }

  async #restart(replica: Replica): Promise<void> {
    for (;;) {
      const delayMs = replica.failures === 0 ? 0 : retryDelayMs(replica.failures - 1)
      replica.failures += 1
      if (delayMs > 0) await Bun.sleep(delayMs)
      // A rolling restart may have come first.
      await this.settled(replica)
      if (this.#isStopping || replica.child !== undefined) break
      const code = await this.#startNow(replica, false)
      if (code !== undefined && !this.#isStopping)
        this.#options.logger.error(`process ${replica.number} failed to start and ended with ${code}`)
      // It may have ended since.
      if (this.#isStopping || replica.child !== undefined) break
    }
    // Nothing is awaited since the last check: an end that is noticed after this begins a new loop.
    replica.isRestarting = false
  }

  #startNow(replica: Replica, isAnnounced: boolean): Promise<number | undefined> {
    const starting = this.#launchAndListen(replica, isAnnounced).finally(() => {
      replica.starting = undefined
    })
    replica.starting = starting
    return starting
  }

  async #launchAndListen(replica: Replica, isAnnounced: boolean): Promise<number | undefined> {
    const { replicas, logger } = this.#options
    const launched = this.#launch(replica)
    if (launched === undefined) return 1
    const { child, onServing } = launched
    const hasStarted = limitStart(child, this.#options)
    try {
      await child.ready
      if (this.#isStopping) return 1
      await replicas.listen(replica, child, isAnnounced)
    } catch (error) {
      // The end of a process is logged by the caller; any other error is the reason to kill it.
      if (child.state === 'ready') logger.error(`process ${replica.number} cannot listen`, { error })
      child.kill()
      return (await child.closed) || 1
    } finally {
      hasStarted()
    }
    await onServing()
    return undefined
  }

  #launch(replica: Replica): Launched | undefined {
    if (this.#isStopping) return undefined
    const { logger, launch } = this.#options
    try {
      return launch(replica)
    } catch (error) {
      logger.error(`the system cannot start process ${replica.number}`, { error })
      return undefined
    }
  }
}

export interface EngineRestartLoopOptions extends HealthCheckOptions, StartLimit {
  /** Starts an engine process. @throws what the system says where it cannot */
  readonly launch: () => ChildProcess
  /** Called once it serves. */
  readonly onServing: (engine: ChildProcess) => Promise<void>
}

/** Starts the engine process, and restarts it with back-off. */
export class EngineRestartLoop {
  readonly #options: EngineRestartLoopOptions
  #engine: ChildProcess | undefined
  /** Ends in a row, each before it had served for `STEADY_MS`. */
  #failures = 0
  #restarts = 0
  #isStopping = false

  constructor(options: EngineRestartLoopOptions) {
    this.#options = options
  }

  /** The process that serves, or starts. */
  get engine(): ChildProcess | undefined {
    return this.#engine
  }

  get restarts(): number {
    return this.#restarts
  }

  /** Starts the first. Gives its exit code where it could not start. */
  async start(): Promise<number | undefined> {
    const engine = this.#launch()
    if (engine === undefined) return 1
    if (await this.#untilServing(engine)) return undefined
    return (await engine.closed) || 1
  }

  /** Stops the process, and starts none from now on. Gives 0 where it exits with 0. */
  async stop(msMax: number): Promise<number> {
    this.#isStopping = true
    const engine = this.#engine
    if (engine === undefined || engine.state === 'gone') return 0
    const isStarting = engine.state === 'starting'
    if (isStarting) engine.kill()
    else engine.send({ kind: 'stop' })
    const timer = setTimeout(() => engine.kill(), msMax)
    const code = await engine.closed
    clearTimeout(timer)
    return isStarting ? 0 : code
  }

  /** Kills the process, and starts none from now on. */
  kill(): void {
    this.#isStopping = true
    this.#engine?.kill()
  }

  #launch(): ChildProcess | undefined {
    if (this.#isStopping) return undefined
    const { launch, logger } = this.#options
    try {
      this.#engine = launch()
      return this.#engine
    } catch (error) {
      logger.error('the system cannot start the engine process', { error })
      return undefined
    }
  }

  async #untilServing(engine: ChildProcess): Promise<boolean> {
    const hasStarted = limitStart(engine, this.#options)
    const isReady = await engine.ready.then(
      () => true,
      () => false,
    )
    hasStarted()
    if (!isReady) return false
    const steady = setTimeout(() => {
      if (this.#engine === engine) this.#failures = 0
    }, STEADY_MS)
    steady.unref()
    void engine.exited.then((how) => this.#ended(how))
    void checkHealth(engine, this.#options)
    await this.#options.onServing(engine)
    return true
  }

  #ended(how: number | string): void {
    if (this.#isStopping) return
    this.#restarts += 1
    this.#options.logger.error(`the engine process ended with ${how}; starting a replacement, which loads the same models`)
    void this.#restart()
  }

  async #restart(): Promise<void> {
    for (;;) {
      const delayMs = this.#failures < ENGINE_RETRIES_AT_ONCE ? 0 : retryDelayMs(this.#failures - ENGINE_RETRIES_AT_ONCE)
      this.#failures += 1
      if (delayMs > 0) await Bun.sleep(delayMs)
      const engine = this.#launch()
      if (engine !== undefined && (await this.#untilServing(engine))) return
      if (this.#isStopping) return
      const how = engine === undefined ? '' : ` and ended with ${await engine.exited}`
      this.#options.logger.error(`the engine process failed to start${how}`)
    }
  }
}
