/** The link between an HTTP process and the engine process: descriptors, which the owner of the link closes. */
export interface Link {
  /** One end of a pair of local sockets. */
  readonly socket: number
  /** A file in memory for large tensors of requests, and one for those of answers; absent where the system gives none. */
  readonly requests?: number | undefined
  readonly answers?: number | undefined
}

/** Memory of an area is given back when nothing went through it for this long. */
export const REST_MS = 5_000
