import { describe, expect, test } from 'bun:test'
import { FairQueue } from '../../../src/core/fair-queue.ts'

const job = (name: string, { rows = 1, level = 1, subject = name.slice(0, 1) } = {}) => ({ name, subject, level, cost: rows })
type Job = ReturnType<typeof job>

function queueOf(...names: readonly string[]): FairQueue<Job> {
  const queue = new FairQueue<Job>()
  for (const name of names) queue.push(job(name))
  return queue
}

const takeAll = (queue: FairQueue<Job>, fits?: (job: Job) => boolean) => {
  const taken: string[] = []
  for (let next = queue.take(fits); next !== undefined; next = queue.take(fits)) taken.push(next.name)
  return taken.join(' ')
}

describe('a fair queue', () => {
  test('serves subjects in turns, and each in the order its jobs came', () => {
    const queue = queueOf('a1', 'a2', 'a3', 'b1', 'c1', 'c2')
    expect([queue.size, queue.peek()?.name, takeAll(queue)]).toEqual([6, 'a1', 'a1 b1 c1 a2 c2 a3'])
    expect([queue.size, queue.peek(), queue.take()]).toEqual([0, undefined, undefined])
  })

  test('does not let a subject that comes later catch up with what the others have had', () => {
    const queue = queueOf(...Array.from({ length: 10 }, (_, index) => `a${index}`))
    takeAll(queue)
    for (const name of ['a1', 'a2', 'a3', 'b1', 'b2', 'b3']) queue.push(job(name))
    expect(takeAll(queue)).toBe('b1 a1 b2 a2 b3 a3')
  })

  test('does not let a subject that comes back have saved up', () => {
    const queue = queueOf('a1', 'b1')
    takeAll(queue)
    for (let round = 0; round < 10; round += 1) queue.push(job(`a${round}`))
    takeAll(queue)
    for (const name of ['a1', 'a2', 'a3', 'b1', 'b2', 'b3']) queue.push(job(name))
    expect(takeAll(queue)).toBe('b1 a1 b2 a2 b3 a3')
  })

  test('lets the subject that was served last wait among equals', () => {
    const queue = queueOf('a1', 'a2', 'b1', 'b2')
    expect(queue.take(({ subject }) => subject === 'b')?.name).toBe('b1')
    expect(takeAll(queue)).toBe('a1 b2 a2')
  })

  test('takes the first job that fits, from behind others of its subject too', () => {
    for (const others of [[], ['b1']]) {
      const queue = queueOf('a1', 'a2', 'a3', ...others)
      expect(queue.take(({ name }) => name === 'a2')?.name).toBe('a2')
      expect(queue.take(({ name }) => name === 'a2')).toBeUndefined()
      expect(queue.size).toBe(2 + others.length)
      expect(takeAll(queue).split(' ').sort()).toEqual(['a1', 'a3', ...others])
    }
  })

  test('counts rows', () => {
    const queue = new FairQueue<Job>()
    queue.push(job('a1', { rows: 3 }))
    queue.push(job('a2', { rows: 3 }))
    for (const name of ['b1', 'b2', 'b3', 'b4']) queue.push(job(name))
    expect(takeAll(queue)).toBe('a1 b1 b2 b3 a2 b4')
  })

  test('serves a lower level while no higher one has a job that fits', () => {
    const queue = new FairQueue<Job>()
    for (const [name, level] of [
      ['a1', 2],
      ['b1', 1],
      ['c1', 3],
      ['d1', 1],
    ] as const)
      queue.push(job(name, { level }))
    expect([...queue].map(({ name }) => name).sort()).toEqual(['a1', 'b1', 'c1', 'd1'])
    expect(queue.take(({ subject }) => subject === 'c')?.name).toBe('c1')
    expect([queue.peek()?.name, takeAll(queue)]).toEqual(['b1', 'b1 d1 a1'])
  })

  test('gives up a job that is there, wherever it stands, and none that is not', () => {
    const [first, second, third] = [job('a1'), job('a2'), job('b1')]
    const queue = new FairQueue<Job>()
    for (const each of [first, second, third]) queue.push(each)
    expect([queue.remove(second), queue.remove(second), queue.remove(job('a1')), queue.remove(job('z1', { level: 9 }))]).toEqual([
      true,
      false,
      false,
      false,
    ])
    expect([queue.size, takeAll(queue), queue.remove(first)]).toEqual([2, 'a1 b1', false])
    queue.push(first)
    expect([queue.remove(first), queue.size, queue.take()]).toEqual([true, 0, undefined])
  })

  test('loses no job, however many subjects there are', () => {
    const queue = new FairQueue<Job>()
    for (let round = 0; round < 3; round += 1)
      for (let subject = 0; subject < 1500; subject += 1) queue.push(job('x', { subject: `s${subject}` }))
    expect([queue.size, takeAll(queue).length, queue.size]).toEqual([4500, 4500 * 2 - 1, 0])
  })

  test('takes only what fits, from the middle too', () => {
    const queue = queueOf('a1', 'a2', 'a3')
    const isSecond = ({ name }: Job) => name === 'a2'
    expect([queue.take(isSecond)?.name, queue.take(isSecond), queue.size]).toEqual(['a2', undefined, 2])
    expect(takeAll(queue)).toBe('a1 a3')
  })

  test('remembers what a thousand subjects without a job have had, and not that of ever more', () => {
    const served = (others: number) => {
      const queue = new FairQueue<Job>()
      const subjects = Array.from({ length: others }, (_, index) => job('x', { subject: `s${index}` }))
      const heavy = job('heavy', { subject: 'heavy', rows: 50 })
      // All of them are known before any is served, so that none has saved up.
      for (const each of [heavy, ...subjects]) queue.push(each)
      takeAll(queue)
      for (const each of [heavy, job('light', { subject: `s${others - 1}` })]) queue.push(each)
      return takeAll(queue)
    }
    expect([served(5), served(1023)]).toEqual(['light heavy', 'light heavy'])
    expect([served(1024), served(3000)]).toEqual(['heavy light', 'heavy light'])
  })
})
