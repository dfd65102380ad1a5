import { closeSync } from 'node:fs'

/** Uses a descriptor as a socket of this process; where that fails, closes it and calls `failed`. */
export function openSocket(descriptor: number, handlers: Bun.SocketHandler, failed: () => void): void {
  // The cast: Bun's types lack the form with a descriptor that its documentation has.
  const options = { fd: descriptor, socket: handlers } as unknown as Bun.UnixSocketOptions
  void Bun.connect(options).catch(() => {
    closeSync(descriptor)
    failed()
  })
}
