/** What a crowd holds. It keeps its own place, so that coming and going cost no search; it is in one crowd at a time. */
export interface Member {
  /** -1 while it is in none; set by the crowd alone. */
  place: number
}

/** Things that come and go often, in no order. */
export class Crowd<M extends Member> {
  readonly #members: M[] = []

  get size(): number {
    return this.#members.length
  }

  /** Takes in what is not in it yet. */
  add(member: M): void {
    if (member.place === -1) member.place = this.#members.push(member) - 1
  }

  /** Lets go of what may be in it. */
  remove(member: M): void {
    const { place } = member
    if (place === -1) return
    member.place = -1
    const last = this.#members.pop()
    if (last === undefined || last === member) return
    this.#members[place] = last
    last.place = place
  }

  /** Those that are in it now; they may go while they are walked. */
  all(): readonly M[] {
    return [...this.#members]
  }
}
