/** Where a server listens. */
export interface Address {
  readonly hostname: string
  readonly port: number
}

/** Fails where another program listens there already: sockets that share a port would share it with theirs. @throws what Bun throws */
export function rejectTakenPort({ hostname, port }: Address): void {
  if (port === 0) return
  // Nobody is answered: it is stopped before anything is accepted.
  void Bun.serve({ hostname, port, reusePort: false, fetch: () => new Response(null, { status: 503 }) }).stop(true)
}
