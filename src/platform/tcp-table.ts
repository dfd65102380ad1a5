import { readFileSync, readlinkSync } from 'node:fs'

/** States of proc_net_tcp(5). */
const STATES = { listening: '0A', connected: '01' } as const
export type TcpState = keyof typeof STATES

/** TCP sockets of a local port in one of two states, as links of open files name them: `socket:[inode]`. None where Linux does not say. */
export function socketsOnPort(port: number, state: TcpState): ReadonlySet<string> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const links = new Set<string>()
  for (const table of ['tcp', 'tcp6']) {
    for (const line of tableText(table).split('\n')) {
      const [, local, , found, , , , , , inode] = line.trim().split(/\s+/)
      if (local?.endsWith(suffix) === true && found === STATES[state] && inode !== undefined) links.add(`socket:[${inode}]`)
    }
  }
  return links
}

/** What an open file is; undefined where it is closed by now, or another user's. */
export function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    // Closed since its folder was read, or not ours to see.
    return undefined
  }
}

function tableText(table: string): string {
  try {
    return readFileSync(`/proc/self/net/${table}`, 'utf8')
  } catch {
    // No IPv6, or another system than Linux.
    return ''
  }
}
