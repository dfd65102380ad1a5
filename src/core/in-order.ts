export interface InOrderOptions<Item> {
  /** Items that are worked on at once. */
  readonly countMax: number
  /** Weight of the items that are worked on at once; a single one may be heavier. */
  readonly weightMax: number
  readonly weightOf: (item: Item) => number
}

interface Pending<Result> {
  readonly result: Promise<Result>
  readonly weight: number
}

const ITEM = Symbol('an item came')

/**
 * Works on items as they come, some at once, and gives the results in the order of the items, each as soon as it and those before it
 * are there. No item is asked for that there is no place for.
 */
export async function* inOrder<Item, Result>(
  items: AsyncIterator<Item>,
  work: (item: Item) => Promise<Result>,
  { countMax, weightMax, weightOf }: InOrderOptions<Item>,
): AsyncGenerator<Result, void> {
  const pending: Pending<Result>[] = []
  let weight = 0
  let next: Promise<IteratorResult<Item>> | undefined = items.next()
  try {
    for (;;) {
      const [head] = pending
      if (head === undefined && next === undefined) return
      const isFull = pending.length >= countMax || weight >= weightMax
      // Whatever is there first: the next item where there is a place for it, or the first result.
      const came = next === undefined || (isFull && head !== undefined) ? undefined : next.then(() => ITEM)
      const first = await Promise.race([...(came ? [came] : []), ...(head ? [head.result] : [])])
      if (first !== ITEM) {
        pending.shift()
        weight -= head?.weight ?? 0
        yield first as Result
        continue
      }
      const item: IteratorResult<Item> | undefined = await next
      next = item?.done === false ? items.next() : undefined
      if (item?.done !== false) continue
      const itemWeight = weightOf(item.value)
      weight += itemWeight
      const result = work(item.value)
      // It may fail before its turn, which is when its result is read.
      result.catch(() => undefined)
      pending.push({ result, weight: itemWeight })
    }
  } finally {
    next?.catch(() => undefined)
    void items.return?.()
  }
}
