import { readdirSync, readFileSync } from 'node:fs'
import { linkOf, socketsOnPort, type TcpState } from '../../platform/tcp-table.ts'

const OWN = '/proc/self'

/** Descriptors of this process that are TCP sockets of a local port, in one of two states. */
export function socketsOf(port: number, state: TcpState): readonly number[] {
  const links = socketsOnPort(port, state)
  return links.size === 0 ? [] : descriptors().filter((descriptor) => links.has(openFile(descriptor) ?? ''))
}

/** Who watches a descriptor, and the word that it knows it by: epoll's own list (proc(5), fdinfo). */
export function watcherOf(descriptor: number): { readonly epoll: number; readonly word: bigint } | undefined {
  for (const epoll of descriptors()) {
    if (openFile(epoll) !== 'anon_inode:[eventpoll]') continue
    const entry = new RegExp(`^tfd:\\s+${descriptor} events:\\s+[0-9a-f]+ data:\\s+([0-9a-f]+)`, 'm')
    const word = entry.exec(read(`${OWN}/fdinfo/${epoll}`) ?? '')?.[1]
    if (word !== undefined) return { epoll, word: BigInt(`0x${word}`) }
  }
  return undefined
}

function descriptors(): readonly number[] {
  return readdirSync(`${OWN}/fd`).map(Number)
}

function openFile(descriptor: number): string | undefined {
  return linkOf(`${OWN}/fd/${descriptor}`)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Closed since the folder was read.
    return undefined
  }
}
