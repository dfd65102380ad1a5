import { describe, expect, test } from 'bun:test'
import { ThreadChoice } from '../../../src/inference/runtime/thread-choice.ts'

/** A choice to which runs of these sizes and times were noted. */
function choiceAfter(...runs: readonly (readonly [bytes: number, threadMs: number])[]): ThreadChoice {
  const choice = new ThreadChoice()
  for (const [bytes, threadMs] of runs) choice.note(bytes, threadMs)
  return choice
}

describe('the threads of a run', () => {
  test('are measured for sizes that are not known', () => {
    expect(choiceAfter().of(0)).toBe('measured')
    expect(choiceAfter([1000, 0.1]).of(1001)).toBe('measured')
  })

  test('are one up to a size that was short', () => {
    const choice = choiceAfter([1000, 0.1], [200, 0.1])
    expect([choice.of(0), choice.of(200), choice.of(1000)]).toEqual(['one', 'one', 'one'])
  })

  test('are many from a size on that was long three times: the first runs of a model take longer than the next', () => {
    expect(choiceAfter([1000, 5], [1000, 5]).of(1000)).toBe('measured')
    expect(choiceAfter([1000, 5], [1000, 5], [1000, 0.1], [1000, 5]).of(1000)).toBe('one')
    const choice = choiceAfter([1000, 0.1], [9000, 5], [9000, 5], [9000, 5])
    expect([choice.of(1000), choice.of(5000), choice.of(9000), choice.of(90_000)]).toEqual(['one', 'measured', 'many', 'many'])
  })

  test('are measured again where a size that was short took long by the clock', () => {
    const choice = choiceAfter([1000, 0.1], [9000, 0.2])
    choice.look(1000, 1.9)
    expect(choice.of(9000)).toBe('one')
    choice.look(1000, 2.1)
    expect([choice.of(999), choice.of(1000), choice.of(9000)]).toEqual(['one', 'measured', 'measured'])
  })
})
