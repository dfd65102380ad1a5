/** The field of Ed25519, 2^255 - 19, and the curve's constant d (RFC 8032 §5.1). */
const P = 2n ** 255n - 19n
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n
/**
 * The y of the points whose order is 4 or 8: with one of them as a key, a signature can be right for any message. Those of order 1 and 2,
 * whose y is 1 and -1, have the x 0, which the check of the curve rejects.
 */
const SMALL_ORDER = new Set([
  0n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
])

/**
 * True for the 32 bytes of a point that can be a public key: its y is below p (RFC 8032 §5.1.3), it lies on the curve, and
 * its order is large. BoringSSL imports any 32 bytes, and checks signatures with points of small order.
 */
export function isSoundEd25519Point(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false
  const number = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
  const y = number & (2n ** 255n - 1n)
  if (y >= P || SMALL_ORDER.has(y)) return false
  // x² = (y² - 1) / (d y² + 1) has a root when its power to (p - 1) / 2, which is p / 2 rounded down, is one; a quotient and a product are squares together.
  const square = (y * y) % P
  return power(((square + P - 1n) * (D * square + 1n)) % P, P / 2n) === 1n
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  for (let bits = exponent, square = base; bits > 0n; bits >>= 1n, square = (square * square) % P) {
    if ((bits & 1n) === 1n) result = (result * square) % P
  }
  return result
}
