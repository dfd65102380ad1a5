import type { TextInput } from '../task.ts'
import { type GraphFacts, Sources } from './facts.ts'
import { FolderFiles } from './folder-files.ts'
import type { TaskTables } from './task-tables.ts'
import { readTextFiles, textInputOf } from './text-input.ts'

/** How the texts of a folder become tokens, whatever its model makes of them. */
export interface FolderTexts {
  /** Absolute path of the tokenizer that a worker loads with the model. */
  readonly tokenizer: string
  /** How texts become the inputs of a model with this graph. @throws Error where it takes something else */
  describe(graph: GraphFacts): TextInput
}

/**
 * Reads what a folder says of texts; undefined where it has no tokenizer.
 * @throws Error naming the file that cannot be read
 */
export function readTexts(folder: string, tables: TaskTables = {}): FolderTexts | undefined {
  const files = new FolderFiles(folder)
  if (files.path(tables.text?.tokenizer ?? 'tokenizer.json') === undefined) return undefined
  const text = readTextFiles(files, tables, { base: '', config: files.json('config.json'), isOfSentences: false })
  return { tokenizer: text.tokenizer, describe: (graph) => textInputOf(text, tables, { graph, sources: new Sources() }) }
}
