import { describe, expect, test } from 'bun:test'
import { inOrder } from '../../../src/core/in-order.ts'

/** Items that come when the test says so, and work that is done when it says so. */
function createBench(options: { readonly countMax?: number; readonly weightMax?: number } = {}) {
  const works = new Map<number, PromiseWithResolvers<string>>()
  const arrivals: ((result: IteratorResult<number>) => void)[] = []
  const come: number[] = []
  let isOver = false
  let returned = false
  const items: AsyncIterator<number> = {
    next: () => {
      const value = come.shift()
      if (value !== undefined) return Promise.resolve({ done: false, value })
      if (isOver) return Promise.resolve({ done: true, value: undefined })
      return new Promise((resolve) => arrivals.push(resolve))
    },
    return: async () => {
      returned = true
      return { done: true, value: undefined }
    },
  }
  const results = inOrder(
    items,
    (item) => {
      const work = Promise.withResolvers<string>()
      works.set(item, work)
      return work.promise
    },
    { countMax: options.countMax ?? 3, weightMax: options.weightMax ?? 100, weightOf: (item) => item },
  )
  return {
    results,
    works,
    wasReturned: () => returned,
    send: (...values: number[]) => {
      for (const value of values) {
        const waiting = arrivals.shift()
        if (waiting === undefined) come.push(value)
        else waiting({ done: false, value })
      }
    },
    end: () => {
      isOver = true
      arrivals.shift()?.({ done: true, value: undefined })
    },
    finish: (item: number) => works.get(item)?.resolve(`done ${item}`),
  }
}

/** Lets everything happen that is to happen without a timer. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve()
}

describe('work in order', () => {
  test('gives results in the order of the items, whatever is done first', async () => {
    const bench = createBench()
    bench.send(1, 2, 3)
    const first = bench.results.next()
    await settle()
    bench.finish(3)
    bench.finish(2)
    bench.finish(1)
    expect((await first).value).toBe('done 1')
    expect((await bench.results.next()).value).toBe('done 2')
    bench.end()
    expect((await bench.results.next()).value).toBe('done 3')
    expect((await bench.results.next()).done).toBe(true)
  })

  test('gives a result while the next item has not come', async () => {
    const bench = createBench()
    bench.send(1)
    const first = bench.results.next()
    await settle()
    bench.finish(1)
    expect((await first).value).toBe('done 1')
  })

  test('works on no more than it may at once, by number and by weight', async () => {
    const byCount = createBench({ countMax: 2 })
    byCount.send(1, 2, 3)
    void byCount.results.next()
    await settle()
    expect([...byCount.works.keys()]).toEqual([1, 2])
    const byWeight = createBench({ countMax: 10, weightMax: 10 })
    byWeight.send(6, 7, 8)
    const first = byWeight.results.next()
    await settle()
    expect([...byWeight.works.keys()]).toEqual([6, 7])
    byWeight.finish(6)
    await first
    void byWeight.results.next()
    await settle()
    expect([...byWeight.works.keys()]).toEqual([6, 7, 8])
  })

  test('works on an item that is too heavy alone', async () => {
    const bench = createBench({ weightMax: 10 })
    bench.send(99, 1)
    void bench.results.next()
    await settle()
    expect([...bench.works.keys()]).toEqual([99])
  })

  test('fails where its work does, once its turn has come, and asks for no more', async () => {
    const bench = createBench()
    bench.send(1, 2)
    const first = bench.results.next()
    await settle()
    bench.works.get(2)?.reject(new Error('broken'))
    bench.finish(1)
    expect((await first).value).toBe('done 1')
    expect(bench.results.next()).rejects.toThrow('broken')
    await settle()
    expect(bench.wasReturned()).toBe(true)
  })

  test('reports the source when no one wants more', async () => {
    const bench = createBench()
    bench.send(1)
    const first = bench.results.next()
    await settle()
    bench.finish(1)
    await first
    await bench.results.return()
    expect(bench.wasReturned()).toBe(true)
  })
})
