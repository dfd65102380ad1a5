export interface AdmissionLimits {
  /** Requests of all models that wait or run. */
  readonly requestsMax: number
  /** Of these, requests of one subject. */
  readonly subjectRequestsMax: number
  /** Bytes of all their inputs; one request alone may have more. */
  readonly bytesMax: number
}

/** Counts what waits and runs in the whole server, and what of it is one subject's. */
export class Admission {
  #limits: AdmissionLimits
  readonly #subjects = new Map<string, number>()
  #requests = 0
  #bytes = 0

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  /** Takes other limits from now on; what is in stays in. */
  limit(limits: AdmissionLimits): void {
    this.#limits = limits
  }

  get requests(): number {
    return this.#requests
  }

  get bytes(): number {
    return this.#bytes
  }

  /**
   * Takes a place, or says which limit there is no place under. The subject's own limit is told first: it is the one to mend.
   * Requests of no subject (`''`) have the server's limits alone.
   */
  enter(subject: string, bytes: number): 'entered' | 'queue-full' | 'subject-limit' {
    const { requestsMax, subjectRequestsMax, bytesMax } = this.#limits
    const own = this.#subjects.get(subject) ?? 0
    if (subject !== '' && own >= subjectRequestsMax) return 'subject-limit'
    if (this.#requests >= requestsMax || (this.#requests > 0 && this.#bytes + bytes > bytesMax)) return 'queue-full'
    this.#subjects.set(subject, own + 1)
    this.#requests += 1
    this.#bytes += bytes
    return 'entered'
  }

  /** Gives back a place that was taken with the same two. */
  leave(subject: string, bytes: number): void {
    const own = (this.#subjects.get(subject) ?? 0) - 1
    if (own > 0) this.#subjects.set(subject, own)
    else this.#subjects.delete(subject)
    this.#requests -= 1
    this.#bytes -= bytes
  }
}
