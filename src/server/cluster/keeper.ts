import type { Logger } from '../../telemetry/log/logger.ts'
import type { MemberProcess } from './member-process.ts'
import type { Place, Places } from './places.ts'

/** A process that has begun to start. */
export interface Launched {
  readonly member: MemberProcess
  /** Tells it what it may have missed, once it serves. */
  readonly joined: () => Promise<void>
}

export interface KeeperOptions {
  readonly places: Places
  readonly logger: Logger
  /** @throws what the system says where it starts no process */
  readonly launch: (place: Place) => Launched
  /** Milliseconds until a process that does not come to serve is ended. */
  readonly startMsMax: number
}

const [RETRY_MS, RETRY_MS_MAX] = [250, 10_000]

/** Puts processes into places, one at a time in each. */
export class Keeper {
  readonly #options: KeeperOptions
  #isStopping = false

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  /** Starts none from now on. */
  stop(): void {
    this.#isStopping = true
  }

  /** Resolves once nothing starts in a place. */
  async settled(place: Place): Promise<void> {
    while (place.filling !== undefined) await place.filling
  }

  /** Puts a new process into a place, beside the one that may serve there. Gives its exit code where it could not start. */
  async fill(place: Place, isAnnounced = false): Promise<number | undefined> {
    await this.settled(place)
    return this.#fillNow(place, isAnnounced)
  }

  /** Tries until a process serves in a place, after longer and longer pauses. */
  keep(place: Place): void {
    if (place.isKept === true) return
    place.isKept = true
    void this.#keep(place)
  }

  async #keep(place: Place): Promise<void> {
    for (;;) {
      const delayMs = place.failures === 0 ? 0 : Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** (place.failures - 1))
      place.failures += 1
      if (delayMs > 0) await Bun.sleep(delayMs)
      // A roll may have come first.
      await this.settled(place)
      if (this.#isStopping || place.member !== undefined) break
      const code = await this.#fillNow(place, false)
      if (code !== undefined && !this.#isStopping)
        this.#options.logger.error(`process ${place.number} could not start and ended with ${code}`)
      // It may have ended since.
      if (this.#isStopping || place.member !== undefined) break
    }
    // In one go with the last look: an end that is told of after this begins anew.
    place.isKept = false
  }

  #fillNow(place: Place, isAnnounced: boolean): Promise<number | undefined> {
    const filling = this.#startIn(place, isAnnounced).finally(() => {
      place.filling = undefined
    })
    place.filling = filling
    return filling
  }

  async #startIn(place: Place, isAnnounced: boolean): Promise<number | undefined> {
    const { places, logger, startMsMax } = this.#options
    const launched = this.#launch(place)
    if (launched === undefined) return 1
    const { member, joined } = launched
    const timer = setTimeout(() => {
      logger.error(`process ${place.number} does not serve after ${startMsMax / 1000} s and is ended`)
      member.kill()
    }, startMsMax)
    try {
      await member.ready
      if (this.#isStopping) return 1
      await places.listen(place, member, isAnnounced)
    } catch (error) {
      // What is told of an end is told by itself; anything else is why it had to end.
      if (member.state === 'ready') logger.error(`process ${place.number} cannot listen`, { error })
      member.kill()
      return (await member.exited) || 1
    } finally {
      clearTimeout(timer)
    }
    await joined()
    return undefined
  }

  #launch(place: Place): Launched | undefined {
    if (this.#isStopping) return undefined
    const { logger, launch } = this.#options
    try {
      return launch(place)
    } catch (error) {
      logger.error(`process ${place.number} cannot be started by the system`, { error })
      return undefined
    }
  }
}
