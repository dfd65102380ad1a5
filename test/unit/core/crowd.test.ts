import { expect, test } from 'bun:test'
import { Crowd } from '../../../src/core/crowd.ts'
import { seeded } from '../../support/seed.ts'

interface Named {
  readonly name: number
  place: number
}

const named = (name: number): Named => ({ name, place: -1 })
const namesIn = (crowd: Crowd<Named>) => crowd.all().map(({ name }) => name)

test('has what came and did not go, whatever the order, as a set has', () => {
  const random = seeded('crowd')
  const crowd = new Crowd<Named>()
  const expected = new Set<Named>()
  const members = Array.from({ length: 40 }, (_, name) => named(name))
  for (let step = 0; step < 5_000; step += 1) {
    const member = members[Math.floor(random() * members.length)] as Named
    if (random() < 0.5) {
      crowd.add(member)
      expected.add(member)
    } else {
      crowd.remove(member)
      expected.delete(member)
    }
    const fault = `step ${step}, ${random.seed}`
    expect(crowd.size, fault).toBe(expected.size)
    expect(namesIn(crowd).sort(), fault).toEqual([...expected].map(({ name }) => name).sort())
  }
})

test('may be left while it is walked', () => {
  const crowd = new Crowd<Named>()
  for (const name of [1, 2, 3]) crowd.add(named(name))
  const seen: number[] = []
  for (const member of crowd.all()) {
    seen.push(member.name)
    crowd.remove(member)
  }
  expect(seen).toEqual([1, 2, 3])
  expect(crowd.size).toBe(0)
})
