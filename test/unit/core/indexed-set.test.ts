import { expect, test } from 'bun:test'
import { IndexedSet } from '../../../src/core/indexed-set.ts'
import { seeded } from '../../support/seed.ts'

interface Named {
  readonly name: number
  index: number
}

const named = (name: number): Named => ({ name, index: -1 })
const namesIn = (set: IndexedSet<Named>) => set.all().map(({ name }) => name)

test('has what came and did not go, whatever the order, as a set has', () => {
  const random = seeded('set')
  const set = new IndexedSet<Named>()
  const expected = new Set<Named>()
  const members = Array.from({ length: 40 }, (_, name) => named(name))
  for (let step = 0; step < 5_000; step += 1) {
    const member = members[Math.floor(random() * members.length)] as Named
    if (random() < 0.5) {
      set.add(member)
      expected.add(member)
    } else {
      set.remove(member)
      expected.delete(member)
    }
    const fault = `step ${step}, ${random.seed}`
    expect(set.size, fault).toBe(expected.size)
    expect(namesIn(set).sort(), fault).toEqual([...expected].map(({ name }) => name).sort())
  }
})

test('may be left while it is walked', () => {
  const set = new IndexedSet<Named>()
  for (const name of [1, 2, 3]) set.add(named(name))
  const seen: number[] = []
  for (const member of set.all()) {
    seen.push(member.name)
    set.remove(member)
  }
  expect(seen).toEqual([1, 2, 3])
  expect(set.size).toBe(0)
})
