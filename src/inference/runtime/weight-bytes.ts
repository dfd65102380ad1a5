import { readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Files beside a model that hold none of its weights. */
const NO_WEIGHTS = /\.(?:onnx|json|txt|toml|md|model|safetensors)$/

/** Bytes of a model file and of what may be its weights beside it; 0 where they cannot be read, which loading will say. */
export function bytesWithWeights(path: string): number {
  try {
    const beside = readdirSync(dirname(path), { withFileTypes: true }).filter(
      (entry) => entry.isFile() && !NO_WEIGHTS.test(entry.name),
    )
    const files = [path, ...beside.map(({ name }) => join(dirname(path), name))]
    return files.reduce((sum, file) => sum + statSync(file).size, 0)
  } catch {
    return 0
  }
}
