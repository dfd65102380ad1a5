/** Signed integers of 64 bits, one varint after the other. */
export function integersIn(bytes: Uint8Array): readonly bigint[] {
  const integers: bigint[] = []
  let [value, shift] = [0n, 0n]
  for (const byte of bytes) {
    value |= BigInt(byte % 128) << shift
    shift += 7n
    if (byte >= 128) continue
    integers.push(BigInt.asIntN(64, value))
    value = 0n
    shift = 0n
  }
  return integers
}
