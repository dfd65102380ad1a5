import { below, type Random } from './seed.ts'

const BITS = new DataView(new ArrayBuffer(8))

/** A double of drawn bits: every exponent is as likely as the others. */
export function drawDouble(random: Random): number {
  BITS.setUint32(0, below(random, 2 ** 32))
  BITS.setUint32(4, below(random, 2 ** 32))
  const value = BITS.getFloat64(0)
  return Number.isFinite(value) ? value : 0
}

/** A float of drawn bits, as a double. */
export function drawFloat(random: Random): number {
  BITS.setUint32(0, below(random, 2 ** 32))
  const value = BITS.getFloat32(0)
  return Number.isFinite(value) ? value : 0
}

/** A decimal between two neighbouring floats, or a little beside the middle: where rounding twice and rounding once may differ. */
function drawTie(random: Random): string {
  const low = Math.abs(drawFloat(random))
  BITS.setFloat32(0, low)
  BITS.setUint32(0, BITS.getUint32(0) + 1)
  const high = BITS.getFloat32(0)
  const middle = Number.isFinite(high) ? (low + high) / 2 : low
  const [digits = '0', power = '0'] = middle.toExponential(50).split('e')
  const beside = ['', '000000000000000000001', '1'][below(random, 3)] ?? ''
  return `${digits}${beside}e${power}`
}

/** Zeros, what is rounded to one, and digits that are 0 in 64 bits. */
const ZEROS = [
  ...['0', '-0', '0.0', '-0.000', '0e5', '0E-999', '-0e+0', '1e-400', '0.000000000000000000000000000001'],
  ...[
    '18446744073709551616',
    '-36893488147419103232.0',
    '0.18446744073709551616',
    '184467440737.09551616e-9',
    '73786976294838206464E-3',
  ],
]

/** The digits of a number in the many ways in which JSON may have them. */
export function drawNumber(random: Random): string {
  switch (below(random, 12)) {
    case 0:
      return String(drawDouble(random))
    case 1:
      return String(drawFloat(random))
    case 2:
      return drawDouble(random)
        .toExponential(below(random, 25))
        .replace('e', random() < 0.5 ? 'E' : 'e')
    case 3:
      return (drawFloat(random) * 1e-3).toPrecision(1 + below(random, 21))
    case 4:
      return String(below(random, 2 ** 31) - 2 ** 30)
    case 5:
      return `${below(random, 2) === 0 ? '-' : ''}${below(random, 10) === 0 ? '0' : 1 + below(random, 9)}.${digits(random, 1 + below(random, 40))}`
    case 6:
      return `${1 + below(random, 9)}${digits(random, below(random, 25))}`
    case 7:
      return `${below(random, 300)}.${digits(random, 1 + below(random, 18))}e${['', '+', '-'][below(random, 3)]}${below(random, 50)}`
    case 8:
      return ZEROS[below(random, ZEROS.length)] ?? '0'
    case 9:
      return drawTie(random)
    case 10:
      return (random() * 2 - 1).toFixed(1 + below(random, 20))
    default:
      return String(random())
  }
}

function digits(random: Random, count: number): string {
  return Array.from({ length: count }, () => below(random, 10)).join('')
}
