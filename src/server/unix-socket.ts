import { lstatSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { SettingsError } from '../config/load.ts'

/**
 * Removes the socket that a killed server left at a path. Anything that is no socket, and a socket that a process listens on, stays.
 * @throws SettingsError where there is no room
 */
export async function makeRoomForSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return
  if (!stat.isSocket()) throw new SettingsError([`unix: ${path}: is there already and is no socket`])
  if (await isListenedOn(path)) throw new SettingsError([`unix: ${path}: another process listens on it`])
  unlinkSync(path)
}

/** False where the connection is refused; any other outcome counts as a listening process. */
function isListenedOn(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(path)
  socket.on('connect', () => {
    socket.destroy()
    resolve(true)
  })
  socket.on('error', (error) => resolve(!('code' in error && error.code === 'ECONNREFUSED')))
  return promise
}
