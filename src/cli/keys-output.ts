import type { KeyRing, RingKey } from '../jose/key-ring.ts'
import { textOfTime, timesOf } from '../keys/key-file.ts'

/** The keys of a ring as JSON, without a secret of them. */
export function keysAsJson({ keys }: KeyRing<unknown>): string {
  const rows = keys.map((key) => ({ kid: key.kid, alg: key.algorithm, state: key.state, ...timesOf(key) }))
  return JSON.stringify({ keys: rows }, null, 2)
}

/** The keys of a ring as a table, without a secret of them. */
export function keysAsTable({ keys }: KeyRing<unknown>): string {
  const rows = [['KEY ID', 'ALGORITHM', 'STATE', 'SINCE', 'DROPPED'], ...keys.map(cellsOf)]
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
  return lines.map((line) => line.trimEnd()).join('\n')
}

function cellsOf(key: RingKey<unknown>): readonly string[] {
  const since = key.revokedAt ?? key.retiredAt ?? key.activatedAt ?? key.createdAt
  return [key.kid, key.algorithm, key.state, textOfTime(since), key.dropAt === undefined ? '-' : textOfTime(key.dropAt)]
}
