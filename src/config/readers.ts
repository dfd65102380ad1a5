import { isIP } from 'node:net'
import { parseAddressBlock } from '../core/address-blocks.ts'
import { isLoopback } from '../core/loopback.ts'
import { didYouMean } from '../core/nearest.ts'

/** Reads a setting's text; throws a RangeError whose message is the rule that the text broke. */
export interface Reader<T> {
  (text: string): T
  /** The file may write the value as a number, without quotes. */
  readonly takesNumber?: true
  /** What the text may be, where that is a few words. */
  readonly words?: readonly string[]
  /** What `--help` shows for the value. */
  readonly shown?: string
}

/** Lets the file write the value as a number. */
export function asNumber<T>(read: (text: string) => T): Reader<T> {
  return Object.assign((text: string) => read(text), { takesNumber: true as const })
}

/** A whole number between two bounds, both included. */
export function integer(min: number, max: number, shown = 'N'): Reader<number> {
  const read = asNumber((text) => {
    const value = Number(text)
    if (/^\d{1,15}$/.test(text) && value >= min && value <= max) return value
    throw new RangeError(`must be a whole number from ${min} to ${max}`)
  })
  return Object.assign(read, { shown })
}

/** A whole number of seconds. */
export function seconds(min: number, max: number): Reader<number> {
  return integer(min, max, 'SECONDS')
}

/** A whole number of bytes. */
export function bytes(min: number, max: number): Reader<number> {
  return integer(min, max, 'BYTES')
}

/** One of a few words. */
export function oneOf<const T extends string>(...words: readonly T[]): Reader<T> {
  const read = (text: string) => {
    const word = words.find((candidate) => candidate === text)
    if (word !== undefined) return word
    throw new RangeError(`must be one of ${words.join(', ')}${didYouMean(text, words)}`)
  }
  return Object.assign(read, { words, shown: words.join('|') })
}

/** A text that is not empty and has no line break. */
export function line(lengthMax: number): Reader<string> {
  return (text) => {
    if (text.trim() !== '' && text.length <= lengthMax && !/[\r\n\0]/.test(text)) return text
    throw new RangeError(`must be one line of 1 to ${lengthMax} characters`)
  }
}

/** The path of a file or a folder of this machine: an address, or the text of a key, belongs to a different setting. */
export function path(lengthMax = 4096): Reader<string> {
  const readLine = line(lengthMax)
  const read = (text: string) => {
    if (/-----BEGIN |^\s*\{/.test(text)) throw new RangeError('must be the path of a file, not what stands in it')
    if (/^\s*["']?[a-z][a-z0-9+.-]*:\/\//i.test(text)) throw new RangeError('must be a path of this machine, not an address')
    return readLine(text)
  }
  return Object.assign(read, { shown: 'FILE' })
}

/** Where to listen: an address, or a name that stands for one. */
export function listenHost(): Reader<string> {
  return (text) => {
    const bare = /^\[(.+)\]$/.exec(text)?.[1] ?? text
    const isName = /^(?=.{1,253}$)(?=.*[a-z])[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i.test(
      text,
    )
    if (isIP(bare) !== 0 || isName) return text
    throw new RangeError('must be an address such as 127.0.0.1, 0.0.0.0 or ::, or a name, without a scheme and a port')
  }
}

const POSTGRES = /^postgres(?:ql)?:\/\//
/** How an address begins, or what is one with its scheme left out; a drive of Windows has one letter. */
const LIKE_ADDRESS = /:\/\/|^\s*["']?[a-z][a-z0-9+.-]+:|^\/\/|^[a-z]:(?![\\/])|^[^/\\.]+@/i

/** Where accounts are kept. An address with another scheme is no file: its password would become a name of one. */
export function databasePlace(): Reader<string> {
  const read = line(4096)
  return (text) => {
    if (POSTGRES.test(text) && hostOf(text) !== '') return read(text)
    if (!LIKE_ADDRESS.test(text)) return read(text)
    throw new RangeError(
      'must be the path of a SQLite file, or an address postgres://user:password@host/database (or postgresql://…), special characters of the password percent-encoded',
    )
  }
}

const REDIS = /^(?:rediss?|valkeys?|redis\+tls):\/\//
const REDIS_SOCKET = /^redis\+(?:tls\+)?unix:\/\/\/?[^/]/

/** Address of a Redis, in one of the schemes that its client knows. */
export function redisAddress(): Reader<string> {
  return (text) => {
    if (REDIS.test(text) && hostOf(text) !== '') return text
    if (REDIS_SOCKET.test(text)) return text
    throw new RangeError(
      'must be an address redis://[user:password@]host[:port], rediss://… for TLS, or redis+unix://path, special characters of the password percent-encoded',
    )
  }
}

function hostOf(text: string): string {
  return URL.canParse(text) ? new URL(text).hostname : ''
}

/** What names of headers, cookies and schemes are made of (RFC 9110 §5.6.2, `token`). */
export function name(): Reader<string> {
  const read = (text: string) => {
    if (/^[!#$%&'*+.^`|~\w-]{1,64}$/.test(text)) return text
    throw new RangeError("must be letters, digits and -_.!#$%&'*+^`|~, at most 64")
  }
  return Object.assign(read, { shown: 'NAME' })
}

/** A proxy: an address, a block of addresses, or `unix`, the peer of the unix socket. */
export function proxy(): Reader<string> {
  return (text) => {
    if (text.trim() === 'unix') return 'unix'
    if (parseAddressBlock(text) !== undefined) return text.trim()
    throw new RangeError('must be an address, a block of them, such as 10.0.0.0/8 or fd00::/8, or unix')
  }
}

/** A shared secret; its text is never shown. */
export function secret(bytesMin: number): Reader<string> {
  return (text) => {
    const bytes = Buffer.byteLength(text)
    if (bytes >= bytesMin) return text
    throw new RangeError(`must be at least ${bytesMin} bytes, and has ${bytes} (RFC 7518 §3.2)`)
  }
}

/** A key as text; its text is never shown. An environment that holds only one line writes the line breaks of a PEM as `\n`. */
export function keyText(): Reader<string> {
  return (text) => {
    const trimmed = text.trim()
    const isPem = trimmed.startsWith('-----BEGIN ')
    if ((isPem || trimmed.startsWith('{')) && trimmed.length <= 1024 * 1024)
      return isPem ? trimmed.replaceAll('\\n', '\n') : trimmed
    throw new RangeError('must be a PEM, a JWK or a JWK Set')
  }
}

/** A passphrase; its text is never shown. */
export function passphrase(bytesMin: number): Reader<string> {
  return (text) => {
    if (Buffer.byteLength(text) >= bytesMin && text.length <= 1024) return text
    throw new RangeError(`must be ${bytesMin} bytes to 1024 characters`)
  }
}

/** Several texts, each of them read by itself. */
export function listOf<T>(read: Reader<T>, itemsMax: number): (texts: readonly string[]) => readonly T[] {
  return (texts) => {
    if (texts.length > itemsMax) throw new RangeError(`must be at most ${itemsMax}`)
    return texts.map(read)
  }
}

/** Texts of the form `name=path`, no name twice. */
export function pathsByName(itemsMax: number): (texts: readonly string[]) => ReadonlyMap<string, string> {
  const readPath = path()
  return (texts) => {
    if (texts.length > itemsMax) throw new RangeError(`must be at most ${itemsMax}`)
    const paths = new Map<string, string>()
    for (const text of texts) {
      const [, key, file] = /^([A-Za-z0-9][A-Za-z0-9._-]{0,99})=(.+)$/.exec(text) ?? []
      if (key === undefined || file === undefined)
        throw new RangeError('must be name=path, the name of letters, digits, ".", "_", "-"')
      if (paths.has(key)) throw new RangeError(`names "${key}" twice`)
      paths.set(key, readPath(file))
    }
    return paths
  }
}

/** An address on the web that is safe to believe: https, or http where it does not leave this machine. */
export function webAddress(): Reader<string> {
  return (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
    if (url !== undefined && isSafe && url.username === '' && url.password === '' && url.hash === '') return text
    throw new RangeError('must be an https address without user and fragment; http is only for a loopback address')
  }
}
