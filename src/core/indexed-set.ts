/** An item of an indexed set. It keeps its own index, so that adding and removing cost no search; it is in one set at a time. */
export interface IndexedItem {
  /** -1 while it is in no set; only the set writes it. */
  index: number
}

/** An unordered set whose items are added and removed often, in constant time and without hashing. */
export class IndexedSet<M extends IndexedItem> {
  readonly #items: M[] = []

  get size(): number {
    return this.#items.length
  }

  /** Adds an item that is not in it yet. */
  add(item: M): void {
    if (item.index === -1) item.index = this.#items.push(item) - 1
  }

  /** Removes an item, where it is in the set. */
  remove(item: M): void {
    const { index } = item
    if (index === -1) return
    item.index = -1
    const last = this.#items.pop()
    if (last === undefined || last === item) return
    this.#items[index] = last
    last.index = index
  }

  /** The items at this moment; they may be removed during an iteration over them. */
  all(): readonly M[] {
    return [...this.#items]
  }
}
