import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Models of others that `.ci/run` lays out: each a folder as its users have it. */
export const REAL_MODELS = 'models of PyPI (VESTAL_TEST_REAL_MODELS)'

/** The folder of such a model; undefined on a machine without them. */
export function realModel(name: 'minilm' | 'ocr' | 'silero'): string | undefined {
  const folder = process.env.VESTAL_TEST_REAL_MODELS
  const path = folder === undefined ? undefined : join(folder, name)
  return path !== undefined && existsSync(path) ? path : undefined
}
