/** A bench by the name that starts it. */
export interface Bench {
  readonly name: string
  readonly run: () => Promise<void>
}

export interface Choice {
  /** Names of those that run; all where there are none. */
  readonly only: readonly string[] | undefined
  /** Names of those that do not. */
  readonly skip: readonly string[]
}

/** Which benches a choice runs. @throws Error for a name that none has */
export function chosen(benches: readonly Bench[], { only, skip }: Choice): readonly Bench[] {
  const names = benches.map(({ name }) => name)
  const [unknown] = [...(only ?? []), ...skip].filter((name) => !names.includes(name))
  if (unknown !== undefined) throw new Error(`there is no bench ${unknown}; there are ${names.join(', ')}`)
  return benches.filter(({ name }) => (only?.includes(name) ?? true) && !skip.includes(name))
}

/** Runs benches one after the other; one that fails leaves its part of the page as it was. Gives whether none did. */
export async function benchAll(benches: readonly Bench[], choice: Choice): Promise<boolean> {
  const lines: string[] = []
  let isWell = true
  for (const { name, run } of chosen(benches, choice)) {
    console.log(`\n─── ${name}`)
    const begun = performance.now()
    const failure = await run().then(
      () => undefined,
      (error: unknown) => error,
    )
    if (failure !== undefined) {
      console.error(failure)
      isWell = false
    }
    lines.push(`${name}: ${((performance.now() - begun) / 1000).toFixed(0)} s${failure === undefined ? '' : ', failed'}`)
  }
  console.log(`\n${lines.join('\n')}`)
  return isWell
}
