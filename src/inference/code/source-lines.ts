/** From the lines of a bundle to those of its sources. */
import { SourceMap } from 'node:module'
import { insideOf } from './bundle.ts'
import type { BundleFacts } from './messages.ts'

/** Name of the module that a bundle is run as. */
export const BUNDLE_MODULE = 'vestal-model-code'

const FRAME = /\(?(?:[^\s()]*\/)?vestal-model-code[^\s():]*:(\d+):(\d+)\)?/
const FRAMES_MAX = 6
const TEXT_LENGTH_MAX = 2000

/** Says of an error what a developer needs: its text, and the lines of the model's own files. */
export function createErrorText({ map, folder }: BundleFacts): (error: unknown) => string {
  let sources: SourceMap | undefined
  return (error) => {
    if (!(error instanceof Error)) return `it threw ${Bun.inspect(error).slice(0, 200)}`
    sources ??= new SourceMap(JSON.parse(map))
    const lines = String(error.stack ?? '')
      .split('\n')
      .flatMap((line) => frameOf(line, sources, folder))
      .slice(0, FRAMES_MAX)
    const [first, ...others] = lines
    const head = `${error.name}: ${error.message}`.slice(0, TEXT_LENGTH_MAX)
    // Without a line of its own it is what this program says of it.
    if (first === undefined) return error.name === 'Error' ? error.message.slice(0, TEXT_LENGTH_MAX) : head
    return `${first.place}: ${head}${others.map(({ name, place }) => ` < ${name} ${place}`).join('')}`
  }
}

interface Frame {
  readonly name: string
  /** `model.ts:12:5`. */
  readonly place: string
}

function frameOf(line: string, sources: SourceMap | undefined, folder: string): readonly Frame[] {
  const [whole, row = '', column = ''] = FRAME.exec(line) ?? []
  if (whole === undefined) return []
  const entry = sources?.findEntry(Number(row) - 1, Number(column) - 1)
  if (entry === undefined || !('originalSource' in entry)) return []
  const name = /at (?:async )?([\w$.#<>]+) \(/.exec(line)?.[1] ?? ''
  return [{ name, place: `${insideOf(folder, entry.originalSource)}:${entry.originalLine + 1}:${entry.originalColumn + 1}` }]
}
