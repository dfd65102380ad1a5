import { expect, test } from 'bun:test'
import { createAddressBlocks, parseAddressBlock } from '../../../src/core/address-blocks.ts'

test('no block, or none that can be read, has no address in it', () => {
  for (const texts of [[], ['nonsense'], ['10.0.0.0/33', '::/129', '10.0.0.0/-1']])
    for (const address of ['10.0.0.1', '::1', '', 'nonsense'])
      expect([texts, createAddressBlocks(texts)(address)]).toEqual([texts, false])
})

test('an address of one kind is in no block of the other', () => {
  expect(createAddressBlocks(['0.0.0.0/0'])('::1')).toBe(false)
  expect(createAddressBlocks(['::/0'])('10.0.0.1')).toBe(false)
  expect(createAddressBlocks(['::/96'])('10.0.0.1')).toBe(false)
})

test('a block ends with its last address', () => {
  for (const [block, inside, outside] of [
    ['10.1.2.0/24', '10.1.2.255', '10.1.3.0'],
    ['10.1.2.4/30', '10.1.2.7', '10.1.2.8'],
    ['10.1.2.3', '10.1.2.3', '10.1.2.4'],
    ['255.255.255.255/32', '255.255.255.255', '255.255.255.254'],
    ['fd00::/8', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'fe00::'],
    ['2001:db8::/127', '2001:db8::1', '2001:db8::2'],
  ] as const) {
    const isIn = createAddressBlocks([block])
    expect([block, isIn(inside), isIn(outside)]).toEqual([block, true, false])
  }
})

test('an address is written in full, and in no form that others read in another way', () => {
  for (const text of [
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.256',
    '0x1.2.3.4',
    '1:2:3:4:5:6:7',
    '1::2::3',
    '12345::',
    'g::',
    ':::',
    '1:2:3:4:5:6:7::8',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8:9',
  ])
    expect([text, parseAddressBlock(text), createAddressBlocks(['0.0.0.0/0', '::/0'])(text)]).toEqual([text, undefined, false])
})

test('an address is one number, however many zeros it is written with', () => {
  const cases: readonly (readonly [text: string, value: bigint, bits: number])[] = [
    ['::', 0n, 128],
    ['::1', 1n, 128],
    ['1::', 1n << 112n, 128],
    ['1:2:3:4:5:6:7:8', 0x0001_0002_0003_0004_0005_0006_0007_0008n, 128],
    ['0001:0002:0003:0004:0005:0006:0007:0008', 0x0001_0002_0003_0004_0005_0006_0007_0008n, 128],
    ['1:2:3:4:5:6:7::', 0x0001_0002_0003_0004_0005_0006_0007_0000n, 128],
    ['2001:db8::a:b', 0x2001_0db8_0000_0000_0000_0000_000a_000bn, 128],
    ['64:ff9b::192.0.2.33', 0x0064_ff9b_0000_0000_0000_0000_c000_0221n, 128],
    ['192.0.2.33', 0xc000_0221n, 32],
    [' 192.0.2.33 ', 0xc000_0221n, 32],
    ['::ffff:192.0.2.33', 0xc000_0221n, 32],
    ['0.0.0.255', 255n, 32],
  ]
  for (const [text, value, bits] of cases)
    expect([text, parseAddressBlock(text)]).toEqual([text, { value, bits: bits === 32 ? 32 : 128, free: 0 }])
})

test('a block is IPv4 where all of it is IPv4 that is written as IPv6', () => {
  expect(parseAddressBlock('::ffff:0:0/96')).toEqual({ value: 0n, bits: 32, free: 32 })
  expect(parseAddressBlock('::ffff:0:0/95')).toEqual({ value: 0xffff_0000_0000n, bits: 128, free: 33 })
  expect(createAddressBlocks(['::ffff:0:0/95'])('10.0.0.1')).toBe(false)
})
