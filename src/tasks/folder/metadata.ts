/** What ultralytics writes beside the graph of its ONNX files. */
import { LABELS_MAX, SIDE_MAX } from './task-tables.ts'

/** How the source of such a fact is named. */
export const METADATA = 'the metadata of the ONNX file'

export interface Ultralytics {
  /** `detect`, `classify`, `segment` and others. */
  readonly task: string
  readonly labels: readonly string[]
  /** Height and width of its pictures. */
  readonly size?: { readonly height: number; readonly width: number }
}

/** Characters of the list of names. */
const NAMES_LENGTH_MAX = 256 * 1024
const LABEL_LENGTH_MAX = 1000

/** The facts of a model of ultralytics; undefined where the texts are not such. @throws Error where the names of its classes cannot be read */
export function ultralyticsOf(metadata: ReadonlyMap<string, string> = new Map()): Ultralytics | undefined {
  const [task, names] = [metadata.get('task'), metadata.get('names')]
  if (task === undefined || names === undefined || !metadata.has('stride')) return undefined
  const [, height = '', width = height] =
    /^\s*\[?\s*(\d{1,5})\s*(?:,\s*(\d{1,5})\s*)?\]?\s*$/.exec(metadata.get('imgsz') ?? '') ?? []
  const size = { height: Number(height), width: Number(width) }
  const isSize = size.height > 0 && size.width > 0 && Math.max(size.height, size.width) <= SIDE_MAX
  return { task: task.slice(0, 64), labels: namesIn(names), ...(isSize && { size }) }
}

/** A dictionary of Python's from numbers to strings, as `{0: 'person', 1: "driver's cab"}`. */
function namesIn(text: string): readonly string[] {
  const fault = () =>
    new Error(
      'the metadata of the ONNX file has names of classes that cannot be read; [boxes] or [scores] labels in model.toml can name them',
    )
  if (text.length > NAMES_LENGTH_MAX) throw fault()
  const labels: string[] = []
  const entry = /\s*(\d{1,9})\s*:\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*(,|\})/y
  entry.lastIndex = /^\s*\{/.exec(text)?.[0].length ?? text.length
  for (let end = ''; end !== '}'; ) {
    const [, number = '', single, double, next = ''] = entry.exec(text) ?? []
    const label = unescaped(single ?? double ?? '')
    if (number === '' || Number(number) !== labels.length || labels.length >= LABELS_MAX || label.length > LABEL_LENGTH_MAX)
      throw fault()
    labels.push(label)
    end = next
  }
  return labels
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))/g, (_, byte, unit, other: string) => {
    if (byte !== undefined || unit !== undefined) return String.fromCharCode(Number.parseInt(byte ?? unit, 16))
    return other === 'n' ? '\n' : other === 't' ? '\t' : other
  })
}
