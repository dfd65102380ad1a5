/** An address as a number, of 32 bits or of 128. */
interface Address {
  readonly value: bigint
  readonly bits: 32 | 128
}

/** Addresses that begin alike, such as `10.0.0.0/8`; one address is a block of its own. */
export interface AddressBlock extends Address {
  /** Bits at the end that may be any. */
  readonly free: number
}

/** Reads an address or a block; undefined for any other text. IPv4 that is written as IPv6 (`::ffff:10.0.0.0/104`) is IPv4. */
export function parseAddressBlock(text: string): AddressBlock | undefined {
  const [, written = '', length] = /^([0-9a-f.:]{2,45})(?:\/(\d{1,3}))?$/i.exec(text.trim()) ?? []
  const address = parseWritten(written)
  if (address === undefined) return undefined
  const free = length === undefined ? 0 : address.bits - Number(length)
  if (free < 0) return undefined
  return { ...(free <= 32 ? plain(address) : address), free }
}

/** Prepares the question whether an address is in one of the blocks. A text that is no block has no address in it. */
export function createAddressBlocks(texts: readonly string[]): (address: string) => boolean {
  const blocks = texts.map(parseAddressBlock).filter((block) => block !== undefined)
  if (blocks.length === 0) return () => false
  return (text) => {
    const address = parseAddress(text)
    if (address === undefined) return false
    return blocks.some(({ value, bits, free }) => bits === address.bits && (value ^ address.value) >> BigInt(free) === 0n)
  }
}

function parseAddress(text: string): Address | undefined {
  const address = parseWritten(text)
  return address && plain(address)
}

/** RFC 4291 §2.5.5.2: 80 bits of zeros, 16 of ones, and an address of IPv4. */
function plain({ value, bits }: Address): Address {
  return bits === 128 && value >> 32n === 0xffffn ? { value: value & 0xffffffffn, bits: 32 } : { value, bits }
}

function parseWritten(text: string): Address | undefined {
  if (!text.includes(':')) return parseIpv4(text)
  const [, head, tail = ''] = /^(.*:)([^:]*\..*)$/.exec(text) ?? []
  if (head === undefined) return parseIpv6(text)
  const last = parseIpv4(tail)
  return last && parseIpv6(`${head}${(last.value >> 16n).toString(16)}:${(last.value & 0xffffn).toString(16)}`)
}

function parseIpv6(text: string): Address | undefined {
  const halves = text.split('::').map((half) => (half === '' ? [] : half.split(':')))
  const [before = [], after = []] = halves
  const given = before.length + after.length
  const isWhole = halves.length === 1 ? given === 8 : halves.length === 2 && given < 8
  const groups = [...before, ...Array<string>(Math.max(0, 8 - given)).fill('0'), ...after]
  if (!isWhole || !groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined
  return { value: BigInt(`0x${groups.map((group) => group.padStart(4, '0')).join('')}`), bits: 128 }
}

function parseIpv4(text: string): Address | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return undefined
  return { value: parts.reduce((value, part) => value * 256n + BigInt(part), 0n), bits: 32 }
}
