import type { TensorSpec } from '../../tensor/tensor.ts'
import type { BoxOutput, MaskOutput } from '../task.ts'
import { byDefault, type GraphFacts, listed, type Sources, said } from './facts.ts'
import type { JsonValue } from './folder-files.ts'
import { METADATA, type Ultralytics } from './metadata.ts'
import { labelsIn, labelsOf } from './score-output.ts'
import type { TaskTables } from './task-tables.ts'

/** Thresholds as their authors have them: of YOLO's boxes, of DETR's, and of overlaps. */
const [YOLO_THRESHOLD, DETR_THRESHOLD, OVERLAP_MAX] = [0.25, 0.5, 0.45]
const FLOATS: ReadonlySet<string> = new Set(['FP32', 'FP16', 'FP64'])

/** What says how outputs become boxes or masks. */
export interface PictureFiles {
  readonly config: JsonValue | undefined
  readonly tables: TaskTables
  /** `[outputs.NAME] labels` of model.toml. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  readonly yolo: Ultralytics | undefined
  readonly graph: GraphFacts
  readonly sources: Sources
}

/** How outputs become boxes. @throws Error where none does */
export function boxOutputOf(files: PictureFiles): BoxOutput {
  const { tables, graph, sources } = files
  const boxes = tables.boxes ?? {}
  const isDetr = graph.outputs.some(({ name }) => name === (boxes.boxes ?? 'pred_boxes'))
  const form = boxes.form ?? (isDetr ? 'detr' : undefined)
  if (form !== 'detr') return yoloOutput(files, form)
  sources.from(boxes.form === undefined ? 'the graph' : 'model.toml boxes.form', 'form', form)
  return detrOutput(files)
}

function detrOutput({ config, tables, labels: byOutput, graph, sources }: PictureFiles): BoxOutput {
  const named = tables.boxes ?? {}
  const find = (name: string) =>
    graph.outputs.find((spec) => spec.name === name && spec.shape.length === 3 && FLOATS.has(spec.datatype))
  const [logits, places] = [find(named.output ?? 'logits'), find(named.boxes ?? 'pred_boxes')]
  if (logits === undefined || places === undefined)
    throw new Error(
      `a model of the form "detr" must give logits [rows, boxes, classes] and pred_boxes [rows, boxes, 4]; this one gives ${listed(graph.outputs)}`,
    )
  const labels = sources.first(
    'labels',
    said('boxes.labels', named.labels),
    said(`outputs.${logits.name}.labels`, byOutput.get(logits.name)),
    labelsIn(config),
  )
  const count = logits.shape[2] ?? -1
  if (labels === undefined) throw new Error('nothing names the classes of its boxes: [boxes] labels in model.toml does')
  if (count > 0 && count !== labels.length && count !== labels.length + 1)
    throw new Error(`the output ${listed([logits])} has ${count} classes, and there are ${labels.length} labels`)
  return {
    form: 'detr',
    output: logits.name,
    boxes: places.name,
    labels,
    threshold: sources.first('threshold', said('boxes.threshold', named.threshold), byDefault(DETR_THRESHOLD)) ?? DETR_THRESHOLD,
    // Each thing is found once.
    overlapMax: sources.first('overlapMax', said('boxes.overlap_max', named.overlap_max), byDefault(1)) ?? 1,
    isAcrossClasses: named.across_classes ?? false,
  }
}

function yoloOutput(
  { config, tables, labels: byOutput, yolo, graph, sources }: PictureFiles,
  named: 'yolo' | 'yolo-objectness' | undefined,
): BoxOutput {
  const boxes = tables.boxes ?? {}
  const fitting = graph.outputs.filter(({ shape, datatype }) => shape.length === 3 && FLOATS.has(datatype))
  const spec =
    boxes.output === undefined
      ? fitting.length === 1
        ? fitting[0]
        : undefined
      : fitting.find(({ name }) => name === boxes.output)
  if (spec === undefined)
    throw new Error(
      `none of its outputs ${listed(graph.outputs)} alone gives boxes ([rows, values, boxes]); [boxes] output in model.toml names the right one`,
    )
  sources.from(boxes.output === undefined ? 'the graph' : 'model.toml boxes.output', 'output', spec)
  const labels = sources.first(
    'labels',
    said('boxes.labels', boxes.labels),
    said(`outputs.${spec.name}.labels`, byOutput.get(spec.name)),
    yolo && { value: yolo.labels, place: METADATA },
    labelsIn(config),
  )
  if (labels === undefined) throw new Error('nothing names the classes of its boxes: [boxes] labels in model.toml does')
  const form = sources.first<BoxOutput['form']>('form', said('boxes.form', named), {
    value: formOf(spec, labels.length),
    place: 'the graph',
  })
  if (form === undefined || !fits(spec, labels.length + (form === 'yolo' ? 4 : 5)))
    throw new Error(
      `the output ${listed([spec])} fits neither ${4 + labels.length} values for each box (4 and ${labels.length} classes) nor ${5 + labels.length}; one that has dropped overlapping boxes itself must be exported without that (nms=False)`,
    )
  const threshold =
    sources.first('threshold', said('boxes.threshold', boxes.threshold), byDefault(YOLO_THRESHOLD)) ?? YOLO_THRESHOLD
  const overlapMax =
    sources.first('overlapMax', said('boxes.overlap_max', boxes.overlap_max), byDefault(OVERLAP_MAX)) ?? OVERLAP_MAX
  const isAcrossClasses =
    sources.first('isAcrossClasses', said('boxes.across_classes', boxes.across_classes), byDefault(false)) ?? false
  return { form, output: spec.name, labels, threshold, overlapMax, isAcrossClasses }
}

/** With objectness the boxes come before the values. */
function formOf(spec: TensorSpec, classes: number): BoxOutput['form'] | undefined {
  if (spec.shape[2] === 5 + classes && spec.shape[1] !== 4 + classes) return 'yolo-objectness'
  return fits(spec, 4 + classes) ? 'yolo' : undefined
}

function fits({ shape: [, a = -1, b = -1] }: TensorSpec, values: number): boolean {
  return a === values || b === values || (a === -1 && b === -1)
}

/** How an output becomes masks. @throws Error where none does */
export function maskOutputOf({ config, tables, labels, graph, sources }: PictureFiles): MaskOutput {
  const named = tables.masks?.output
  const fitting = graph.outputs.filter(({ shape, datatype }) => shape.length === 4 && FLOATS.has(datatype))
  const usual = fitting.find(({ name }) => name === 'logits') ?? (fitting.length === 1 ? fitting[0] : undefined)
  const spec = named === undefined ? usual : fitting.find(({ name }) => name === named)
  if (spec === undefined)
    throw new Error(
      `none of its outputs ${listed(graph.outputs)} gives a score for each class and pixel ([rows, classes, height, width]); [masks] output in model.toml names the right one`,
    )
  sources.from(named === undefined ? 'the graph' : 'model.toml masks.output', 'output', spec)
  return {
    output: spec.name,
    labels: labelsOf({ config, tables, labels, graph, sources }, spec, said('masks.labels', tables.masks?.labels)),
  }
}
