import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const OWN = '/proc/self'
/** States of proc_net_tcp(5). */
const STATES = { listening: '0A', connected: '01' } as const

/** Descriptors of this process that are TCP sockets of a local port, in one of two states. */
export function socketsOf(port: number, state: keyof typeof STATES): readonly number[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const inodes = new Set<string>()
  for (const table of ['tcp', 'tcp6']) {
    for (const line of (read(`${OWN}/net/${table}`) ?? '').split('\n')) {
      const [, local, , found, , , , , , inode] = line.trim().split(/\s+/)
      if (local?.endsWith(suffix) === true && found === STATES[state] && inode !== undefined) inodes.add(`socket:[${inode}]`)
    }
  }
  if (inodes.size === 0) return []
  return descriptors().filter((descriptor) => inodes.has(linkOf(descriptor) ?? ''))
}

/** Who watches a descriptor, and the word that it knows it by: epoll's own list (proc(5), fdinfo). */
export function watcherOf(descriptor: number): { readonly epoll: number; readonly word: bigint } | undefined {
  for (const epoll of descriptors()) {
    if (linkOf(epoll) !== 'anon_inode:[eventpoll]') continue
    const entry = new RegExp(`^tfd:\\s+${descriptor} events:\\s+[0-9a-f]+ data:\\s+([0-9a-f]+)`, 'm')
    const word = entry.exec(read(`${OWN}/fdinfo/${epoll}`) ?? '')?.[1]
    if (word !== undefined) return { epoll, word: BigInt(`0x${word}`) }
  }
  return undefined
}

function descriptors(): readonly number[] {
  return readdirSync(`${OWN}/fd`).map(Number)
}

function linkOf(descriptor: number): string | undefined {
  try {
    return readlinkSync(`${OWN}/fd/${descriptor}`)
  } catch {
    // Closed since the folder was read.
    return undefined
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // No IPv6, or closed since the folder was read.
    return undefined
  }
}
