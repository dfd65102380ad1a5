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
  ])
    expect([text, parseAddressBlock(text), createAddressBlocks(['0.0.0.0/0', '::/0'])(text)]).toEqual([text, undefined, false])
})
