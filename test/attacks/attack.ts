import type { VerifyOptions } from '../../src/index.ts'
import type { Target } from '../support/forge.ts'

/** A token that must not get in, named by its row of the list of attacks. */
export interface Attack {
  /** Such as `A1`. */
  readonly row: string
  readonly what: string
  /** Whose keys are attacked; default HS256. */
  readonly target?: Target
  readonly token: string
  /** Beside what the target has. */
  readonly options?: VerifyOptions
}

/** Several tokens of one row and one target. */
export function attacks(
  row: string,
  tokens: Readonly<Record<string, string>>,
  more: Omit<Attack, 'row' | 'what' | 'token'> = {},
): readonly Attack[] {
  return Object.entries(tokens).map(([what, token]) => ({ row, what, token, ...more }))
}
