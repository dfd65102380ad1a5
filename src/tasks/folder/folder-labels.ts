import type { TensorSpec } from '../../tensor/tensor.ts'
import { FolderFiles, type JsonValue } from './folder-files.ts'
import { labelsIn } from './score-output.ts'

/**
 * Class names that the `config.json` of a folder has, for the first output that may have a number for each: what a `model.ts` gets as its
 * labels where neither `model.toml` nor the ONNX file names some. Empty where there are none.
 * @throws Error where `id2label` of the file cannot be used
 */
export function folderLabels(folder: string, outputs: readonly TensorSpec[]): readonly (readonly [string, readonly string[]])[] {
  const labels = labelsIn(configIn(folder))?.value
  if (labels === undefined) return []
  const output = outputs.find(({ shape }) => shape.length > 1 && (shape.at(-1) === -1 || shape.at(-1) === labels.length))
  return output === undefined ? [] : [[output.name, labels]]
}

function configIn(folder: string): JsonValue | undefined {
  try {
    return new FolderFiles(folder).json('config.json')
  } catch {
    // A folder with code may have a file of that name for something else.
    return undefined
  }
}
