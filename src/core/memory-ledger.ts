import { VestalError } from './errors.ts'

export interface LedgerLimits {
  /** Bytes held for all requests together; a single request may hold more while it is the only one. */
  readonly bytesMax: number
  /** Of these, bytes of one principal; its only request may hold more. Default: no limit for each principal. */
  readonly subjectBytesMax?: number | undefined
}

/** Bytes held for all requests where nothing else is set. */
export const HELD_BYTES_MAX = 2 ** 30

/** Limits in which one principal has a share of the bytes: a quarter, where nothing else is set. */
export function withShare<Limits extends LedgerLimits>(limits: Limits): Limits {
  return { ...limits, subjectBytesMax: limits.subjectBytesMax ?? Math.ceil(limits.bytesMax / 4) }
}

/** Whether bytes were charged, and if not, which limit they would exceed: the principal's, or the server's. */
export type Charge = 'entered' | 'subject-bytes' | 'bytes'

/** Seconds until a client should try again: bytes become free as soon as a request is done. */
const RETRY = { headers: { 'retry-after': '1' } }

/**
 * Counts the bytes that are held for requests, of all and of each principal: bodies on their way, what decompression has produced,
 * tensors, answers that are not read yet, messages of sockets. Whatever holds memory for a caller charges it here first, so that the sum
 * has a limit and not only each part.
 */
export class MemoryLedger {
  #bytesMax = 0
  #subjectBytesMax = 0
  #bytes = 0
  readonly #principals = new Map<string, number>()

  constructor(limits: LedgerLimits) {
    this.limit(limits)
  }

  /** Takes other limits from now on; what is held stays. */
  limit({ bytesMax, subjectBytesMax }: LedgerLimits): void {
    this.#bytesMax = bytesMax
    this.#subjectBytesMax = subjectBytesMax ?? Number.POSITIVE_INFINITY
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.#bytes
  }

  /** Bytes held for one principal now. */
  bytesOf(principal: string): number {
    return this.#principals.get(principal) ?? 0
  }

  /** Principals that bytes are held for now. */
  get principals(): number {
    return this.#principals.size
  }

  /**
   * Charges bytes to a principal, or says which limit they would exceed. Callers within the process have no principal (`''`), and the
   * server's limit only.
   * @param held bytes that the same request holds already: the request that holds all there is may go over a limit
   */
  enter(principal: string, bytes: number, held = 0): Charge {
    const own = this.#principals.get(principal) ?? 0
    if (bytes > 0) {
      if (principal !== '' && own > held && own + bytes > this.#subjectBytesMax) return 'subject-bytes'
      if (this.#bytes > held && this.#bytes + bytes > this.#bytesMax) return 'bytes'
    }
    this.#principals.set(principal, own + bytes)
    this.#bytes += bytes
    return 'entered'
  }

  /** Gives back bytes that were charged to the principal. */
  leave(principal: string, bytes: number): void {
    const own = (this.#principals.get(principal) ?? 0) - bytes
    if (own > 0) this.#principals.set(principal, own)
    else this.#principals.delete(principal)
    this.#bytes -= bytes
  }

  /** Opens a hold of a principal, with nothing in it. */
  open(principal: string): Hold {
    return new Hold(this, principal)
  }
}

/** The bytes held for one request, stream or socket. It is released once, whatever happens to what it is for. */
export class Hold {
  readonly principal: string
  readonly #ledger: MemoryLedger
  #bytes = 0
  #isReleased = false

  constructor(ledger: MemoryLedger, principal: string) {
    this.#ledger = ledger
    this.principal = principal
  }

  get bytes(): number {
    return this.#bytes
  }

  /**
   * Holds so many bytes more.
   * @throws VestalError SUBJECT_MEMORY_LIMIT, MEMORY_LIMIT; REQUEST_ABORTED where the hold was released
   */
  grow(bytes: number): void {
    if (this.#isReleased) throw new VestalError('REQUEST_ABORTED')
    const charge = this.#ledger.enter(this.principal, bytes, this.#bytes)
    if (charge !== 'entered') throw new VestalError(charge === 'bytes' ? 'MEMORY_LIMIT' : 'SUBJECT_MEMORY_LIMIT', RETRY)
    this.#bytes += bytes
  }

  /** Holds so many bytes less. */
  shrink(bytes: number): void {
    if (this.#isReleased) return
    this.#bytes -= bytes
    this.#ledger.leave(this.principal, bytes)
  }

  /** Holds so many bytes, in place of what it holds. @throws VestalError as `grow` */
  set(bytes: number): void {
    const more = bytes - this.#bytes
    if (more > 0) this.grow(more)
    else this.shrink(-more)
  }

  /** Holds nothing any more, and takes nothing more. */
  release(): void {
    this.#ledger.leave(this.principal, this.#bytes)
    this.#bytes = 0
    this.#isReleased = true
  }
}
