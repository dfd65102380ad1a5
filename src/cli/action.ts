import { SettingsError } from '../config/load.ts'
import { nearestOf } from '../core/nearest.ts'

export interface ActionOptions<T extends string> {
  readonly actions: readonly T[]
  /** Words of other programs, by what they are called here. */
  readonly synonyms?: Readonly<Partial<Record<T, readonly string[]>>>
}

/** The second word of `vestal users add`. @throws SettingsError naming the actions and the likely one */
export function readAction<T extends string>(verb: string, word: string | undefined, options: ActionOptions<T>): T {
  const { actions } = options
  const action = actions.find((candidate) => candidate === word)
  if (action !== undefined) return action
  const list = actions.join(', ')
  if (word === undefined) throw new SettingsError([`${verb}: say what to do, one of ${list}`])
  const meant = meantBy(word, options)
  const hint = meant === undefined ? '' : `; did you mean ${verb} ${meant}?`
  throw new SettingsError([`${verb}: ${JSON.stringify(word.slice(0, 60))} is not one of ${list}${hint}`])
}

/** The word of ours that stands for one that is not. */
export function meantBy<T extends string>(word: string, { actions, synonyms }: ActionOptions<T>): T | undefined {
  const bare = word.toLowerCase()
  const synonym = actions.find((action) => synonyms?.[action]?.includes(bare) === true)
  // The cast: `nearestOf` gives one of the words that it was given.
  return synonym ?? (nearestOf(word, actions) as T | undefined)
}
